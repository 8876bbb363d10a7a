// Compiles what a tier limits in amounts: rates and budgets, and the prices that budgets on cost need.
import { Tape } from "../json/tape";
import { BUDGETS_MAX } from "../limits";
import { eq, is, lenOf, lit, NONE, ptrOf, slice, Slice } from "../slice";
import { take } from "./block";
import { Budget, hasInnerStar, Meter, Per, Picos, Policy, Price, Rate, Tier } from "./policy";
import { problem } from "./problems";
import { choice, count, first, list, member, quantity, textOf } from "./read";
import {
  parseBudget,
  parsedBurst,
  parsedPeriodNs,
  parsedQuantity,
  parsedWindow,
  parseMoney,
  parseRate,
  parseWindow,
} from "./units";

const TOKENS_NAME = lit("tokens-");
const COST_NAME = lit("cost-");
const UTC = lit("UTC");
/** The ledger's bound on a model class. */
const CLASS_MAX: i32 = 256;
/** Of a million tokens, in micro-dollars: what a request costs stays far from wrapping (budget/amounts.ts). */
const PRICE_MAX: u64 = 1_000_000_000_000;

/** One rate or a list of them, side by side. */
export function compileRates(tape: Tape, node: i32): usize {
  const head = first(tape, node);
  const rates = take(<usize>max(count(tape, node), 1) * offsetof<Rate>());
  let at = rates;
  for (let n = head >= 0 ? head : node; n >= 0; n = tape.next(n)) {
    const rate = changetype<Rate>(at);
    parseRate(tape.raw(n));
    rate.limit = parsedQuantity;
    rate.periodNs = parsedPeriodNs;
    rate.burst = parsedBurst;
    rate.intervalNs = (parsedPeriodNs + parsedQuantity - 1) / parsedQuantity;
    at += offsetof<Rate>();
    if (head < 0) break;
  }
  return rates;
}

export function compileBudgets(tape: Tape, tierNode: i32, tier: Tier): void {
  const tokens = member(tape, tierNode, "tokens");
  const cost = member(tape, tierNode, "cost");
  const list = member(tape, tierNode, "budgets");
  const total = count(tape, list) + <i32>(tokens >= 0) + <i32>(cost >= 0);
  if (total > BUDGETS_MAX) problem(tape, list, "at most 8 budgets in one tier, counting tokens and cost");
  tier.budgets = take(<usize>total * offsetof<Budget>());
  if (tokens >= 0) compileShort(tape, tokens, Meter.Tokens, TOKENS_NAME, tier);
  if (cost >= 0) compileShort(tape, cost, Meter.Cost, COST_NAME, tier);
  for (let n = first(tape, list); n >= 0; n = tape.next(n)) compileBudget(tape, n, tier);
}

function compileShort(tape: Tape, node: i32, meter: Meter, name: Slice, tier: Tier): void {
  const raw = tape.raw(node);
  parseBudget(raw, meter == Meter.Cost);
  const budget = tier.budget(tier.budgetCount++);
  budget.meter = <u8>meter;
  budget.limit = parsedQuantity;
  budget.window = <u8>parsedWindow;
  budget.billingDay = 1;
  budget.zone = UTC;
  budget.name = joined(name, afterSlash(raw));
  tier.counts = true;
}

function compileBudget(tape: Tape, node: i32, tier: Tier): void {
  const budget = tier.budget(tier.budgetCount++);
  const meter = member(tape, node, "meter");
  budget.meter = <u8>(
    (choice(tape, meter, "requests")
      ? Meter.Requests
      : choice(tape, meter, "tokens")
        ? Meter.Tokens
        : choice(tape, meter, "prompt_tokens")
          ? Meter.PromptTokens
          : choice(tape, meter, "completion_tokens")
            ? Meter.CompletionTokens
            : Meter.Cost)
  );
  if (budget.meter != Meter.Requests) tier.counts = true;
  const limit = member(tape, node, "limit");
  const raw = tape.raw(limit);
  const money = lenOf(raw) > 0 && load<u8>(ptrOf(raw)) == 36;
  if (money != (budget.meter == Meter.Cost)) {
    problem(
      tape,
      limit,
      money ? "a count without $ (only cost is in dollars)" : 'an amount in dollars such as "$50"',
    );
  }
  budget.limit = money ? (parseMoney(raw), parsedQuantity) : quantity(tape, limit, 0);
  const window = tape.raw(member(tape, node, "window"));
  parseWindow(window);
  budget.window = <u8>parsedWindow;
  const per = member(tape, node, "per");
  budget.per = <u8>(
    (choice(tape, per, "organisation") ? Per.Organisation : choice(tape, per, "team") ? Per.Team : Per.Key)
  );
  const billingDay = member(tape, node, "billing_day");
  budget.billingDay = <u8>quantity(tape, billingDay, 1);
  if (billingDay >= 0 && !is(window, "month"))
    problem(tape, billingDay, "no billing_day in a budget by hour, day or week");
  const zone = member(tape, node, "time_zone");
  budget.zone = zone >= 0 ? textOf(tape.raw(zone)) : UTC;
  const models = member(tape, node, "models");
  budget.modelClass = list(tape, models);
  if (lenOf(budget.modelClass) > CLASS_MAX) problem(tape, models, "at most 256 characters in all");
  const name = member(tape, node, "name");
  budget.name = name >= 0 ? textOf(tape.raw(name)) : joined(textOf(tape.raw(meter)), window, 45);
  for (let i = 0; i < tier.budgetCount - 1; i++) {
    const other = tier.budget(i);
    if (eq(other.name, budget.name)) {
      problem(tape, node, "a name of its own: this tier has another budget of the same name");
    }
  }
}

