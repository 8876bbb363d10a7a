/**
 * What a command must look like before any store sees it. One place, so that the stores and their scripts need no
 * checks of their own and all refuse the same things with the same words. The message shows the value and the bound.
 */
import { WeirError } from "../errors.ts";
import { isTimeZone } from "./calendar.ts";
import {
  type Acquire,
  type Adjust,
  type BudgetRequest,
  type Command,
  identityOf,
  LIMITS,
  organisationOf,
  type Settle,
} from "./types.ts";

// No '|' (it separates the parts of a key) and no braces (they would move a Redis key to another slot).
const TEXT = /^[!-z~]+$/;

function refuse(path: string, value: unknown, expected: string): never {
  const shown = String(value);
  throw new WeirError(
    "invalid_argument",
    `${path}: ${shown.length > 80 ? `${shown.slice(0, 80)}…` : shown}: expected ${expected}`,
  );
}

function checkText(path: string, value: string, max: number = LIMITS.textLength): void {
  if (value.length > max || !TEXT.test(value))
    refuse(path, JSON.stringify(value), `1 to ${max} printable ASCII characters other than space and | { }`);
}

function checkAmount(path: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) refuse(path, value, `an integer, 0 to ${LIMITS.amount}`);
}

function checkBudget(path: string, budget: BudgetRequest, organisation: string): void {
  checkText(`${path}.name`, budget.name);
  checkText(`${path}.subject`, budget.subject);
  if (organisationOf(budget.subject) !== organisation)
    refuse(`${path}.subject`, budget.subject, `a path that begins with ${organisation}`);
  if (budget.modelClass !== "") checkText(`${path}.model_class`, budget.modelClass);
  checkAmount(`${path}.limit`, budget.limit);
  checkAmount(`${path}.need`, budget.need);
  checkAmount(`${path}.want`, budget.want);
  if (!Number.isInteger(budget.billingDay) || budget.billingDay < 1 || budget.billingDay > 31)
    refuse(`${path}.billing_day`, budget.billingDay, "1 to 31");
  if (!isTimeZone(budget.timeZone)) refuse(`${path}.time_zone`, budget.timeZone, "an IANA time zone");
}

function checkAcquire(command: Acquire): void {
  checkText("edge", command.edge);
  if (!Number.isInteger(command.ttlMs) || command.ttlMs < LIMITS.ttlMsMin || command.ttlMs > LIMITS.ttlMsMax)
    refuse("ttl_ms", command.ttlMs, `${LIMITS.ttlMsMin} to ${LIMITS.ttlMsMax}`);
  const count = command.budgets.length;
  if (count < 1 || count > LIMITS.budgetsPerAcquire)
    refuse("budgets", count, `1 to ${LIMITS.budgetsPerAcquire} budgets`);
  const organisation = organisationOf(command.subject);
  const seen = new Set<string>();
  command.budgets.forEach((budget, i) => {
    checkBudget(`budgets[${i}]`, budget, organisation);
    const identity = identityOf(budget);
    if (seen.has(identity)) refuse(`budgets[${i}]`, identity, "each budget once");
    seen.add(identity);
  });
}

function checkSettle(command: Settle): void {
  if (!Number.isSafeInteger(command.sequence) || command.sequence < 1)
    refuse("sequence", command.sequence, `an integer, 1 to ${LIMITS.amount}`);
  const count = command.spent.length;
  if (count > LIMITS.budgetsPerAcquire) refuse("spent", count, `at most ${LIMITS.budgetsPerAcquire} amounts`);
  command.spent.forEach((amount, i) => {
    checkAmount(`spent[${i}]`, amount);
  });
}

// Free text for people, but one line.
const REASON = /^[^\p{Cc}]+$/u;
const BUDGET_KEY = /^[!-z~]+\|[!-z~]+\|[a-z_]+\|[a-z]+\|[!-z~]*\|\d+$/;

function checkAdjust(command: Adjust): void {
  const { amount, by, reason, budget, subject } = command;
  checkText("by", by);
  if (!REASON.test(reason) || reason.length > LIMITS.textLength)
    refuse("reason", JSON.stringify(reason), `1 to ${LIMITS.textLength} characters in one line`);
  if (!Number.isSafeInteger(amount) || amount === 0)
    refuse("amount", amount, `an integer other than 0, within ±${LIMITS.amount}`);
  const owned = organisationOf(budget.slice(0, budget.indexOf("|"))) === organisationOf(subject);
  if (!owned || budget.length > LIMITS.budgetKeyLength || !BUDGET_KEY.test(budget))
    refuse("budget", JSON.stringify(budget), `the key of a budget of ${organisationOf(subject)}`);
}

/** An adjustment's id that is known for something else: for which adjustment, or for a lease. */
export function usedBefore(id: string, budget?: string, amount?: number): WeirError {
  const what = budget === undefined ? "a lease" : `${amount} on ${budget}`;
  return new WeirError("conflict", `id: ${id}: was used before, for ${what}`);
}

/** Throws WeirError `invalid_argument`. */
export function validate(command: Command): void {
  if (command.kind === "sweep") {
    checkText("organisation", command.organisation);
    return;
  }
  if (command.kind === "adjust") checkText("id", command.id, LIMITS.leaseIdLength);
  else checkText("lease_id", command.leaseId, LIMITS.leaseIdLength);
  checkText("subject", command.subject);
  if (organisationOf(command.subject) === "") refuse("subject", command.subject, "an organisation first");
  if (command.kind === "acquire") checkAcquire(command);
  if (command.kind === "settle") checkSettle(command);
  if (command.kind === "adjust") checkAdjust(command);
}
