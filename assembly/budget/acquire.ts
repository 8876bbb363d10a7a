// Acquiring leases. One acquire is in flight per subject and set of budgets in this worker; other streams that
// need the same wait for it. The answer arrives on the root context, installs the lease in the shared record, and
// every stream that waited then tries again to reserve.
import { forgetCallout } from "../proxy-wasm/callouts";
import { nginx } from "../proxy-wasm/kind";
import { ACQUIRES_MAX, BUDGETS_MAX, LEASES_HELD_MAX, SUBJECT_MAX, SWAP_TRIES } from "../limits";
import { reserve } from "../memory";
import { Policy, Tier } from "../policy/policy";
import { NS_PER_MS } from "../policy/units";
import { LeaseState, Shard } from "../shards";
import { lenOf, NONE, ptrOf, slice, Slice } from "../slice";
import { findStream, Stream } from "../stream";
import { Writer } from "../writer";
import { rememberGrant, rememberScarcity } from "./grants";
import { Held, heldCount, HeldState, hold, letGo, roomForUnused } from "./held";
import { callLedger, Purpose } from "../sidecar";
import { leaseName, nameHigh, nextLow } from "./names";
import { ask } from "./question";
import { dropReturned, RETURNS_MAX, returnUnused } from "./returns";
import { ledgerRests, noteAnswer } from "./silence";
import { noWarning, putWarning, readWarning } from "./warning";
import {
  closeFrame,
  fieldBytes,
  fieldNumber,
  fieldValue,
  malformed,
  nextField,
  openFrame,
  openMessage,
  unpack,
} from "../wire";

/** Streams that one acquire can carry; more start one of their own. */
export const WAITERS_MAX: i32 = 63;
/** The field of AcquireRequest that carries reports. */
const REPORTS: u32 = 7;
/** The first slice of a subject is the need times this; each one used up soon doubles it. */
const SLICE_FIRST: u64 = 4;
const GROWTH_MAX: i32 = 20;
const NEEDS: usize = 8 * BUDGETS_MAX;
const RETURNED: usize = 16 * RETURNS_MAX;
/** The ledger has plenty left if it covers so many requests like the one that asked. */
const PLENTY: u64 = 64;

@unmanaged
class Acquire {
  leaseTag: u64;
  subjectTag: u64;
  high: u64;
  low: u64;
  policy: usize;
  /** The policy whose root context gets the answer: another one, where its tick asked ahead. */
  asked: usize;
  /** Whose ledger is asked, also when the policy is gone. */
  ledger: u64;
  tier: usize;
  mask: u32;
  active: bool;
  growth: u8;
  count: u8;
  waiters: i32;
  subjectLength: i32;
  /** Leases that the message gives back. */
  returns: i32;
  // followed by BUDGETS_MAX needs, the names of RETURNS_MAX leases, WAITERS_MAX context ids and the subject
  get needs(): usize {
    return changetype<usize>(this) + offsetof<Acquire>();
  }
  get subject(): Slice {
    return slice(this.subjectAt, this.subjectLength);
  }
  get returned(): usize {
    return this.needs + NEEDS;
  }
  private get waitersAt(): usize {
    return this.returned + RETURNED;
  }
  get subjectAt(): usize {
    return this.waitersAt + 4 * WAITERS_MAX;
  }
  waiter(i: i32): u32 {
    return load<u32>(this.waitersAt + ((<usize>i) << 2));
  }
  wait(context: u32): void {
    store<u32>(this.waitersAt + ((<usize>this.waiters) << 2), context);
    this.waiters++;
  }
}

const ACQUIRE_SIZE: usize =
  (offsetof<Acquire>() + NEEDS + RETURNED + 4 * <usize>WAITERS_MAX + <usize>SUBJECT_MAX + 7) & ~7;
const acquires = reserve(<usize>ACQUIRES_MAX * ACQUIRE_SIZE);
const message = new Writer(16 << 10);
const shard = new Shard();
const granted = reserve(8 * BUDGETS_MAX);
/** What was left of each budget after that. */
const remaining = reserve(8 * BUDGETS_MAX);
/** What the acquire that was answered last had needed. */
const needed = reserve(8 * BUDGETS_MAX);