/**
 * A budget smaller than the tier's longest answer would deny, for good, every request that does not ask for a shorter one.
 * (One for single models may: the tier has one bound on answers for all models.) The budgets of `tierNode` are compiled.
 */
export function checkAnswers(tape: Tape, tierNode: i32, tier: Tier): void {
  const tokens = member(tape, tierNode, "tokens");
  if (tokens >= 0) checkAnswer(tape, tokens, tier.budget(0), tier);
  const list = member(tape, tierNode, "budgets");
  let i = tier.budgetCount - count(tape, list);
  for (let n = first(tape, list); n >= 0; n = tape.next(n), i++)
    checkAnswer(tape, member(tape, n, "limit"), tier.budget(i), tier);
}

function checkAnswer(tape: Tape, limit: i32, budget: Budget, tier: Tier): void {
  const answers = budget.meter == Meter.Tokens || budget.meter == Meter.CompletionTokens;
  if (answers && budget.modelClass == NONE && budget.limit < tier.outputTokensMax) {
    problem(
      tape,
      limit,
      "at least the tier's output.max_tokens (4096 unless given), as an answer of that length could never be paid",
    );
  }
}

export function compilePrices(tape: Tape, prices: i32, policy: Policy): void {
  policy.priceCount = count(tape, prices);
  policy.prices = take(<usize>policy.priceCount * offsetof<Price>());
  let node = first(tape, prices);
  for (let i = 0; i < policy.priceCount; i++, node = tape.next(node)) {
    const price = changetype<Price>(policy.prices + <usize>i * offsetof<Price>());
    price.model = textOf(tape.key(node));
    if (hasInnerStar(price.model)) problem(tape, node, "a model's name with * at its end only");
    price.picos = compilePicos(tape, node);
    const long = member(tape, node, "long_prompt");
    price.longAbove = quantity(tape, member(tape, long, "above"), u64.MAX_VALUE);
    price.longPicos = long >= 0 ? compilePicos(tape, long) : price.picos;
  }
}

function compilePicos(tape: Tape, node: i32): Picos {
  const all = changetype<Picos>(take(offsetof<Picos>()));
  all.prompt = picos(tape, member(tape, node, "prompt"));
  all.completion = picos(tape, member(tape, node, "completion"));
  all.cached = picosOr(tape, member(tape, node, "cached"), all.prompt);
  all.cacheWrite = picosOr(tape, member(tape, node, "cache_write"), all.prompt);
  all.cacheWriteHour = picosOr(tape, member(tape, node, "cache_write_1h"), all.cacheWrite);
  all.reasoning = picosOr(tape, member(tape, node, "reasoning"), all.completion);
  return all;
}

function picosOr(tape: Tape, node: i32, otherwise: u64): u64 {
  return node >= 0 ? picos(tape, node) : otherwise;
}

/** "$2.50" for a million tokens is 2,500,000 pico-dollars for one. */
function picos(tape: Tape, node: i32): u64 {
  parseMoney(tape.raw(node));
  if (parsedQuantity > PRICE_MAX) problem(tape, node, "at most $1000000 for a million tokens");
  return parsedQuantity;
}

/** A budget on cost that no price can ever charge would silently let everything pass. */
export function checkCost(tape: Tape, policy: Policy): void {
  if (policy.priceCount > 0) return;
  let node = first(tape, member(tape, tape.root, "tiers"));
  for (let i = 0; i < policy.tierCount; i++, node = tape.next(node)) {
    const tier = policy.tier(i);
    for (let b = 0; b < tier.budgetCount; b++) {
      if (tier.budget(b).meter == Meter.Cost) {
        problem(tape, node, "`prices` at the top of the policy, since this tier has a budget on cost");
        break;
      }
    }
  }
}

/** A copy of `a` and `b` one after the other, with `separator` between unless it is 0. */
function joined(a: Slice, b: Slice, separator: u8 = 0): Slice {
  const gap = separator ? 1 : 0;
  const to = take(<usize>(lenOf(a) + gap + lenOf(b)));
  memory.copy(to, ptrOf(a), lenOf(a));
  if (gap) store<u8>(to + lenOf(a), separator);
  memory.copy(to + lenOf(a) + gap, ptrOf(b), lenOf(b));
  return slice(to, lenOf(a) + gap + lenOf(b));
}

function afterSlash(s: Slice): Slice {
  let at = lenOf(s);
  while (at > 0 && load<u8>(ptrOf(s) + at - 1) != 47) at--;
  return slice(ptrOf(s) + at, lenOf(s) - at);
}
