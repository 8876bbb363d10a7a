// What a caller is told when a budget does not cover its request: whose budget, what of it is spent or reserved, what the request may
// need, and when the budget resets.
import {
  deniedBudget,
  deniedBusy,
  deniedLimit,
  deniedNever,
  deniedResetSeconds,
  deniedUsed,
  deniedWindow,
} from "./budget/acquire";
import { appliedBudget } from "./budget/amounts";
import { scope } from "./budget/question";
import { because, retryAfter } from "./deny";
import { Budget, Meter, Tier } from "./policy/policy";
import { eq } from "./slice";
import { Stream } from "./stream";
import { Reason } from "./verdicts.gen";
import { Writer } from "./writer";

const MICROS: u64 = 1_000_000;
const CENT: u64 = MICROS / 100;
/** From so many seconds on they are told in days, hours and minutes, too. */
const READABLE_FROM: u64 = 120;

/** The ledger denied: what is left does not cover the request, for now or until the window ends. */
export function overBudget(stream: Stream, tier: Tier): Reason {
  const number = denied(stream, tier);
  let budget: Budget | null = null;
  if (number >= 0) budget = appliedBudget(stream, tier, number);
  const text = because();
  text.text("The budget ").json(deniedBudget).text(" of ");
  text.bytes(budget == null ? stream.subject : scope(stream.subject, budget.per));
  if (deniedNever) {
    amount(text.text(" ("), deniedLimit, budget).text(" per ").json(deniedWindow);
    text.text(") is smaller than this request may need");
  } else {
    amount(text.text(" does not cover this request: "), deniedUsed, budget);
    amount(text.text(" of "), deniedLimit, budget).text(" per ").json(deniedWindow);
    text.text(" are spent or reserved");
  }
  if (number >= 0) {
    text.text(deniedNever ? ", which is " : ", and it may need ");
    amount(text, stream.reserved(number), budget);
  }
  text.text(".");
  if (!deniedNever) {
    duration(text.text(" It resets in "), deniedResetSeconds).text(".");
    if (deniedBusy) {
      retryAfter(1);
      return Reason.BudgetBusy;
    }
  }
  return Reason.InsufficientQuota;
}

/** Which of the stream's budgets the ledger denied, by its name; -1 if none has it. */
function denied(stream: Stream, tier: Tier): i32 {
  const count = <i32>popcnt<u32>(stream.budgetMask);
  for (let i = 0; i < count; i++) if (eq(appliedBudget(stream, tier, i).name, deniedBudget)) return i;
  return -1;
}

/** An amount in the budget's meter: a number, or dollars. */
function amount(to: Writer, value: u64, budget: Budget | null): Writer {
  if (budget == null || budget.meter != <u8>Meter.Cost) return to.u64(value);
  to.text("$")
    .u64(value / MICROS)
    .text(".");
  const rest = value % MICROS;
  // Cents, and all six digits where cents would hide some.
  const whole = rest % CENT == 0;
  const digits = whole ? rest / CENT : rest;
  for (let unit: u64 = whole ? 10 : MICROS / 10; unit > 1 && digits < unit; unit /= 10) to.text("0");
  return to.u64(digits);
}

/** Seconds, and in words where they are many: `93784 s (1 d 2 h 3 min)`. */
function duration(to: Writer, seconds: u64): Writer {
  to.u64(seconds).text(" s");
  if (seconds < READABLE_FROM) return to;
  const days = seconds / 86_400;
  const hours = (seconds / 3_600) % 24;
  to.text(" (");
  if (days) to.u64(days).text(" d ");
  if (days || hours) to.u64(hours).text(" h ");
  return to.u64((seconds / 60) % 60).text(" min)");
}
