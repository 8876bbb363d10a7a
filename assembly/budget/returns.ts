// What goes back when a new lease is asked for: the rests of the subject's other leases, too small for the request
// at hand. They travel with the Acquire, so that near a limit the rest of a budget is not spread over leases that
// can serve nobody. Reports are numbered, so it does not matter that the lease's own worker reports it again.
import { BUDGETS_MAX, SWAP_TRIES } from "../limits";
import { AMOUNTS, LeaseState, Shard } from "../shards";
import { Slice } from "../slice";
import { Stream } from "../stream";
import { Writer } from "../writer";
import { leaseName } from "./names";
import { putBytes, putNumber, putVarint } from "../wire";

/** Leases that one Acquire gives back; the next one takes more. */
export const RETURNS_MAX: i32 = 8;

const shard = new Shard();
/** One message with reports. */
export const MESSAGE_MAX: i32 = 64 << 10;
/** One report with its name, subject and amounts. */
export const REPORT_MAX: i32 = 512;
/** The field that says: results without a status are understood. */
export const PARTLY: u32 = 3;
const report = new Writer(REPORT_MAX);
const amounts = new Writer(10 * BUDGETS_MAX);

/** A report on the lease `name` of `subject`, which `spent` so far (`spentOf`). Valid until the next call. */
export function reportOf(name: Slice, subject: Slice, sequence: u64, spent: Slice, last: bool): Slice {
  report.reset();
  putBytes(report, 1, name);
  putBytes(report, 2, subject);
  putNumber(report, 3, sequence);
  putBytes(report, 4, spent);
  putNumber(report, 5, last ? 1 : 0);
  return report.written;
}

/** `count` spent amounts that lie at `at` (Lease.spentAt), or none of anything when it is 0. Valid until the next call. */
export function spentOf(at: usize, count: i32): Slice {
  amounts.reset();
  for (let i = 0; i < count; i++) putVarint(amounts, at ? load<u64>(at + <usize>i * AMOUNTS) : 0);
  return amounts.written;
}

/**
 * Ends leases of the subject for the same budgets that no stream uses, and writes their last reports. Their names go
 * to `names` (| high u64 | low u64 | …); returns how many they are.
 */
export function returnUnused(stream: Stream, to: Writer, field: u32, names: usize): i32 {
  const before = to.length;
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    to.truncate(before);
    if (!shard.open(stream.subjectTag)) return 0;
    const count = endUnused(stream, to, field, names);
    if (count == 0 || shard.commit()) return count;
  }
  to.truncate(before);
  return 0;
}

function endUnused(stream: Stream, to: Writer, field: u32, names: usize): i32 {
  let count = 0;
  for (let n = 0; n < shard.leaseCount && count < RETURNS_MAX; n++) {
    const lease = shard.leaseAt(n);
    // One that is ending already travels with another message.
    if (lease.tag != stream.leaseTag || lease.state != LeaseState.Open || lease.busy()) continue;
    lease.state = <u8>LeaseState.Draining;
    lease.sequence++;
    const spent = spentOf(lease.spentAt, lease.count);
    const name = leaseName(lease.high, lease.low);
    putBytes(to, field, reportOf(name, stream.subject, lease.sequence, spent, true));
    store<u64>(names + ((<usize>count) << 4), lease.high);
    store<u64>(names + ((<usize>count) << 4), lease.low, 8);
    count++;
  }
  return count;
}

/** The ledger has their last reports: the leases make room in the subject's record. Their own workers notice. */
export function dropReturned(subjectTag: u64, names: usize, count: i32): void {
  for (let tries = 0; count > 0 && tries < SWAP_TRIES; tries++) {
    if (!shard.open(subjectTag)) return;
    for (let i = 0; i < count; i++) {
      const name = names + ((<usize>i) << 4);
      const lease = shard.lease(load<u64>(name), load<u64>(name, 8));
      if (lease != null) shard.removeLease(lease);
    }
    if (shard.commit()) return;
  }
}
