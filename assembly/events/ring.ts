// Where events wait for the next report: a ring of bytes for each sidecar that policies name. A full ring drops its
// oldest events and counts them, so a sidecar that is away costs memory once and requests nothing.
//
//   base            head                    tail        wrap     end
//  ┌──────────────┬───────────────────────┬───────────┬────────┐
//  │ newer        │ oldest …              │ free      │ unused │      a record never wraps: what does not fit behind
//  └──────────────┴───────────────────────┴───────────┴────────┘      goes to the front
//   record: │ size u32 │ length u32 │ end of the exchange u64 │ event, `length` bytes, padded to 8 │
//
// Events are numbered from 1. Those that travel with a report stay here until it is acknowledged; one of them that has
// to make room meanwhile is only lost if the report is.
import { reserve } from "../memory";
import { eq, lenOf, ptrOf, slice, Slice } from "../slice";

/** Sidecars that the policies of one VM may name at once. */
export const RINGS_MAX: i32 = 4;
export const RING_BYTES: i32 = 512 << 10;
/** One event: all fixed parts, 8 charges, 16 spans and the texts, each at its bound. */
export const EVENT_BYTES_MAX: i32 = 12 << 10;
export const CLUSTER_MAX: i32 = 256;
const HEAD: usize = 16;

@unmanaged
export class Ring {
  /** Of this worker, 64 random bits. */
  edge: u64;
  /** The number of the oldest event, and of the next one. */
  first: u64;
  next: u64;
  /** Events that are lost, and how many of them were counted for operators. */
  dropped: u64;
  droppedTold: u64;
  /** The first and the last one of the report in flight, and how many of them had to make room since. */
  sentFrom: u64;
  sentTo: u64;
  overtaken: u64;
  /** When the report in flight was sent; 0: there is none. */
  sentNs: u64;
  /** No report before. */
  quietNs: u64;
  /** The policy that it was sent from, with whose root context goes the answer. */
  asked: usize;
  timeoutMs: u32;
  /** Policies that name its sidecar. */
  users: i32;
  base: usize;
  head: usize;
  tail: usize;
  /** Where the records at the end of the ring stop, while newer ones are at its front; else 0. */
  wrap: usize;
  clusterLength: i32;

  /** Where the sidecar is, as the host calls it. */
  get cluster(): Slice {
    return slice(changetype<usize>(this) + offsetof<Ring>(), this.clusterLength);
  }
  get count(): u64 {
    return this.next - this.first;
  }
  get bytes(): i32 {
    return <i32>(this.wrap ? this.wrap - this.head + (this.tail - this.base) : this.tail - this.head);
  }
  get isHalfFull(): bool {
    return this.bytes > RING_BYTES / 2;
  }

  /** Keeps `event`, if need be in place of the oldest ones. */
  push(event: Slice, endNs: u64): void {
    const size = (HEAD + <usize>lenOf(event) + 7) & ~7;
    const at = this.make(size);
    store<u32>(at, <u32>size);
    store<u32>(at, lenOf(event), 4);
    store<u64>(at, endNs, 8);
    memory.copy(at + HEAD, ptrOf(event), lenOf(event));
    this.tail = at + size;
    this.next++;
  }

  /** Room for `size` bytes in one piece. */
  private make(size: usize): usize {
    while (true) {
      if (this.first == this.next) {
        this.head = this.tail = this.base;
        this.wrap = 0;
      }
      if (this.wrap == 0) {
        if (this.base + RING_BYTES - this.tail >= size) return this.tail;
        this.wrap = this.tail;
        this.tail = this.base;
      }
      if (this.head - this.tail >= size) return this.tail;
      if (this.sentNs != 0 && this.first <= this.sentTo) this.overtaken++;
      else this.dropped++;
      this.pop();
    }
  }

  /** Takes the oldest record out. */
  private pop(): void {
    this.head += load<u32>(this.head);
    this.first++;
    if (this.head != this.wrap) return;
    this.head = this.base;
    this.wrap = 0;
  }

  /** The report in flight was answered: events up to `taken` are delivered, or (0) it has failed. */
  settle(taken: u64): void {
    this.sentNs = 0;
    if (taken == 0) this.dropped += this.overtaken;
    this.overtaken = 0;
    while (this.first < this.next && this.first <= taken) this.pop();
  }

  /** Is that of the sidecar at `cluster` from now on, for one policy, empty, and to it another edge, `edge` (random). */
  assign(cluster: Slice, timeoutMs: u32, edge: u64): void {
    this.clusterLength = lenOf(cluster);
    memory.copy(changetype<usize>(this) + offsetof<Ring>(), ptrOf(cluster), this.clusterLength);
    this.timeoutMs = timeoutMs;
    this.edge = edge;
    this.users = 1;
    this.first = this.next = 1;
    this.dropped = this.droppedTold = this.overtaken = 0;
    this.sentNs = this.quietNs = 0;
  }

  /** The record after `record`; for 0 the oldest. */
  after(record: usize): usize {
    if (record == 0) return this.head;
    const next = record + load<u32>(record);
    return next == this.wrap ? this.base : next;
  }
}

const RING_SIZE: usize = (offsetof<Ring>() + <usize>CLUSTER_MAX + 7) & ~7;
const rings = reserve(<usize>RINGS_MAX * RING_SIZE);
/** Rings that have been made. */
export let ringCount: i32 = 0;

export function ringAt(number: i32): Ring {
  return changetype<Ring>(rings + <usize>number * RING_SIZE);
}

export function ringNumber(ring: Ring): i32 {
  return <i32>((changetype<usize>(ring) - rings) / RING_SIZE);
}

/** The event of a record, and when its exchange ended. */
export function eventOf(record: usize): Slice {
  return slice(record + HEAD, load<i32>(record, 4));
}

export function endOfExchange(record: usize): u64 {
  return load<u64>(record, 8);
}

/** The ring of the sidecar at `cluster`, for one policy more, of which the most patient counts; null if it has none. */
export function ringOf(cluster: Slice, timeoutMs: u32): Ring | null {
  for (let i = 0; i < ringCount; i++) {
    const ring = ringAt(i);
    if (!eq(ring.cluster, cluster)) continue;
    ring.timeoutMs = ring.users > 0 ? max(ring.timeoutMs, timeoutMs) : timeoutMs;
    ring.users++;
    return ring;
  }
  return null;
}

/** A ring for a sidecar that has none: a new one, else one that no policy names any more, which still has what is in it; null when there is none. */
export function spareRing(): Ring | null {
  if (ringCount < RINGS_MAX) {
    const ring = ringAt(ringCount++);
    ring.first = ring.next = 1;
    ring.base = reserve(RING_BYTES);
    return ring;
  }
  for (let i = 0; i < ringCount; i++) if (ringAt(i).users == 0) return ringAt(i);
  return null;
}
