// Reporting leases to the ledger, from the tick. One Settle message is in flight per worker and ledger; it carries every
// lease with news. What an answer does not acknowledge is reported again at the next tick.
import { REPORTS_MAX, SWAP_TRIES } from "../limits";
import { Policy } from "../policy/policy";
import { NS_PER_MS } from "../policy/units";
import { Lease, LeaseState, Shard } from "../shards";
import { NONE, Slice } from "../slice";
import { Writer } from "../writer";
import { Flights } from "./flights";
import { Held, heldAt, heldEnd, HeldState, letGo, roomForUnused } from "./held";
import { refillAhead } from "./ahead";
import { Purpose } from "../sidecar";
import { leaseName } from "./names";
import { MESSAGE_MAX, PARTLY, REPORT_MAX, reportOf, spentOf } from "./returns";
import { noWarning, putWarning, readWarning } from "./warning";
import {
  closeFrame,
  fieldBytes,
  fieldNumber,
  fieldValue,
  nextField,
  openFrame,
  openMessage,
  putBytes,
  putNumber,
  suspend,
} from "../wire";

/** An unused lease goes back after this. */
const IDLE_NS: u64 = 3_000_000_000;
/** A lease without news is reported this often, so that the ledger knows that its edge lives. */
const HEARTBEAT_NS: u64 = 10_000_000_000;
/** After so long without any change nobody is left who could settle what is reserved of a lease: a worker that had it has died.
 *  The lease is no longer kept alive, and the ledger resolves it as the policy says. */
const ABANDONED_NS: u64 = 3_600_000_000_000;
/** A question that was given up may reach the ledger so long after the ledger answers again: its lease, then, would be dead before it
 *  was used, and charged. Its end is told once more after this, unless so many are waiting for that that leases might find no room. */
const LATE_NS: u64 = 20_000_000_000;
/** A lease of a ledger that no policy has had for so long is given up: it is told to whichever there is, which does not know it. */
const ORPHAN_NS: u64 = 600_000_000_000;

export enum ReportStatus {
  /** The report was not answered, its organisation's part of the ledger being away. */
  NotKnown = 0,
  Applied = 1,
  Stale = 2,
  UnknownLease = 3,
  Closed = 4,
  Invalid = 5,
}

const shard = new Shard();
const message = new Writer(MESSAGE_MAX);
/** Notes: held entries of the message, in its order: | entry number u32 | … */
const flights = new Flights(REPORTS_MAX * 4);
let nextEntry: i32 = 0;

/** Reports that the ledger refused for good: usage it can no longer take. */
export let lostReports: u64 = 0;

/** Looks after the held leases and sends one Settle if there is news. `policy` says where the ledger is. */
export function sendReports(policy: Policy, now: u64): void {
  const number = flights.place(policy.ledgerTag);
  if (number < 0) return;
  const notes = flights.at(number).notes;
  openFrame(message);
  putNumber(message, PARTLY, 1);
  let sentCount = 0;
  const end = heldEnd();
  let i = nextEntry < end ? nextEntry : 0;
  for (
    let seen = 0;
    seen < end && sentCount < REPORTS_MAX && message.length < MESSAGE_MAX - REPORT_MAX;
    seen++, i = i + 1 < end ? i + 1 : 0
  ) {
    const held = heldAt(i);
    if (!mine(held, policy, now) || !prepare(held, policy, now)) continue;
    store<u32>(notes + ((<usize>sentCount) << 2), i);
    sentCount++;
    held.reportedNs = now;
  }
  nextEntry = i;
  if (sentCount == 0) return;
  flights.send(number, policy, Purpose.Settle, sentCount, false, closeFrame(message));
}

/**
 * Whether the entry's lease is of this policy's ledger, or of one that no policy has any more. One message has those of all
 * policies: as only one is in flight to it, the policies whose ticks come a moment later would not get to report theirs.
 */
function mine(held: Held, policy: Policy, now: u64): bool {
  if (held.state == HeldState.Free) return false;
  return held.ledger == policy.ledgerTag || (held.policy == 0 && now > held.reportedNs + ORPHAN_NS);
}

