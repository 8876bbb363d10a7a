// What the ledger says of a lease's fullest budget: read from its answers, kept in the lease, shown to callers.
import { Lease } from "../shards";
import { NS_PER_S } from "../policy/units";
import { Slice } from "../slice";
import { Stream } from "../stream";
import { fieldNumber, fieldValue, nextField, openMessage, suspend } from "../wire";

const PERCENT_MAX: u64 = 65_535;

let budget: u64 = 0;
let percent: u64 = 0;
let resetSeconds: u64 = 0;

/** Before an answer is read: without a Warning in it there is none. */
export function noWarning(): void {
  percent = 0;
}

/** Reads a Warning; the reader then goes on where it stood. */
export function readWarning(message: Slice): void {
  const rest = suspend();
  budget = percent = resetSeconds = 0;
  openMessage(message);
  while (nextField()) {
    if (fieldNumber == 1) budget = fieldValue;
    else if (fieldNumber == 2) percent = fieldValue;
    else if (fieldNumber == 3) resetSeconds = fieldValue;
  }
  openMessage(rest);
}

/** Keeps what was read last in `lease`. */
export function putWarning(lease: Lease, now: u64): void {
  const known = percent != 0 && budget < <u64>lease.count;
  lease.warnPercent = known ? <u16>min(percent, PERCENT_MAX) : 0;
  lease.warnBudget = <u8>budget;
  lease.warnUntil = now + min(resetSeconds, <u64>u32.MAX_VALUE) * NS_PER_S;
}

/** Takes the warning of the lease that covers a request along with it. */
export function takeWarning(stream: Stream, lease: Lease, now: u64): void {
  stream.warnPercent = lease.warnUntil > now ? lease.warnPercent : 0;
  stream.warnBudget = lease.warnBudget;
  stream.warnUntil = lease.warnUntil;
}
