// What this worker has taken out of a lease beforehand, and what it spent of that. While a lease is ample, a reservation
// takes some more along, and requests that follow reserve and settle here, in this worker's memory, without the two rounds of shared
// data that each would cost. All of it goes back with every tick, and before a lease is said not to cover a request.
//
//   the lease in shared data   │ granted ───────────────────────────────────────────────────────────│
//                              │ spent │ reserved ──────────────────────────────│ available          │
//   this worker's part                 │ in flight │ kept: spent here · free    │
//
// `kept` is always part of what the lease has as reserved, and what was spent is never more than `kept`. So a worker that
// dies leaves an upper bound behind, as a request in flight does; the lease counts as busy as long as anything is kept.
//
//   entry    │ lease tag │ subject tag │ name (128 bits) │ until │ warning │ settled │ count │ 8 × (kept, spent) │
import { BUDGETS_MAX, PURSES, SWAP_TRIES } from "../limits";
import { reserve } from "../memory";
import { Lease, Shard } from "../shards";
import { Stream } from "../stream";

/** A reservation takes along what so many like it need … */
const AHEAD: u64 = 32;
/** … and at most this part of what the lease has left, so that no worker keeps it from the others. */
const PART: u64 = 2;
const AMOUNTS: usize = 16;

@unmanaged
class Purse {
  /** 0: the entry is free. */
  leaseTag: u64;
  subjectTag: u64;
  high: u64;
  low: u64;
  /** No reservation after this; 0 once it was emptied. What is in flight still settles here. */
  until: u64;
  warnUntil: u64;
  warnPercent: u16;
  warnBudget: u8;
  count: u8;
  /** Requests that settled here since it was emptied last. */
  settled: u32;
  // followed by BUDGETS_MAX × { kept u64, spent u64 }

  private amounts(i: i32): usize {
    return changetype<usize>(this) + offsetof<Purse>() + <usize>i * AMOUNTS;
  }
  kept(i: i32): u64 {
    return load<u64>(this.amounts(i));
  }
  spent(i: i32): u64 {
    return load<u64>(this.amounts(i), 8);
  }
  setKept(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount);
  }
  setSpent(i: i32, amount: u64): void {
    store<u64>(this.amounts(i), amount, 8);
  }
  get empty(): bool {
    if (this.settled != 0) return false;
    for (let i = 0; i < <i32>this.count; i++) if (this.kept(i) != 0) return false;
    return true;
  }
}

const PURSE: usize = offsetof<Purse>() + AMOUNTS * BUDGETS_MAX;
const table = reserve(<usize>PURSES * PURSE);
/** The numbers of the entries that are taken: | u32 | … */
const taken = reserve(<usize>PURSES * 4);
let takenCount: i32 = 0;
const shard = new Shard();

/** Of the purse that was emptied last, the settlements that found no lease. */
let lost: u32 = 0;

/** Requests whose lease was gone when what they spent was to be told. */
export let unsettled: u64 = 0;

function purseAt(number: u32): Purse {
  return changetype<Purse>(table + <usize>number * PURSE);
}

/** Where a purse of `leaseTag` has its place, which another lease's may hold. */
function placeOf(leaseTag: u64): Purse {
  return purseAt(<u32>leaseTag & (PURSES - 1));
}

/** Takes the stream's reservation (`count` amounts) out of a purse, if one covers it. */
export function takeFromPurse(stream: Stream, count: i32, now: u64): bool {
  if (!purseCovers(stream, count, now)) return false;
  const purse = placeOf(stream.leaseTag);
  for (let i = 0; i < count; i++) purse.setKept(i, purse.kept(i) - stream.reserved(i));
  stream.leaseHigh = purse.high;
  stream.leaseLow = purse.low;
  stream.warnPercent = purse.warnUntil > now ? purse.warnPercent : 0;
  stream.warnBudget = purse.warnBudget;
  stream.warnUntil = purse.warnUntil;
  return true;
}

export function purseCovers(stream: Stream, count: i32, now: u64): bool {
  const purse = placeOf(stream.leaseTag);
  if (purse.leaseTag != stream.leaseTag || purse.until <= now || <i32>purse.count != count) return false;
  for (let i = 0; i < count; i++) if (stream.reserved(i) > purse.kept(i) - purse.spent(i)) return false;
  return true;
}

