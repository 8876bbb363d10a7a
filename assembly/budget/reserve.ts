// Reserving and settling against leases that this proxy already holds: one read and one compare-and-set of the
// subject's shared record, no message to anyone.
import { SWAP_TRIES } from "../limits";
import { Lease, LeaseState, Shard } from "../shards";
import { Stream } from "../stream";
import { takeWarning } from "./warning";

export enum Reserve {
  Reserved = 0,
  /** No lease covers the request: one must be acquired. */
  NeedsLease = 1,
  /** Shared data is missing, or was contended beyond all bounds. */
  Unavailable = 2,
}

const shard = new Shard();

/** How quickly the subject's recent leases were used up (see Lease.growth), as of the last `reserve`. */
export let growth: i32 = -1;

/** Takes the stream's reservation (`count` amounts) from an open lease. */
export function reserveLocally(stream: Stream, count: i32, now: u64): Reserve {
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(stream.subjectTag)) return Reserve.Unavailable;
    const lease = covering(stream, count, now);
    if (lease == null) return Reserve.NeedsLease;
    for (let i = 0; i < count; i++) lease.setReserved(i, lease.reserved(i) + stream.reserved(i));
    const high = lease.high;
    const low = lease.low;
    takeWarning(stream, lease, now);
    if (!shard.commit()) continue;
    stream.leaseHigh = high;
    stream.leaseLow = low;
    stream.reservedOpen = true;
    return Reserve.Reserved;
  }
  return Reserve.Unavailable;
}

/** Whether a lease at hand covers the stream's reservation; nothing is taken. */
export function coveredLocally(stream: Stream, count: i32, now: u64): bool {
  return shard.open(stream.subjectTag) && covering(stream, count, now) != null;
}

/** The first open lease that covers the reservation; notes the growth of those that do not. */
function covering(stream: Stream, count: i32, now: u64): Lease | null {
  growth = -1;
  for (let n = 0; n < shard.leaseCount; n++) {
    const lease = shard.leaseAt(n);
    if (lease.tag != stream.leaseTag) continue;
    growth = max(growth, <i32>lease.growth);
    if (lease.state != LeaseState.Open || lease.until <= now || <i32>lease.count != count) continue;
    let covers = true;
    for (let i = 0; covers && i < count; i++) covers = stream.reserved(i) <= lease.available(i);
    if (covers) return lease;
  }
  return null;
}

/** Replaces the stream's reservation by `spent` (`count` u64 amounts); false when the lease is gone. */
export function settleLocally(stream: Stream, count: i32, spent: usize): bool {
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
