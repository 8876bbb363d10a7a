// The question to the ledger, an AcquireRequest: who asks for how much of which budgets, under which name.
import { BUDGETS_MAX } from "../limits";
import { Budget, Per, Policy, Tier } from "../policy/policy";
import { endOf, ptrOf, slice, Slice } from "../slice";
import { Stream } from "../stream";
import { Writer } from "../writer";
import { putBytes, putNumber } from "../wire";

/** Without a report for so long the ledger resolves a lease. */
const TTL_MS: u64 = 60_000;
const CHARGE_REPORTED: u64 = 1;
const CHARGE_ALL: u64 = 2;
const AMOUNT_MAX: u64 = (1 << 53) - 1;
/** A question with the longest budgets that a policy can have. */
export const QUESTION_MAX: i32 = 512 + 768 * BUDGETS_MAX;

const budgetMessage = new Writer(768);

/** Asks under the lease's `name` (`leaseName`) for what `stream` needs of its budgets, and wants that times `scale`. */
export function ask(to: Writer, name: Slice, stream: Stream, policy: Policy, tier: Tier, scale: u64): void {
  begin(to, name, stream);
  let n = 0;
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    const need = stream.reserved(n++);
    putBudget(to, tier.budget(ctz<u32>(mask)), stream.subject, need, min(need * scale, AMOUNT_MAX));
  }
  putNumber(to, 5, TTL_MS);
  putNumber(to, 6, policy.chargeReported ? CHARGE_REPORTED : CHARGE_ALL);
}

/** Asks for a lease of nothing: what is reported on it is charged beside what was granted. */
export function askNothing(to: Writer, name: Slice, stream: Stream, tier: Tier): void {
  begin(to, name, stream);
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    putBudget(to, tier.budget(ctz<u32>(mask)), stream.subject, 0, 0);
  }
  putNumber(to, 5, TTL_MS);
  putNumber(to, 6, CHARGE_REPORTED);
}

function begin(to: Writer, name: Slice, stream: Stream): void {
  putBytes(to, 1, name);
  putBytes(to, 2, slice(ptrOf(name), 16));
  putBytes(to, 3, stream.subject);
}

function putBudget(to: Writer, budget: Budget, subject: Slice, need: u64, want: u64): void {
  budgetMessage.reset();
  putBytes(budgetMessage, 1, budget.name);
  putBytes(budgetMessage, 2, scope(subject, budget.per));
  putNumber(budgetMessage, 3, budget.meter);
  putNumber(budgetMessage, 4, budget.limit);
  putNumber(budgetMessage, 5, budget.window);
  putBytes(budgetMessage, 6, budget.zone);
  putNumber(budgetMessage, 7, budget.billingDay);
  putBytes(budgetMessage, 8, budget.modelClass);
  putNumber(budgetMessage, 9, need);
  putNumber(budgetMessage, 10, want);
  putBytes(to, 4, budgetMessage.written);
}

/** The subject, or the part of it whose usage counts together. */
export function scope(subject: Slice, per: u8): Slice {
  if (per == Per.Key) return subject;
  let segments = per == Per.Organisation ? 1 : 2;
  for (let p = ptrOf(subject); p < endOf(subject); p++) {
    if (load<u8>(p) == 47 && --segments == 0) return slice(ptrOf(subject), <i32>(p - ptrOf(subject)));
  }
  return subject;
}