/** Replaces a reservation by `spent` (`count` u64 amounts) in the purse of its lease; false when that must be told now. */
export function settleIntoPurse(stream: Stream, count: i32, spent: usize): bool {
  const purse = placeOf(stream.leaseTag);
  if (purse.leaseTag != stream.leaseTag || purse.low != stream.leaseLow || purse.high != stream.leaseHigh)
    return false;
  for (let i = 0; i < count; i++) {
    const amount = load<u64>(spent + ((<usize>i) << 3));
    if (purse.spent(i) + amount > purse.kept(i) + stream.reserved(i)) return false;
  }
  for (let i = 0; i < count; i++) {
    purse.setKept(i, purse.kept(i) + stream.reserved(i));
    purse.setSpent(i, purse.spent(i) + load<u64>(spent + ((<usize>i) << 3)));
  }
  purse.settled++;
  return true;
}

/**
 * Gives back to the working copy of its record what the purse of `leaseTag` has; false when there is nothing. Once the record is
 * written, say `purseEmptied`.
 */
export function emptyPurse(record: Shard, leaseTag: u64): bool {
  const purse = placeOf(leaseTag);
  if (purse.leaseTag != leaseTag || purse.empty) return false;
  lost = give(purse, record) ? 0 : purse.settled;
  return true;
}

export function purseEmptied(leaseTag: u64): void {
  unsettled += lost;
  clear(placeOf(leaseTag));
}

/** Adds what the purse has to its lease; false when the lease is gone. */
function give(purse: Purse, record: Shard): bool {
  const lease = record.lease(purse.high, purse.low);
  if (lease == null) return false;
  for (let i = 0; i < <i32>purse.count; i++) {
    lease.setReserved(i, lease.reserved(i) - min(purse.kept(i), lease.reserved(i)));
    lease.setSpent(i, lease.spent(i) + purse.spent(i));
  }
  return true;
}

function clear(purse: Purse): void {
  purse.until = 0;
  purse.settled = 0;
  for (let i = 0; i < <i32>purse.count; i++) {
    purse.setKept(i, 0);
    purse.setSpent(i, 0);
  }
}

/**
 * How much more of each budget the stream's reservation takes along (| u64 | … to `amounts`), of a lease from which it was not
 * yet taken; false for nothing: the lease is not ample, or there is no place for it.
 */
export function takesAhead(stream: Stream, lease: Lease, amounts: usize): bool {
  const purse = placeOf(stream.leaseTag);
  if (purse.leaseTag != 0 && purse.leaseTag != stream.leaseTag && !purse.empty) return false;
  let needs: u64 = 0;
  for (let i = 0; i < <i32>lease.count; i++) {
    const need = stream.reserved(i);
    const more = min(need * AHEAD, (lease.available(i) - need) / PART);
    if (more < need) return false;
    store<u64>(amounts + ((<usize>i) << 3), more);
    needs |= need;
  }
  return needs != 0;
}

/** The record with what was taken along (| u64 | … at `amounts`) is written: it is this worker's to spend. */
export function fillPurse(stream: Stream, lease: Lease, amounts: usize): void {
  const purse = placeOf(stream.leaseTag);
  if (purse.leaseTag == 0) {
    store<u32>(taken + ((<usize>takenCount) << 2), <u32>stream.leaseTag & (PURSES - 1));
    takenCount++;
  }
  purse.leaseTag = stream.leaseTag;
  purse.subjectTag = stream.subjectTag;
  purse.high = lease.high;
  purse.low = lease.low;
  purse.until = lease.until;
  purse.warnUntil = lease.warnUntil;
  purse.warnPercent = lease.warnPercent;
  purse.warnBudget = lease.warnBudget;
  purse.count = lease.count;
  purse.settled = 0;
  for (let i = 0; i < <i32>lease.count; i++) {
    purse.setKept(i, load<u64>(amounts + ((<usize>i) << 3)));
    purse.setSpent(i, 0);
  }
}

/**
 * Gives all purses back, at a tick. Entries that were not used since the last one are free again; with `close` all are, so that
 * what is in flight settles without them.
 */
export function emptyPurses(close: bool): void {
  for (let n = takenCount - 1; n >= 0; n--) {
    const at = taken + ((<usize>n) << 2);
    const purse = purseAt(load<u32>(at));
    const idle = purse.empty;
    if (!idle) tell(purse);
    if (!purse.empty || !(idle || close)) continue;
    purse.leaseTag = 0;
    takenCount--;
    store<u32>(at, load<u32>(taken + ((<usize>takenCount) << 2)));
  }
}

/** Tries to give one purse back; a record that is contended beyond all bounds gets it at the next tick. */
function tell(purse: Purse): void {
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(purse.subjectTag)) return;
    const there = give(purse, shard);
    if (there && !shard.commit()) continue;
    if (!there) unsettled += purse.settled;
    clear(purse);
    return;
  }
}