/** The outcome of the acquire whose answer was read last. */
export enum Outcome {
  /** A lease is there: try again. */
  Granted = 0,
  /** A budget cannot cover the request; the `denied…` variables name it. */
  Denied = 1,
  /** No usable answer. */
  Failed = 2,
  /** A lease was granted but there is no room to keep it. */
  NoRoom = 3,
}

export let deniedBudget: Slice = NONE;
export let deniedWindow: Slice = NONE;
export let deniedLimit: u64 = 0;
export let deniedUsed: u64 = 0;
export let deniedResetSeconds: u64 = 0;
/** What is missing is only leased out: waiting helps. */
export let deniedBusy: bool = false;
/** The request needs more than the whole budget. */
export let deniedNever: bool = false;

/** Makes the stream wait for the lease that others of its kind wait for; false: nobody does, or there is no room. */
export function joinAcquire(stream: Stream, policy: Policy): bool {
  // On nginx an answer can resume no other stream than its own.
  if (!policy.leases || nginx) return false;
  const same = inFlight(stream.leaseTag, policy, true);
  if (same == null) return false;
  same.wait(stream.context);
  return true;
}

/**
 * Asks for the next lease before the one at hand is used up, from the tick of `asking`. `stream` is none: it only says whose lease,
 * for which budgets, and how much one request needs.
 */
export function acquireAhead(
  stream: Stream,
  policy: Policy,
  asking: Policy,
  tier: Tier,
  count: i32,
  growth: i32,
  now: u64,
): void {
  if (
    ledgerRests(policy.ledgerTag, stream.subject, policy.timeoutMs, now) ||
    inFlight(stream.leaseTag, policy, false) != null
  )
    return;
  acquireFor(stream, policy, asking, tier, count, growth);
}

/**
 * The acquire in flight for `leaseTag` and the policy, or null. A stream that `joins` needs one that its own policy asked for, since
 * the answer ends with whose asked.
 */
function inFlight(leaseTag: u64, policy: Policy, joins: bool): Acquire | null {
  for (let i = 0; i < ACQUIRES_MAX; i++) {
    const acquire = at(i);
    if (!acquire.active || acquire.leaseTag != leaseTag || acquire.policy != changetype<usize>(policy))
      continue;
    if (joins && acquire.asked != acquire.policy) continue;
    if (acquire.waiters < WAITERS_MAX) return acquire;
  }
  return null;
}

/** Asks for a lease that covers the stream, which waits for it; false when no acquire can be made. `asking` gets the answer. */
export function acquireFor(
  stream: Stream,
  policy: Policy,
  asking: Policy,
  tier: Tier,
  count: i32,
  growth: i32,
): bool {
  if (acquiresFull()) return false;
  let number = 0;
  while (at(number).active) number++;
  const acquire = at(number);
  memory.fill(changetype<usize>(acquire), 0, ACQUIRE_SIZE);
  acquire.high = nameHigh();
  acquire.low = nextLow();
  acquire.policy = changetype<usize>(policy);
  acquire.asked = changetype<usize>(asking);
  acquire.ledger = policy.ledgerTag;
  acquire.tier = changetype<usize>(tier);
  acquire.mask = stream.budgetMask;
  acquire.leaseTag = stream.leaseTag;
  acquire.subjectTag = stream.subjectTag;
  acquire.growth = <u8>min(growth + 1, GROWTH_MAX);
  acquire.count = <u8>count;
  acquire.subjectLength = lenOf(stream.subject);
  memory.copy(acquire.subjectAt, ptrOf(stream.subject), acquire.subjectLength);
  const scale = policy.leases ? SLICE_FIRST << (<u64>acquire.growth) : 1;
  for (let i = 0; i < count; i++) store<u64>(acquire.needs + ((<usize>i) << 3), stream.reserved(i));
  if (!callLedger(policy, Purpose.Acquire, number, true, encode(stream, tier, acquire, scale))) return false;
  acquire.active = true;
  if (stream.context != 0) acquire.wait(stream.context);
  return true;
}

