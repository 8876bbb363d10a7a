// The way in, where budgets are concerned: the reservation from a lease at hand, the question to the ledger when none
// covers it, and what becomes of those that waited for the answer. Goes on from request.ts; same rules.
import {
  acquireFor,
  acquiresFull,
  deniedBusy,
  denialCovers,
  finishAcquire,
  joinAcquire,
  Outcome,
  waiterCount,
  waiterOf,
  WAITERS_MAX,
} from "./budget/acquire";
import { applyBudgets, bound, needsPrice } from "./budget/amounts";
import { rememberDenial } from "./budget/denials";
import { leftPlenty } from "./budget/grants";
import { coveredInOutage, Passage, passInOutage } from "./budget/outage";
import { coveredLocally, growth, Reserve, reserveLocally } from "./budget/reserve";
import { allSilent, ledgerFails, ledgerSilent } from "./budget/silence";
import { because, retryAfter } from "./deny";
import { asksTooMany } from "./fair-share";
import { beginMemo } from "./inspect/memo";
import { asksForCount } from "./inspect/prompt-shape";
import { toU64 } from "./json/text";
import { count, Metric, tally } from "./metrics";
import { Outage, Policy, Tier } from "./policy/policy";
import { Action } from "./proxy-wasm/abi";
import { arenaMark, arenaRewind } from "./proxy-wasm/arena";
import { carryNothing, carryTrace } from "./observe-report";
import { continueRequest, now, setEffectiveContext } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import { overBudget } from "./refusal-budget";
import { tooManyOpen } from "./refusals";
import { bodyLength, prompt, readWaiting, replaceBody } from "./request-body";
import { countExactly } from "./request-bound";
import { goOn, refuse, release } from "./request-ends";
import { downgradeWaiting } from "./request-downgrade";
import { contentLength } from "./request-headers";
import { lenOf, NONE, Slice } from "./slice";
import { findStream, Phase, Stream } from "./stream";
import { BYTES_PER_TOKEN_LOW } from "./tokens/prompt";
import { Reason } from "./verdicts.gen";

/**
 * nginx: sees to it that a lease is at hand before the body comes, as a body that changes length cannot wait. The need
 * is a guess from the content-length; whether it was enough is decided when the body is there.
 */
export function fetchAhead(stream: Stream, tier: Tier, policy: Policy): Action {
  stream.contentLength = <u32>min(toU64(contentLength), u32.MAX_VALUE);
  if (contentLength == NONE) stream.contentLength = 0;
  if (stream.contentLength == 0 || !policy.leases || tier.budgetCount == 0) return Action.Continue;
  stream.onlyCounts = asksForCount(stream.path);
  const budgets = applyBudgets(stream, tier);
  if (budgets == 0 || needsPrice(stream, tier)) return Action.Continue;
  guess(stream, tier, stream.contentLength / BYTES_PER_TOKEN_LOW);
  if (coveredLocally(stream, budgets, now())) return Action.Continue;
  if (!acquire(stream, policy, tier, budgets)) return Action.Continue;
  count(Metric.Acquires);
  stream.ahead = true;
  stream.phase = Phase.Waiting;
  return Action.Pause;
}

/** No guess takes more than this part of a budget: most requests bound their answer below the tier's limit. */
const GUESS_PART: u64 = 64;

function guess(stream: Stream, tier: Tier, promptTokens: u64): void {
  bound(stream, tier, null, promptTokens, tier.outputTokensMax);
  let n = 0;
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    const most = max(tier.budget(ctz<u32>(mask)).limit / GUESS_PART, 1);
    stream.setReserved(n, min(stream.reserved(n), most));
    n++;
  }
}

