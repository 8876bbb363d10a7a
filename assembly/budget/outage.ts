// Letting requests through while the ledger is away: within the tier's allowance, or without bound where the tier allows
// all. Either way what they reserve and use is kept in debts.ts, for all workers together, and settled afterwards.
//
// An allowance is a share of each budget's limit, for one subject, proxy and outage, whichever models were asked and whatever
// became of the policy meanwhile. What a recent outage used counts still, so that a ledger that comes and goes gives no new
// allowance each time.
import { Debt, DebtRecord, debtRecordOf, DebtState } from "../debts";
import { SWAP_TRIES } from "../limits";
import { hash64, mix } from "../hash";
import { Budget, Outage, Policy, Tier } from "../policy/policy";
import { share } from "../policy/units";
import { Stream } from "../stream";
import { Writer } from "../writer";
import { appliedBudget } from "./amounts";
import { leaseName, nameHigh, nextLow } from "./names";
import { askNothing, QUESTION_MAX } from "./question";

export enum Passage {
  /** It passes; what it reserved is remembered. */
  Passed = 0,
  /** The allowance does not cover it. */
  Exhausted = 1,
  /** Nothing more can be remembered. */
  NoRoom = 2,
}

/** Where everything passes: no sum of what all streams reserve comes near it. */
const UNBOUNDED: u64 = (1 << 53) - 1;

const record = new DebtRecord();
const question = new Writer(QUESTION_MAX);

/** Takes the stream's reservation (`count` amounts) from what its tier lets pass in an outage. */
export function passInOutage(stream: Stream, policy: Policy, tier: Tier, count: i32, now: u64): Passage {
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!record.open(debtRecordOf(stream.subjectTag))) return Passage.NoRoom;
    const debt = record.openOf(stream.leaseTag) || begin(stream, policy, tier, count);
    if (debt == null) return Passage.NoRoom;
    for (let i = 0; i < count; i++) {
      if (!covers(stream, tier, i, debt.budget(i))) return Passage.Exhausted;
    }
    for (let i = 0; i < count; i++) debt.setReserved(i, debt.reserved(i) + stream.reserved(i));
    debt.usedNs = now;
    const high = debt.high;
    const low = debt.low;
    if (!record.commit()) continue;
    stream.leaseHigh = high;
    stream.leaseLow = low;
    stream.reservedOpen = true;
    stream.indebted = true;
    stream.warnPercent = 0;
    return Passage.Passed;
  }
  return Passage.NoRoom;
}

/** Whether what its tier lets pass in an outage covers the stream's reservation (`count` amounts); nothing is taken. */
export function coveredInOutage(stream: Stream, policy: Policy, tier: Tier, count: i32): bool {
  if (tier.outage != Outage.Allowance) return tier.outage == Outage.Allow;
  if (!record.open(debtRecordOf(stream.subjectTag))) return false;
  for (let i = 0; i < count; i++) {
    if (!covers(stream, tier, i, tagOf(stream, policy, appliedBudget(stream, tier, i)))) return false;
  }
  return true;
}

/** Whether what is left of the budget `tag`, the stream's `i`th, is as much as it reserves. */
function covers(stream: Stream, tier: Tier, i: i32, tag: u64): bool {
  return record.taken(tag) + stream.reserved(i) <= allowed(tier, appliedBudget(stream, tier, i));
}

/** A new entry for the stream's budgets. */
function begin(stream: Stream, policy: Policy, tier: Tier, count: i32): Debt | null {
  const high = nameHigh();
  const low = nextLow();
  askNothing(question.reset(), leaseName(high, low), stream, tier);
  if (question.overflow) return null;
  const debt = record.add(question.written);
  if (debt == null) return null;
  debt.tag = stream.leaseTag;
  debt.high = high;
  debt.low = low;
  debt.ledger = policy.ledgerTag;
  debt.chargeReported = policy.chargeReported;
  debt.state = <u8>DebtState.Open;
  debt.count = <u8>count;
  debt.setSubject(stream.subject);
  for (let i = 0; i < count; i++) debt.setBudget(i, tagOf(stream, policy, appliedBudget(stream, tier, i)));
  return debt;
}

/** A budget of the stream's subject, told from others as the ledger does, and not by its limit. */
function tagOf(stream: Stream, policy: Policy, budget: Budget): u64 {
  const kind = ((<u64>budget.meter) << 16) | ((<u64>budget.window) << 8) | budget.per;
  return hash64(budget.modelClass, hash64(budget.name, mix(stream.subjectTag ^ policy.ledgerTag) + kind));
}

function allowed(tier: Tier, budget: Budget): u64 {
  return tier.outage == Outage.Allow ? UNBOUNDED : share(budget.limit, tier.allowance);
}

/** Replaces the stream's reservation by `spent` (`count` u64 amounts); false when the entry is gone. */
export function settleDebt(stream: Stream, count: i32, spent: usize, now: u64): bool {
  for (let tries = 0; tries < SWAP_TRIES; tries++) {
    if (!record.open(debtRecordOf(stream.subjectTag))) return false;
    const debt = record.named(stream.leaseHigh, stream.leaseLow);
    if (debt == null || debt.state != DebtState.Open) return false;
    for (let i = 0; i < count; i++) {
      debt.setReserved(i, debt.reserved(i) - min(stream.reserved(i), debt.reserved(i)));
      debt.setSpent(i, debt.spent(i) + load<u64>(spent + ((<usize>i) << 3)));
    }
    debt.usedNs = now;
    if (record.commit()) return true;
  }
  return false;
}