function at(number: i32): Acquire {
  return changetype<Acquire>(acquires + <usize>number * ACQUIRE_SIZE);
}

function encode(stream: Stream, tier: Tier, acquire: Acquire, scale: u64): Slice {
  openFrame(message);
  const name = leaseName(acquire.high, acquire.low);
  ask(message, name, stream, changetype<Policy>(acquire.policy), tier, scale);
  if (stream.context != 0) acquire.returns = returnUnused(stream, message, REPORTS, acquire.returned);
  return closeFrame(message);
}

/** Reads the ledger's answer (NONE: there was none) to acquire `number` and installs what it granted. */
export function finishAcquire(number: i32, answer: Slice, now: u64): Outcome {
  const acquire = at(number);
  acquire.active = false;
  memory.copy(needed, acquire.needs, NEEDS);
  const waitedMs = acquire.policy ? changetype<Policy>(acquire.policy).timeoutMs : u32.MAX_VALUE;
  noteAnswer(acquire.ledger, acquire.subject, answer == NONE, waitedMs, now);
  if (answer == NONE) return abandon(acquire, now, Outcome.Failed);
  deniedBudget = deniedWindow = NONE;
  deniedLimit = deniedUsed = deniedResetSeconds = 0;
  deniedNever = deniedBusy = false;
  let outcome: u64 = 0;
  let usableMs: u64 = 0;
  let count = 0;
  noWarning();
  memory.fill(granted, 0, 8 * BUDGETS_MAX);
  memory.fill(remaining, 0, 8 * BUDGETS_MAX);
  openMessage(answer);
  while (nextField()) {
    if (fieldNumber == 1) outcome = fieldValue;
    else if (fieldNumber == 2) count = unpack(fieldBytes, granted, BUDGETS_MAX);
    else if (fieldNumber == 3) usableMs = fieldValue;
    else if (fieldNumber == 4) deniedBudget = fieldBytes;
    else if (fieldNumber == 5) deniedLimit = fieldValue;
    else if (fieldNumber == 6) deniedUsed = fieldValue;
    else if (fieldNumber == 7) deniedResetSeconds = fieldValue;
    else if (fieldNumber == 8) deniedWindow = fieldBytes;
    else if (fieldNumber == 10) unpack(fieldBytes, remaining, BUDGETS_MAX);
    else if (fieldNumber == 11) deniedNever = fieldValue != 0;
    else if (fieldNumber == 12) deniedBusy = fieldValue != 0;
    else if (fieldNumber == 13) readWarning(fieldBytes);
  }
  if (malformed() || (outcome != 1 && outcome != 2)) return abandon(acquire, now, Outcome.Failed);
  dropReturned(acquire.subjectTag, acquire.returned, acquire.returns);
  if (outcome == 2) {
    rememberScarcity(acquire.leaseTag);
    return Outcome.Denied;
  }
  if (count != <i32>acquire.count) return abandon(acquire, now, Outcome.Failed);
  return install(acquire, now + usableMs * NS_PER_MS, now);
}

/** Whether the denial holds for this stream too: it needs no less than what was denied. */
export function denialCovers(stream: Stream, count: i32): bool {
  for (let i = 0; i < count; i++)
    if (stream.reserved(i) < load<u64>(needed + ((<usize>i) << 3))) return false;
  return true;
}

/** Puts a granted lease into the subject's record. */
function install(acquire: Acquire, until: u64, now: u64): Outcome {
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!shard.open(acquire.subjectTag)) break;
    const lease = shard.addLease(now);
    if (lease == null) break;
    lease.tag = acquire.leaseTag;
    lease.high = acquire.high;
    lease.low = acquire.low;
    lease.until = until;
    lease.state = <u8>LeaseState.Open;
    lease.count = acquire.count;
    lease.growth = acquire.growth;
    putWarning(lease, now);
    for (let i = 0; i < <i32>acquire.count; i++) lease.setGranted(i, load<u64>(granted + ((<usize>i) << 3)));
    const held = lookAfter(acquire, now);
    if (held == null) break;
    held.tier = acquire.tier;
    held.mask = acquire.mask;
    if (shard.commit()) {
      rememberGrant(acquire.leaseTag, acquire.growth, plenty(<i32>acquire.count));
      return Outcome.Granted;
    }
    letGo(held);
  }
  return abandon(acquire, now, Outcome.NoRoom);
}