/** Takes the reservation, from a lease at hand or from the ledger. */
export function reserve(stream: Stream, tier: Tier, size: i32): Action {
  const policy = changetype<Policy>(stream.policy);
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  let outcome = policy.leases ? reserveLocally(stream, budgets, now()) : Reserve.NeedsLease;
  if (outcome == Reserve.NeedsLease && tier.counts) {
    // The exact count holds the thread, the question to the ledger does not: it is made when the budget is no longer ample.
    stream.loose =
      !nginx && leftPlenty(stream.leaseTag) && !ledgerSilent(policy.ledgerTag, stream.subject, now());
    if (!stream.loose) {
      countExactly(stream, tier, bodyLength);
      if (policy.leases) outcome = reserveLocally(stream, budgets, now());
    }
  }
  if (outcome == Reserve.Reserved) {
    tally(Metric.LeaseHits, 1);
    if (stream.unsent) replaceBody(stream, size);
    return goOn(stream);
  }
  if (outcome == Reserve.Unavailable) {
    because().text("The budgets cannot be checked at the moment.");
    return refuse(stream, Reason.Overloaded);
  }
  // A ledger that was silent a moment ago is not asked again while something passes without it.
  if (!(ledgerSilent(policy.ledgerTag, stream.subject, now()) && passes(stream, tier))) {
    if (acquire(stream, policy, tier, budgets)) {
      count(Metric.Acquires);
      stream.phase = Phase.Waiting;
      return Action.Pause;
    }
    if (!unasked(stream, tier)) return Action.Pause;
  }
  if (stream.unsent) replaceBody(stream, size);
  return goOn(stream);
}

/** Not by the bytes of the prompt, for which the ledger was asked, but by its tokens reserves from now on; false: it did already. */
function countWaiting(stream: Stream, tier: Tier): bool {
  if (!stream.loose) return false;
  stream.loose = false;
  const body = readWaiting(stream);
  if (body == NONE) return false;
  beginMemo(prompt.count);
  countExactly(stream, tier, lenOf(body));
  return true;
}

/** Makes the stream wait for a lease that covers it, asked for in its trace; false when none can be asked for. */
function acquire(stream: Stream, policy: Policy, tier: Tier, budgets: i32): bool {
  if (joinAcquire(stream, policy)) return true;
  if (asksTooMany(stream)) return false;
  carryTrace(stream);
  const waits = acquireFor(stream, policy, policy, tier, budgets, growth);
  carryNothing();
  return waits;
}

/**
 * Whether the request may pass although no more can be asked; if not, it has been refused. While the ledger answers, that so
 * many ask at once is no outage, or callers could make one and pass.
 */
function unasked(stream: Stream, tier: Tier): bool {
  const isFull = acquiresFull();
  const fails =
    ledgerFails(changetype<Policy>(stream.policy).ledgerTag, stream.subject) || (isFull && allSilent());
  if (fails || !(isFull || asksTooMany(stream))) return unreachableLedger(stream, tier);
  let reason = Reason.Overloaded;
  if (isFull) because().text("This proxy holds, or asks the quota ledger for, as many leases as it can.");
  else reason = tooManyOpen(stream, " and wait for the quota ledger");
  refuse(stream, reason);
  return false;
}

/** Whether the request may pass although its budgets could not be asked; if not, it has been refused. */
function unreachableLedger(stream: Stream, tier: Tier): bool {
  if (passes(stream, tier)) return true;
  turnAway(stream, tier);
  return false;
}

/** Refuses what the tier does not let pass while the ledger is away. */
function turnAway(stream: Stream, tier: Tier): void {
  stream.budgetMask = 0;
  const text = because().text("The quota ledger cannot be reached, and ");
  if (tier.outage == Outage.Allowance) text.text("what may pass without it is used up.");
  else text.text("your budget must be checked first.");
  refuse(stream, Reason.LedgerUnavailable);
}

/** Whether the tier lets the request pass in an outage. What it uses is then remembered for the ledger. */
function passes(stream: Stream, tier: Tier): bool {
  if (tier.outage == Outage.Deny) return false;
  // An allowance is small.
  countWaiting(stream, tier);
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  const passage = passInOutage(stream, changetype<Policy>(stream.policy), tier, budgets, now());
  const all = tier.outage == Outage.Allow;
  if (passage != Passage.Passed && !all) return false;
  count(all ? Metric.Unbudgeted : Metric.Allowance);
  if (passage == Passage.Passed) return true;
  count(Metric.Untracked);
  stream.budgetMask = 0;
  return true;
}

