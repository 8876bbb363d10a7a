// What all workers share about subjects and addresses: their buckets and their leases.
//
// Shared data cannot be enumerated or deleted on every host, so the table is a fixed number of records created
// while configuring; a subject (or an address) belongs to the record that its tag selects, together with the few
// others that fall there. One request then costs one read and one compare-and-set for everything it changes in a
// record. Idle buckets leave a record whenever it is written, so that the table needs no sweeper.
//
//  record   ┌──────────┬──────────────┬──────────────┐
//           │ `Head` 8 │ buckets × 16 │ leases × 248 │
//           └──────────┴──────────────┴──────────────┘
//
// A tag is a 64-bit keyed hash: the chance that two of a million subjects share one is 3·10⁻⁸.
import { mix } from "./hash";
import { BUDGETS_MAX, SHARD_BUCKETS_MAX, SHARD_LEASES_MAX, SHARDS } from "./limits";
import { reserve } from "./memory";
import { arenaMark, arenaRewind } from "./proxy-wasm/arena";
import { sharedCreate, sharedGet, sharedSwap, sharedVersion } from "./proxy-wasm/shared-data";
import { lenOf, NONE, ptrOf, slice, Slice } from "./slice";

/** Bytes of a budget's amounts in a lease: granted, spent, reserved. */
export const AMOUNTS: usize = 24;
const HEAD: i32 = 8;
const BUCKET: i32 = <i32>offsetof<Bucket>();
const LEASE_HEAD: i32 = 56;
const LEASE: i32 = LEASE_HEAD + <i32>AMOUNTS * BUDGETS_MAX;
const RECORD_MAX: i32 = HEAD + SHARD_BUCKETS_MAX * BUCKET + SHARD_LEASES_MAX * LEASE;

/** A lease of which its worker has told nothing for so long is the ledger's to resolve: ten times its life there. */
const DEAD_NS: u64 = 600_000_000_000;

/** How a record begins. */
@unmanaged
class Head {
  bucketCount: u16;
  leaseCount: u16;
  private unused: u32;
}

/** What a subject or an address may still do at one rate (admission/gcra.ts). */
@unmanaged
class Bucket {
  tag: u64;
  /** The theoretical arrival time, in ns of `now()`. */
  arrival: u64;
}

export enum LeaseState {
  /** Reservations may be taken. */
  Open = 1,
  /** No new reservation; those that are out will still settle. */
  Draining = 2,
}

/** A slice of one or more budgets, as held at the edge. Amounts are in each budget's own meter. */
@unmanaged
export class Lease {
  /** Whose lease: subject and set of budgets. */
  tag: u64;
  /** The lease's name at the ledger, unique by chance of 128 bits. */
  high: u64;
  low: u64;
  /** No new reservation after this. */
  until: u64;
  /** The number of the newest report. */
  sequence: u32;
  state: u8;
  /** How many budgets it covers. */
  count: u8;
  /** How often in a row the slice was used up quickly: its next size is the need doubled so often. */
  growth: u8;
  /** The fullest of its budgets by its place, if `warnPercent` is not 0. */
  warnBudget: u8;
  /** When that budget's window ends. */
  warnUntil: u64;
  /** How much of it is spent, 80 and more, as the ledger last said; 0: less than that of all. */
  warnPercent: u16;
  // followed by BUDGETS_MAX × { granted u64, spent u64, reserved u64 }

  private amounts(i: i32): usize {
    return changetype<usize>(this) + LEASE_HEAD + <usize>i * AMOUNTS;
  }
  /** The spent amounts, one every AMOUNTS bytes. */
  get spentAt(): usize {
    return this.amounts(0) + 8;
  }
  granted(i: i32): u64 {
    return load<u64>(this.amounts(i));
  }
  spent(i: i32): u64 {
    return load<u64>(this.amounts(i), 8);
  }
  reserved(i: i32): u64 {
    return load<u64>(this.amounts(i), 16);
  }
  setGranted(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount);
  }
  setSpent(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount, 8);
  }
  setReserved(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount, 16);
  }
  /** What a new reservation may still take. */
  available(i: i32): u64 {
    const taken = this.spent(i) + this.reserved(i);
    const granted = this.granted(i);
    return taken < granted ? granted - taken : 0;
  }
  /** Whether any reservation is still out. */
  busy(): bool {
    for (let i = 0; i < <i32>this.count; i++) if (this.reserved(i) != 0) return true;
    return false;
  }
}

/** A working copy of one record between `open` and `commit`. */
export class Shard {
  private readonly record: usize = reserve(RECORD_MAX);
  private readonly key: usize = reserve(8);
  private version: u32 = 0;

  private get head(): Head {
    return changetype<Head>(this.record);
  }
  private get bucketCount(): i32 {
    return this.head.bucketCount;
  }
  get leaseCount(): i32 {
    return this.head.leaseCount;
  }

