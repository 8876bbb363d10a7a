// Reserving and settling against leases that this proxy already holds: from what this worker has taken beforehand
// (purse.ts), else by one read and one compare-and-set of the subject's shared record. No message to anyone.
import { BUDGETS_MAX, SWAP_TRIES } from "../limits";
import { reserve } from "../memory";
import { Lease, LeaseState, Shard } from "../shards";
import { Stream } from "../stream";
import { growthBefore } from "./grants";
import {
  emptyPurse,
  fillPurse,
  purseCovers,
  purseEmptied,
  settleIntoPurse,
  takeFromPurse,
  takesAhead,
} from "./purse";
import { takeWarning } from "./warning";

export enum Reserve {
  Reserved = 0,
  /** No lease covers the request: one must be acquired. */
  NeedsLease = 1,
  /** Shared data is missing, or was contended beyond all bounds. */
  Unavailable = 2,
}

const shard = new Shard();
/** What a reservation takes along: | u64 | … */
const along = reserve(8 * BUDGETS_MAX);

/** How quickly the subject's recent leases were used up (see Lease.growth), as of the last `reserve`. */
export let growth: i32 = -1;

/** Takes the stream's reservation (`count` amounts) from an open lease. */
export function reserveLocally(stream: Stream, count: i32, now: u64): Reserve {
  if (takeFromPurse(stream, count, now)) {
    stream.reservedOpen = true;
    return Reserve.Reserved;
  }
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(stream.subjectTag)) return Reserve.Unavailable;
    const emptied = emptyPurse(shard, stream.leaseTag);
    const lease = covering(stream, count, now);
    const more = lease != null && take(stream, lease, count);
    if ((lease != null || emptied) && !shard.commit()) continue;
    if (emptied) purseEmptied(stream.leaseTag);
    if (lease == null) return Reserve.NeedsLease;
    if (more) fillPurse(stream, lease, along);
    takeWarning(stream, lease, now);
    stream.leaseHigh = lease.high;
    stream.leaseLow = lease.low;
    stream.reservedOpen = true;
    return Reserve.Reserved;
  }
  return Reserve.Unavailable;
}

/** Reserves in the working copy of the record; true when it also took something along. */
function take(stream: Stream, lease: Lease, count: i32): bool {
  const more = takesAhead(stream, lease, along);
  for (let i = 0; i < count; i++) {
    const extra: u64 = more ? load<u64>(along + ((<usize>i) << 3)) : 0;
    lease.setReserved(i, lease.reserved(i) + stream.reserved(i) + extra);
  }
  return more;
}

/** Whether a lease at hand covers the stream's reservation; nothing is taken. */
export function coveredLocally(stream: Stream, count: i32, now: u64): bool {
  if (purseCovers(stream, count, now)) return true;
  return shard.open(stream.subjectTag) && covering(stream, count, now) != null;
}

/**
 * The open lease that covers the reservation with the most to spare, so that purses are filled from what is ample and small leases
 * go back; notes how far the subject's leases have grown.
 */
function covering(stream: Stream, count: i32, now: u64): Lease | null {
  let best: Lease | null = null;
  growth = -1;
  for (let n = 0; n < shard.leaseCount; n++) {
    const lease = shard.leaseAt(n);
    if (lease.tag != stream.leaseTag) continue;
    growth = max(growth, <i32>lease.growth);
    if (lease.state != LeaseState.Open || lease.until <= now || <i32>lease.count != count) continue;
    let covers = true;
    for (let i = 0; covers && i < count; i++) covers = stream.reserved(i) <= lease.available(i);
    if (covers && (best == null || lease.available(0) > best.available(0))) best = lease;
  }
  if (growth < 0) growth = growthBefore(stream.leaseTag);
  return best;
}

/** Replaces the stream's reservation by `spent` (`count` u64 amounts); false when the lease is gone. */
export function settleLocally(stream: Stream, count: i32, spent: usize): bool {
  if (settleIntoPurse(stream, count, spent)) return true;
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(stream.subjectTag)) return false;
    const lease = shard.lease(stream.leaseHigh, stream.leaseLow);
    if (lease == null) return false;
    for (let i = 0; i < count; i++) {
      lease.setReserved(i, lease.reserved(i) - min(stream.reserved(i), lease.reserved(i)));
      lease.setSpent(i, lease.spent(i) + load<u64>(spent + ((<usize>i) << 3)));
    }
    if (shard.commit()) return true;
  }
  return false;
}