/** Writes the entry's report, at the tick of `policy`; false when there is nothing to tell. */
function prepare(held: Held, policy: Policy, now: u64): bool {
  if (held.state == HeldState.Unused) {
    if (!held.dirty && now - held.activeNs < LATE_NS) return false;
    held.dirty = false;
    write(held, 0, 1, true);
    return true;
  }
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(held.subjectTag)) return false;
    const lease = shard.lease(held.high, held.low);
    // Only its worker takes a lease out; a record that lost it (a host that restarted) leaves nothing to tell.
    if (lease == null) {
      letGo(held);
      return false;
    }
    note(held, lease, now);
    if (lease.state == LeaseState.Open && (lease.until <= now || now - held.activeNs > IDLE_NS)) {
      lease.state = <u8>LeaseState.Draining;
    }
    const last = lease.state == LeaseState.Draining && !lease.busy();
    const beats = now - held.reportedNs >= HEARTBEAT_NS && now - held.activeNs < ABANDONED_NS;
    if (!last && !held.dirty && !beats) {
      // A mark that loses a race is set again at the next tick.
      if (lease.state == LeaseState.Draining) shard.commit();
      return false;
    }
    lease.sequence++;
    // Its worker lives, however long the ledger has been away: it makes no room for others (Shard.addLease) before it was told.
    lease.until = max(lease.until, now);
    if (!shard.commit()) continue;
    held.final = last;
    held.dirty = false;
    write(held, lease.spentAt, lease.sequence, last);
    if (lease.state == LeaseState.Open && held.policy != 0) refillAhead(held, lease, policy, now);
    return true;
  }
  return false;
}

function write(held: Held, spentAt: usize, sequence: u64, last: bool): void {
  const name = leaseName(held.high, held.low);
  putBytes(message, 2, reportOf(name, held.subject, sequence, spentOf(spentAt, held.count), last));
}

/** Notes whether the lease was used since it was last looked at. */
function note(held: Held, lease: Lease, now: u64): void {
  let activity: u64 = 0;
  for (let i = 0; i < <i32>lease.count; i++) activity += lease.spent(i) * 3 + lease.reserved(i);
  if (activity == held.activity) return;
  held.activity = activity;
  held.activeNs = now;
  held.dirty = true;
}

/** Reads the answer to Settle `number` (NONE: there was none). */
export function finishReport(number: i32, answer: Slice, now: u64): void {
  const flight = flights.at(number);
  const entries = flight.notes;
  flight.active = false;
  let n = 0;
  if (answer != NONE) {
    openMessage(answer);
    while (nextField() && n < flight.count) {
      if (fieldNumber != 1) continue;
      const rest = suspend();
      acknowledge(heldAt(load<u32>(entries + ((<usize>n) << 2))), fieldBytes, now);
      n++;
      openMessage(rest);
    }
  }
  for (; n < flight.count; n++) heldAt(load<u32>(entries + ((<usize>n) << 2))).dirty = true;
}

function acknowledge(held: Held, result: Slice, now: u64): void {
  let status: u64 = 0;
  let usableMs: u64 = 0;
  noWarning();
  openMessage(result);
  while (nextField()) {
    if (fieldNumber == 1) status = fieldValue;
    else if (fieldNumber == 2) usableMs = fieldValue;
    else if (fieldNumber == 4) readWarning(fieldBytes);
  }
  // Its organisation's part of the ledger is away: as if this one had not been answered.
  if (status == ReportStatus.NotKnown) {
    held.dirty = true;
    return;
  }
  if (held.state == HeldState.Unused) {
    const mayCome = status == ReportStatus.UnknownLease && !held.answered;
    held.answered = true;
    held.activeNs = now;
    if (!mayCome || !roomForUnused()) letGo(held);
    return;
  }
  if (status == ReportStatus.UnknownLease || status == ReportStatus.Invalid) lostReports++;
  const over = held.final || status == ReportStatus.UnknownLease;
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(held.subjectTag)) return;
    const lease = shard.lease(held.high, held.low);
    if (lease == null) {
      letGo(held);
      return;
    }
    const gone = over && !lease.busy();
    if (gone) shard.removeLease(lease);
    else if (status == ReportStatus.Applied || status == ReportStatus.Stale) {
      lease.until = max(lease.until, now + usableMs * NS_PER_MS);
      putWarning(lease, now);
    } else lease.state = <u8>LeaseState.Draining;
    if (!shard.commit()) continue;
    if (gone) letGo(held);
    return;
  }
  // Contended beyond all bounds: the lease is there, and what is used of it is yet to be told.
}

/** The leases of a policy that ends will be reported by another of the same ledger, also those that its last message was about:
 *  with its root context goes the answer. */
export function orphanLeases(policy: usize): void {
  for (let i = flights.forget(policy, Purpose.Settle); i >= 0; i = flights.forget(policy, Purpose.Settle))
    finishReport(i, NONE, 0);
  for (let i = 0; i < heldEnd(); i++) if (heldAt(i).policy == policy) heldAt(i).policy = 0;
}