/** The ledger has answered acquire `number` (NONE: it has not): every stream that waited goes on. */
export function onAcquired(number: i32, answer: Slice): void {
  const time = now();
  const outcome = finishAcquire(number, answer, time);
  // Without an answer it was counted as it failed to come; this one made no sense.
  if (outcome == Outcome.Failed && answer != NONE) count(Metric.LedgerFailures);
  // The acquire's place may be taken again by a stream that must ask anew, so its waiters are read first.
  const waiters = takeWaiters(number);
  for (let i = 0; i < waiters; i++) {
    const stream = findStream(waiter(i));
    if (stream == null || stream.phase != Phase.Waiting) continue;
    setEffectiveContext(stream.context);
    // One answer may end the wait of many: what each one's body takes is given back.
    const mark = arenaMark();
    resume(stream, outcome, time);
    arenaRewind(mark);
  }
}

/** The streams that waited for the question that was answered last. */
const waiting = new StaticArray<u32>(WAITERS_MAX);

function takeWaiters(number: i32): i32 {
  const total = waiterCount(number);
  for (let i = 0; i < total; i++) unchecked((waiting[i] = waiterOf(number, i)));
  return total;
}

function waiter(i: i32): u32 {
  return unchecked(waiting[i]);
}

function resume(stream: Stream, outcome: Outcome, time: u64): void {
  const tier = changetype<Tier>(stream.tier);
  let budgets = <i32>popcnt<u32>(stream.budgetMask);
  const denied = outcome == Outcome.Denied && denialCovers(stream, budgets) && !countWaiting(stream, tier);
  if (denied && !deniedBusy && tier.downgradeCount > 0) rememberDenial(stream, budgets, time);
  if (stream.ahead) {
    stream.ahead = false;
    stream.phase = Phase.Body;
    continueRequest();
    return;
  }
  // What stands in the way is leased out, perhaps to this proxy, and may have been left over meanwhile.
  if (denied && deniedBusy && !stream.unsent && reserveLocally(stream, budgets, time) == Reserve.Reserved) {
    release(stream);
    return;
  }
  if (denied) {
    if (!downgradeWaiting(stream, tier)) {
      refuse(stream, overBudget(stream, tier));
      return;
    }
    budgets = <i32>popcnt<u32>(stream.budgetMask);
    if (budgets == 0) {
      release(stream);
      return;
    }
  }
  if (outcome == Outcome.Failed && decidedInOutage(stream, tier, budgets)) return;
  if (stream.unsent) {
    because().text("Your budget was looked up while this request waited, and it has to be sent again.");
    retryAfter(1);
    refuse(stream, Reason.BudgetBusy);
    return;
  }
  if (reserveLocally(stream, budgets, time) == Reserve.Reserved) {
    release(stream);
    return;
  }
  if (outcome == Outcome.NoRoom) {
    because().text("This proxy holds as many leases as it can.");
    refuse(stream, Reason.Overloaded);
    return;
  }
  // Others who waited used the slice up, or one was denied that needed more: this one asks for its own.
  if (acquire(stream, changetype<Policy>(stream.policy), tier, budgets)) count(Metric.Acquires);
  else if (unasked(stream, tier)) release(stream);
}

/**
 * Lets a waiting request pass, or refuses it, as the ledger is away; false: it has to be sent again, and will pass then. On nginx a body
 * that could not be bounded may pass without bound, but not on an allowance; one that holds what must not go upstream never, nor one
 * that asks for a dearer model than is charged.
 */
function decidedInOutage(stream: Stream, tier: Tier, budgets: i32): bool {
  if (!stream.unsent || !(stream.guarded || stream.downgraded || tier.outage == Outage.Allowance)) {
    if (!unreachableLedger(stream, tier)) return true;
    // The body goes on as it was, without its bound.
    if (stream.unsent) stream.outputsMax = 0;
    release(stream);
    return true;
  }
  if (coveredInOutage(stream, changetype<Policy>(stream.policy), tier, budgets)) return false;
  turnAway(stream, tier);
  return true;
}