/** From now on this worker looks after the lease; null when it looks after too many. */
function lookAfter(acquire: Acquire, now: u64): Held | null {
  const held = hold(acquire.subject, now);
  if (held == null) return null;
  held.high = acquire.high;
  held.low = acquire.low;
  held.subjectTag = acquire.subjectTag;
  held.policy = acquire.policy;
  held.ledger = acquire.ledger;
  held.count = acquire.count;
  return held;
}

/** Whether what is left of each budget covers many requests like the one that asked. */
function plenty(count: i32): bool {
  for (let i = 0; i < count; i++) {
    const at = (<usize>i) << 3;
    if (load<u64>(remaining + at) / PLENTY < load<u64>(needed + at)) return false;
  }
  return true;
}

/**
 * Whether or not the ledger granted the lease, it is not going to be used: its end will be reported. In a long outage, where that is not
 * known, only of the first, which a ledger that hangs may have got: those that follow would leave no room for leases of whom it answers.
 */
function abandon(acquire: Acquire, now: u64, outcome: Outcome): Outcome {
  if (outcome != Outcome.NoRoom && !roomForUnused()) return outcome;
  const held = lookAfter(acquire, now);
  if (held != null) {
    held.state = <u8>HeldState.Unused;
    held.dirty = true;
  }
  return outcome;
}

export function waiterCount(number: i32): i32 {
  return at(number).waiters;
}

/** The context of the `i`th stream that waited for acquire `number`. */
export function waiterOf(number: i32, i: i32): u32 {
  return at(number).waiter(i);
}

/** A stream ends while it waits. On nginx its acquire is then never answered; what it may grant is given back. */
export function cancelAcquire(context: u32, now: u64): void {
  if (!nginx) return;
  for (let i = 0; i < ACQUIRES_MAX; i++) {
    const acquire = at(i);
    if (!acquire.active || acquire.waiter(0) != context) continue;
    acquire.active = false;
    forgetCallout(Purpose.Acquire, i);
    abandon(acquire, now, Outcome.Failed);
    return;
  }
}

export function acquiresInFlight(): i32 {
  let count = 0;
  for (let i = 0; i < ACQUIRES_MAX; i++) if (at(i).active) count++;
  return count;
}

/** Whether no more can be asked for: whatever is granted must be looked after, or it is charged although nobody used it. */
export function acquiresFull(): bool {
  const count = acquiresInFlight();
  return count == ACQUIRES_MAX || count + heldCount() >= LEASES_HELD_MAX;
}

export function acquiresOf(subjectTag: u64): i32 {
  let count = 0;
  for (let i = 0; i < ACQUIRES_MAX; i++) if (at(i).active && at(i).subjectTag == subjectTag) count++;
  return count;
}

/**
 * A policy ends, and with it what its root context had asked: no answer may come. Of an acquire that nobody waits for, as it was made
 * ahead or who waited has gone, what it may have been granted is given back.
 */
export function orphanAcquires(policy: usize, now: u64): void {
  for (let i = 0; i < ACQUIRES_MAX; i++) {
    const acquire = at(i);
    if (acquire.policy == policy) acquire.policy = 0;
    if (acquire.asked != policy) continue;
    acquire.asked = 0;
    if (!acquire.active || awaited(acquire)) continue;
    acquire.active = false;
    forgetCallout(Purpose.Acquire, i);
    abandon(acquire, now, Outcome.Failed);
  }
}

function awaited(acquire: Acquire): bool {
  for (let i = 0; i < acquire.waiters; i++) if (findStream(acquire.waiter(i)) != null) return true;
  return false;
}
