// What a request may cost and what it did cost, in the meter of each budget that applies to it.
import { hash64, mix } from "../hash";
import { BUDGETS_MAX } from "../limits";
import { Budget, Meter, Picos, Policy, Price, Tier } from "../policy/policy";
import { Stream } from "../stream";

/** Pico-dollars in a micro-dollar, and the tokens that a price is told for. */
const MILLION: u64 = 1_000_000;
/** No request's bound goes above this: the sum of the bounds of all streams stays exact in the ledger. */
const AMOUNT_MAX: u64 = 1 << 40;

/** Finds the budgets that apply to the stream's model; returns their number. */
export function applyBudgets(stream: Stream, tier: Tier): i32 {
  let mask: u32 = 0;
  for (let i = 0; i < min(tier.budgetCount, BUDGETS_MAX); i++) {
    const budget = tier.budget(i);
    if (stream.onlyCounts && budget.meter != Meter.Requests) continue;
    if (budget.covers(stream.model)) mask |= 1 << i;
  }
  stream.budgetMask = mask;
  // The tag tells apart leases that cover other budgets, and those of another version of the policy.
  stream.leaseTag =
    mix(stream.subjectTag ^ mix(changetype<Policy>(stream.policy).tag + mask)) ^ hash64(tier.name, 0);
  return popcnt<u32>(mask);
}

/** Whether a budget that applies counts money. */
export function needsPrice(stream: Stream, tier: Tier): bool {
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    if (tier.budget(ctz<u32>(mask)).meter == Meter.Cost) return true;
  }
  return false;
}

/** Writes the upper bound of the request into the stream's reservation. */
export function bound(stream: Stream, tier: Tier, price: Price | null, prompt: u64, completion: u64): void {
  let n = 0;
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1) {
    const meter = tier.budget(ctz<u32>(mask)).meter;
    const most =
      meter != Meter.Cost || price == null
        ? counted(meter, prompt, completion)
        : costBound(price, prompt, completion);
    stream.setReserved(n++, most);
  }
}

/** What the `n`th budget that applies is charged for the stream's real usage. */
export function charge(stream: Stream, tier: Tier, price: Price | null, n: i32): u64 {
  const meter = appliedBudget(stream, tier, n).meter;
  if (meter != Meter.Cost || price == null)
    return counted(meter, stream.promptTokens, stream.completionTokens);
  return costOf(
    price,
    stream.promptTokens,
    stream.cachedTokens,
    stream.cacheWriteTokens,
    stream.cacheWriteHourTokens,
    stream.completionTokens,
    stream.reasoningTokens,
  );
}

/** The `n`th budget that applies to the stream. */
export function appliedBudget(stream: Stream, tier: Tier, n: i32): Budget {
  let mask = stream.budgetMask;
  for (let i = 0; i < n; i++) mask &= mask - 1;
  return tier.budget(ctz<u32>(mask));
}

/** What a meter of requests or tokens counts; of costs without a price, nothing. */
function counted(meter: i32, prompt: u64, completion: u64): u64 {
  const p = min(prompt, AMOUNT_MAX);
  const c = min(completion, AMOUNT_MAX);
  switch (meter) {
    case Meter.Requests:
      return 1;
    case Meter.Tokens:
      return p + c;
    case Meter.PromptTokens:
      return p;
    case Meter.CompletionTokens:
      return c;
    default:
      return 0;
  }
}

/**
 * What the tokens cost, in micro-dollars; `prompt` includes `cached` and `written` (to a cache), which includes `writtenHour` (for
 * an hour), and `completion` includes `reasoning`.
 */
export function costOf(
  price: Price,
  prompt: u64,
  cached: u64,
  written: u64,
  writtenHour: u64,
  completion: u64,
  reasoning: u64,
): u64 {
  const p = min(prompt, AMOUNT_MAX);
  const c = min(completion, AMOUNT_MAX);
  const read = min(cached, p);
  const write = min(written, p - read);
  const writeHour = min(writtenHour, write);
  const thought = min(reasoning, c);
  const picos = price.isLong(p) ? price.longPicos : price.picos;
  add(p - read - write, picos.prompt);
  add(read, picos.cached);
  add(write - writeHour, picos.cacheWrite);
  add(writeHour, picos.cacheWriteHour);
  add(c - thought, picos.completion);
  add(thought, picos.reasoning);
  return sum();
}

/** The most that at most so many tokens can cost, each at the highest of its prices, in micro-dollars. */
function costBound(price: Price, prompt: u64, completion: u64): u64 {
  const short = boundAt(price.picos, prompt, completion);
  return price.isLong(prompt) ? max(short, boundAt(price.longPicos, prompt, completion)) : short;
}

function boundAt(picos: Picos, prompt: u64, completion: u64): u64 {
  const written = max(picos.cacheWrite, picos.cacheWriteHour);
  add(min(prompt, AMOUNT_MAX), max(picos.prompt, max(picos.cached, written)));
  add(min(completion, AMOUNT_MAX), max(picos.completion, picos.reasoning));
  return sum();
}

/** A sum of costs: a million tokens cost whole micro-dollars, so only the rest is in pico-dollars, and no product wraps. */
let micros: u64 = 0;
let picos: u64 = 0;

function add(tokens: u64, price: u64): void {
  micros += (tokens / MILLION) * price;
  picos += (tokens % MILLION) * price;
}

/** In micro-dollars, rounded up, so that many small requests are not free. The next sum begins. */
function sum(): u64 {
  const total = micros + (picos + MILLION - 1) / MILLION;
  micros = 0;
  picos = 0;
  return total;
}