  /** Reads the record that `tag` belongs to; false when the host has none (shared data is full or off). */
  open(tag: u64): bool {
    // One callback may open records for many streams: the copy that the host handed over is given back at once.
    const mark = arenaMark();
    const value = sharedGet(shardKey(this.key, <u32>mix(tag) & (SHARDS - 1)));
    arenaRewind(mark);
    if (value == NONE || lenOf(value) < HEAD || lenOf(value) > RECORD_MAX) return false;
    memory.copy(this.record, ptrOf(value), lenOf(value));
    this.version = sharedVersion();
    return true;
  }

  /** Writes the record back if nobody else did since `open`. */
  commit(): bool {
    const size = HEAD + this.bucketCount * BUCKET + this.leaseCount * LEASE;
    return sharedSwap(slice(this.key, 8), slice(this.record, size), this.version);
  }

  /** The arrival time of the bucket of `tag`, or 0: an idle bucket and none are the same. */
  arrival(tag: u64): u64 {
    const bucket = this.bucketOf(tag);
    return bucket == null ? 0 : bucket.arrival;
  }

  /** Sets the arrival time of a bucket. Idle buckets make room; if none is idle, the one closest to it does. */
  setArrival(tag: u64, arrival: u64, now: u64): void {
    const known = this.bucketOf(tag);
    if (known != null) {
      known.arrival = arrival;
      return;
    }
    let bucket = this.bucketAt(0);
    let earliest = u64.MAX_VALUE;
    for (let i = 0; i < this.bucketCount; i++) {
      if (this.bucketAt(i).arrival >= earliest) continue;
      bucket = this.bucketAt(i);
      earliest = bucket.arrival;
    }
    if (earliest > now && this.bucketCount < SHARD_BUCKETS_MAX) bucket = this.insertBucket();
    bucket.tag = tag;
    bucket.arrival = arrival;
  }

  /** The lease `high`·`low`, or null. */
  lease(high: u64, low: u64): Lease | null {
    for (let i = 0; i < this.leaseCount; i++) {
      const lease = this.leaseAt(i);
      if (lease.high == high && lease.low == low) return lease;
    }
    return null;
  }

  /** A zeroed new lease, or null when the record holds as many as it can. Leases whose worker died long ago, so
   *  that the ledger has resolved them, make room. */
  addLease(now: u64): Lease | null {
    for (let i = this.leaseCount - 1; i >= 0; i--) {
      const lease = this.leaseAt(i);
      if (lease.until + DEAD_NS < now) this.removeLease(lease);
    }
    if (this.leaseCount == SHARD_LEASES_MAX) return null;
    const lease = this.leaseAt(this.leaseCount);
    memory.fill(changetype<usize>(lease), 0, LEASE);
    this.head.leaseCount++;
    return lease;
  }

  removeLease(lease: Lease): void {
    const last = this.leaseAt(this.leaseCount - 1);
    if (changetype<usize>(last) != changetype<usize>(lease)) {
      memory.copy(changetype<usize>(lease), changetype<usize>(last), LEASE);
    }
    this.head.leaseCount--;
  }

  /** The `i`th lease of the record, of `leaseCount`. */
  leaseAt(i: i32): Lease {
    return changetype<Lease>(this.record + HEAD + this.bucketCount * BUCKET + i * LEASE);
  }

  private bucketAt(i: i32): Bucket {
    return changetype<Bucket>(this.record + HEAD + i * BUCKET);
  }

  private bucketOf(tag: u64): Bucket | null {
    for (let i = 0; i < this.bucketCount; i++) if (this.bucketAt(i).tag == tag) return this.bucketAt(i);
    return null;
  }

  /** A new bucket behind the others, before the leases. */
  private insertBucket(): Bucket {
    const bucket = this.bucketAt(this.bucketCount);
    const at = changetype<usize>(bucket);
    memory.copy(at + BUCKET, at, this.leaseCount * LEASE);
    this.head.bucketCount++;
    return bucket;
  }
}

/** "weir" and the shard's number. */
function shardKey(to: usize, number: u32): Slice {
  store<u32>(to, 0x72696577);
  store<u32>(to, number, 4);
  return slice(to, 8);
}

/** Creates the records that are not there yet. Configuration only; false when the host has no room for them. */
export function createShards(): bool {
  const key = heap.alloc(8);
  const empty = heap.alloc(HEAD);
  memory.fill(empty, 0, HEAD);
  let ok = true;
  for (let i: u32 = 0; ok && i < SHARDS; i++) ok = sharedCreate(shardKey(key, i), slice(empty, HEAD));
  heap.free(empty);
  heap.free(key);
  return ok;
}

assert(offsetof<Head>() == <usize>HEAD && offsetof<Lease>() <= <usize>LEASE_HEAD);
