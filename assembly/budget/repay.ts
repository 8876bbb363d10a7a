// Telling the ledger what outages let through, from the tick. An entry of debts.ts is opened at the ledger as a lease of
// nothing, under a name of its own, and only when that was answered are reports made on it: cumulative and numbered like
// any, so that whatever is lost, repeated or done by two workers, it is charged once. All of it becomes debt there.
//
//   Open, unknown ── Acquire answered ──▶ Open, known ── unused: last report ──▶ Closing ── acknowledged ──▶ Resting
//
// One message is in flight per worker and ledger. A worker that is at an entry claims it for as long as an answer can take; when
// that worker is gone, another goes on. Where the ledger is away for some organisations only, the others are not held up.
import { Debt, DebtRecord, DebtState } from "../debts";
import { DEBT_RECORDS, REPORTS_MAX, SWAP_TRIES } from "../limits";
import { reserve } from "../memory";
import { Policy } from "../policy/policy";
import { NS_PER_MS } from "../policy/units";
import { NONE, Slice } from "../slice";
import { Writer } from "../writer";
import { Purpose } from "../sidecar";
import { Flights } from "./flights";
import { QUESTION_MAX } from "./question";
import { leaseName } from "./names";
import { MESSAGE_MAX, PARTLY, REPORT_MAX, reportOf, spentOf } from "./returns";
import { ReportStatus } from "./settle";
import { ledgerRests, noteAnswer } from "./silence";
import {
  closeFrame,
  fieldBytes,
  fieldNumber,
  fieldValue,
  malformed,
  nextField,
  openFrame,
  openMessage,
  putBytes,
  putNumber,
  suspend,
} from "../wire";

/** So long after it was settled, what an outage used counts against the allowance of the next. */
const REST_NS: u64 = 600_000_000_000;
/** A reservation that nothing has touched for so long was lost with its worker. */
const STUCK_NS: u64 = 3_600_000_000_000;
/** An entry that no policy's ledger has claimed for so long goes to whichever there is. */
const ORPHAN_NS: u64 = 600_000_000_000;
const GRANTED: u64 = 1;

const record = new DebtRecord();
const message = new Writer(MESSAGE_MAX);

/** So many entries that could not be opened end a tick's openings: what is open is reported then. */
const FAILURES_MAX: i32 = 8;

/** Notes, of each entry that a message is about: | record number u32 | final u32 | high u64 | low u64 | … */
const SENT: usize = 24;
const flights = new Flights(<usize>REPORTS_MAX * SENT);
/** The message that is being written or answered: where its notes are, of how many entries, and whether it opens one and does not report. */
let sent: usize = 0;
let sentCount: i32 = 0;
let opening: bool = false;
/** How long the one that was answered last had been given. */
let waitedMs: u32 = 0;
/** Reports are looked for, and not entries to open. */
let reporting: bool = false;
/** Entries that could not be opened since the last tick. */
let failures: i32 = 0;
/** The record to look through next; how many entries each held when it was last looked through, and all together. */
let next: u32 = 0;
const heldIn = reserve(2 * <usize>DEBT_RECORDS);
export let debtsHeld: u32 = 0;
/** Entries that the ledger has taken, and reports that it refused for good. */
export let debtsSettled: u64 = 0;
export let debtsLost: u64 = 0;

assert(MESSAGE_MAX > QUESTION_MAX);

/** Tells the ledger what it should know, message by message. */
export function sendDebts(policy: Policy, now: u64): void {
  failures = 0;
  sendNext(policy, now);
}

/** One message's worth: opens an entry or, when all are open that can be, reports as many as fit. */
function sendNext(policy: Policy, now: u64): void {
  const number = flights.place(policy.ledgerTag);
  if (number < 0) return;
  openFrame(message);
  sent = flights.at(number).notes;
  sentCount = 0;
  opening = false;
  if (failures < FAILURES_MAX) lookForAll(false, policy, now);
  if (sentCount == 0 && debtsHeld > 0) {
    putNumber(message, PARTLY, 1);
    lookForAll(true, policy, now);
  }
  if (sentCount == 0) return;
  flights.send(number, policy, Purpose.Debts, sentCount, opening, closeFrame(message));
}

/** Looks through the records, from where it last stopped, until the message is full. */
function lookForAll(reports: bool, policy: Policy, now: u64): void {
  reporting = reports;
  for (let seen: u32 = 0; seen < DEBT_RECORDS && !full(); seen++) {
    const kept = lookThrough(next, policy, now);
    debtsHeld += kept - load<u16>(heldIn + ((<usize>next) << 1));
    store<u16>(heldIn + ((<usize>next) << 1), <u16>kept);
    // A full message may have left something here.
    if (!full()) next = (next + 1) & (DEBT_RECORDS - 1);
  }
}

/** Whether the message takes no more: a question fills one of its own. */
function full(): bool {
  return opening || sentCount == REPORTS_MAX || message.length > MESSAGE_MAX - REPORT_MAX;
}

/** Does what is due in one record; returns how many of its entries the ledger does not have yet. */
function lookThrough(number: u32, policy: Policy, now: u64): u32 {
  const before = message.length;
  const countBefore = sentCount;
  const openingBefore = opening;
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    message.truncate(before);
    sentCount = countBefore;
    opening = openingBefore;
    if (!record.open(number)) return 0;
    let kept: u32 = 0;
    let changed = false;
    let at = record.begin;
    while (at < record.end) {
      const debt = changetype<Debt>(at);
      if (over(debt, now)) {
        record.remove(debt);
        changed = true;
        continue;
      }
      if (debt.state != DebtState.Resting) kept++;
      if (due(debt, policy, now) && tell(debt, number, policy, now)) changed = true;
      at += debt.bytes;
    }
    if (!changed || record.commit()) return kept;
  }
  message.truncate(before);
  sentCount = countBefore;
  opening = openingBefore;
  return 0;
}

