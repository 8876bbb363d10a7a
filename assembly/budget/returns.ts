// What goes back when a new lease is asked for: the rests of the subject's other leases, too small for the request
// at hand. They travel with the Acquire, so that near a limit the rest of a budget is not spread over leases that
// can serve nobody. Reports are numbered, so it does not matter that the lease's own worker reports it again.
import { BUDGETS_MAX, SWAP_TRIES } from "../limits";
import { Lease, LeaseState, Shard } from "../shards";
import { Stream } from "../stream";
import { Writer } from "../writer";
import { leaseName } from "./names";
import { putBytes, putNumber, putVarint } from "./wire";

const shard = new Shard();
const report = new Writer(512);
const amounts = new Writer(10 * BUDGETS_MAX);

/** Writes one report: spent amounts of `lease`, or none of anything when it is null. */
export function writeReport(
  to: Writer,
  field: u32,
  high: u64,
  low: u64,
  subject: u64,
  sequence: u64,
  lease: Lease | null,
  count: i32,
  last: bool,
): void {
  report.reset();
  putBytes(report, 1, leaseName(high, low));
  putBytes(report, 2, subject);
  putNumber(report, 3, sequence);
  amounts.reset();
  for (let i = 0; i < count; i++) putVarint(amounts, lease == null ? 0 : lease.spent(i));
  putBytes(report, 4, amounts.written);
  putNumber(report, 5, last ? 1 : 0);
  putBytes(to, field, report.written);
}

/** Ends the subject's leases for the same budgets that no stream uses, and writes their last reports. */
export function returnUnused(stream: Stream, to: Writer, field: u32): void {
  const before = to.length;
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    to.truncate(before);
    if (!shard.open(stream.subjectTag) || !endUnused(stream, to, field) || shard.commit()) return;
  }
  to.truncate(before);
}

/** False when there was nothing to end. */
function endUnused(stream: Stream, to: Writer, field: u32): bool {
  let any = false;
  for (let n = 0; n < shard.leaseCount; n++) {
    const lease = shard.leaseAt(n);
    if (lease.tag != stream.leaseTag || lease.busy()) continue;
    lease.state = <u8>LeaseState.Draining;
    lease.sequence++;
    writeReport(to, field, lease.high, lease.low, stream.subject, lease.sequence, lease, lease.count, true);
    any = true;
  }
  return any;
}