/** Whether an entry has nothing more to say: nothing was used, or the ledger has had it for long enough. */
function over(debt: Debt, now: u64): bool {
  if (debt.state == DebtState.Resting) return debt.restsUntil <= now;
  return debt.state == DebtState.Open && !debt.known && !debt.busy() && debt.spentSum == 0;
}

/** Whether this worker should tell the ledger of an entry now. */
function due(debt: Debt, policy: Policy, now: u64): bool {
  if (debt.state == DebtState.Resting || debt.claimedNs > now) return false;
  if (debt.ledger != policy.ledgerTag && now < max(debt.usedNs, debt.claimedNs) + ORPHAN_NS) return false;
  if (!debt.known && ledgerRests(debt.ledger, debt.subject, policy.timeoutMs, now)) return false;
  if (debt.busy() && now > debt.usedNs + STUCK_NS) resolveStuck(debt);
  return !debt.known || !debt.busy() || debt.spentSum != debt.told;
}

/** Requests that nobody will settle any more are charged as the policy has it for leases. */
function resolveStuck(debt: Debt): void {
  for (let i = 0; i < <i32>debt.count; i++) {
    if (!debt.chargeReported) debt.setSpent(i, debt.spent(i) + debt.reserved(i));
    debt.setReserved(i, 0);
  }
}

/** Writes what is to be told of an entry, and claims it; false when the message has no room for it. */
function tell(debt: Debt, number: u32, policy: Policy, now: u64): bool {
  if (full() || debt.known != reporting) return false;
  const final = debt.known && !debt.busy();
  if (!debt.known) {
    message.bytes(debt.question);
    opening = true;
  } else {
    if (final) debt.state = <u8>DebtState.Closing;
    debt.sequence++;
    debt.told = debt.spentSum;
    const spent = spentOf(debt.spentAt, debt.count);
    const name = leaseName(debt.high, debt.low);
    putBytes(message, 2, reportOf(name, debt.subject, debt.sequence, spent, final));
  }
  debt.claimedNs = now + <u64>policy.timeoutMs * NS_PER_MS;
  const to = sent + <usize>sentCount * SENT;
  store<u32>(to, number);
  store<u32>(to, <u32>final, 4);
  store<u64>(to, debt.high, 8);
  store<u64>(to, debt.low, 16);
  sentCount++;
  return true;
}

/** Reads the answer to message `number` (NONE: there was none) and goes on with what can be told now. */
export function finishDebts(number: i32, answer: Slice, now: u64): void {
  const flight = flights.at(number);
  flight.active = false;
  sent = flight.notes;
  sentCount = flight.count;
  opening = flight.opening;
  waitedMs = changetype<Policy>(flight.asked).timeoutMs;
  const goesOn = opening ? opened(answer, now) : acknowledged(answer, now);
  if (goesOn) sendNext(changetype<Policy>(flight.asked), now);
}

/** Notes whether the entry is open now; another organisation's may be all the same. */
function opened(answer: Slice, now: u64): bool {
  let outcome: u64 = 0;
  if (answer != NONE) {
    openMessage(answer);
    while (nextField()) if (fieldNumber == 1) outcome = fieldValue;
    if (malformed()) outcome = 0;
  }
  const failed = outcome != GRANTED;
  if (failed) failures++;
  note(0, failed ? ReportStatus.NotKnown : ReportStatus.Applied, now);
  return true;
}

/** Whether every report was answered. */
function acknowledged(answer: Slice, now: u64): bool {
  if (answer == NONE) return false;
  let n = 0;
  openMessage(answer);
  while (nextField() && n < sentCount) {
    if (fieldNumber != 1) continue;
    const rest = suspend();
    let status: u64 = 0;
    openMessage(fieldBytes);
    while (nextField()) if (fieldNumber == 1) status = fieldValue;
    note(n++, status, now);
    openMessage(rest);
  }
  return n == sentCount;
}

/** Notes what the ledger said of the `n`th entry of the message. */
function note(n: i32, status: u64, now: u64): void {
  const from = sent + <usize>n * SENT;
  const final = load<u32>(from, 4) != 0;
  const lost = status == ReportStatus.UnknownLease || status == ReportStatus.Invalid;
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!record.open(load<u32>(from))) return;
    const debt = record.named(load<u64>(from, 8), load<u64>(from, 16));
    if (debt == null) return;
    if (opening) noteAnswer(debt.ledger, debt.subject, status == ReportStatus.NotKnown, waitedMs, now);
    // Its claim runs out, and it is told again.
    if (status == ReportStatus.NotKnown) return;
    debt.claimedNs = 0;
    if (opening) debt.known = true;
    else if (final || lost) {
      debt.state = <u8>DebtState.Resting;
      debt.restsUntil = now + REST_NS;
    }
    if (!record.commit()) continue;
    if (lost) debtsLost++;
    else if (final) debtsSettled++;
    return;
  }
}

/** A policy ends, and with it the answer to what was asked for it: the claims run out, and it is asked again. */
export function orphanDebts(policy: usize): void {
  while (flights.forget(policy, Purpose.Debts) >= 0) continue;
}
