// From a document that the schema accepted to a compiled policy. What a schema cannot say is checked here: names
// that must refer to something, and limits that could never act. Every problem is reported, not only the first.
import { parseNetwork } from "../identity/address";
import { DIGEST } from "../identity/sha256";
import { Kind, Tape } from "../json/tape";
import { decode, toU64 } from "../json/text";
import { BODY_BYTES_MAX, BUDGETS_MAX } from "../limits";
import { eq, fold, is, lenOf, lit, NONE, ptrOf, slice, Slice } from "../slice";
import { take } from "./block";
import { compileResponse } from "./response";
import {
  Budget,
  Injection,
  Key,
  KEY_SIZE,
  Lane,
  Meter,
  NETWORK_SIZE,
  Per,
  Policy,
  Price,
  Rate,
  Tier,
} from "./policy";
import { REASONS } from "../verdicts.gen";
import { problem } from "./problems";
import {
  nibble,
  parseBudget,
  parsedBurst,
  parsedMs,
  parsedPeriodNs,
  parsedQuantity,
  parsedSeconds,
  parsedWindow,
  parseDuration,
  parseMoment,
  parseMoney,
  parseQuantity,
  parseRate,
  parseWindow,
  QUANTITY_MAX,
} from "./units";

const DEFAULT_CLUSTER = lit("weir_sidecar");
const DEFAULT_TIMEOUT_MS: u32 = 2_000;
const DEFAULT_SYNC_MS: u32 = 1_000;
const DEFAULT_BODY_BYTES: u64 = 1 << 20;
const DEFAULT_OUTPUT_TOKENS: u64 = 4096;
const TOKENS_NAME = lit("tokens-");
const COST_NAME = lit("cost-");
const UTC = lit("UTC");
/** The ledger's bound on a model class. */
const CLASS_MAX: i32 = 256;

/** An upper bound of the block that the policy of a document of `bytes` with `values` needs. */
export function blockSize(bytes: i32, values: i32): usize {
  return <usize>bytes * 2 + <usize>values * 256 + 4096;
}

/** Compiles the document on `tape` into the open block. Problems, if any, have been reported: then do not use it. */
export function compile(tape: Tape): Policy {
  const policy = changetype<Policy>(take(offsetof<Policy>()));
  const root = tape.root;
  compileTiers(tape, member(tape, root, "tiers"), policy);
  compilePrices(tape, member(tape, root, "prices"), policy);
  compileKeys(tape, member(tape, root, "keys"), policy);
  compileIdentity(tape, member(tape, root, "identity"), policy);
  const shield = member(tape, root, "shield");
  if (shield >= 0) policy.shield = compileRates(tape, member(tape, shield, "requests"));
  compileLedger(tape, member(tape, root, "ledger"), policy);
  policy.holdHeaders = flag(tape, member(tape, root, "hold_headers"), true);
  checkCost(tape, policy);
  return policy;
}

function compileTiers(tape: Tape, tiers: i32, policy: Policy): void {
  if (tape.count(tiers) == 0) problem(tape, tiers, "at least one tier");
  policy.tierCount = count(tape, tiers);
  policy.tiers = take(<usize>policy.tierCount * offsetof<Tier>());
  let node = first(tape, tiers);
  for (let i = 0; i < policy.tierCount; i++, node = tape.next(node)) {
    const tier = policy.tier(i);
    tier.name = textOf(tape.key(node));
    tier.counters = take(<usize>REASONS * 4);
    if (!isName(tier.name)) problem(tape, node, "a name of at most 32 letters, digits, _ and -");
    if (is(tier.name, "anonymous")) policy.anonymous = changetype<usize>(tier);
    const requests = member(tape, node, "requests");
    if (requests >= 0) {
      tier.rates = compileRates(tape, requests);
      tier.rateCount = max(count(tape, requests), 1);
    }
    tier.outageAllowed = choice(tape, member(tape, node, "outage"), "allow");
    const output = member(tape, node, "output");
    compilePrompt(tape, member(tape, node, "prompt"), tier);
    compileResponse(tape, member(tape, node, "response"), tier);
    if (tier.redacts) policy.redacts = true;
    compileBudgets(tape, node, tier);
    // Without a budget on tokens nothing has to be bounded.
    const longest = member(tape, output, "max_tokens");
    tier.outputTokensMax = quantity(tape, longest, tier.counts ? DEFAULT_OUTPUT_TOKENS : u64.MAX_VALUE);
    if (tier.budgetCount > 0) policy.budgeted = true;
  }
}

function compilePrompt(tape: Tape, node: i32, tier: Tier): void {
  const injection = member(tape, node, "injection");
  tier.injection = <u8>(
    (choice(tape, injection, "off")
      ? Injection.Off
      : choice(tape, injection, "shadow")
        ? Injection.Shadow
        : Injection.Block)
  );
  tier.threshold = <i32>quantity(tape, member(tape, node, "threshold"), 0);
  tier.untrustedThreshold = <i32>(
    quantity(tape, member(tape, node, "untrusted_threshold"), <u64>tier.threshold)
  );
  tier.promptTokensMax = quantity(tape, member(tape, node, "max_tokens"), u64.MAX_VALUE);
  const bytes = member(tape, node, "max_bytes");
  tier.bytesMax = quantity(tape, bytes, DEFAULT_BODY_BYTES);
  if (tier.bytesMax > BODY_BYTES_MAX) problem(tape, bytes, "at most 16Mi");
  tier.unknownShapeAllowed = choice(tape, member(tape, node, "unknown_shape"), "allow");
}

/** Tier names become labels of metrics. */
function isName(name: Slice): bool {
  const len = lenOf(name);
  for (let i = 0; i < len; i++) {
    const b = load<u8>(ptrOf(name) + i);
    const letter = fold(b) >= 97 && fold(b) <= 122;
    if (!letter && (b < 48 || b > 57) && b != 95 && b != 45) return false;
  }
  return len > 0 && len <= 32;
}

/** One rate or a list of them, side by side. */
function compileRates(tape: Tape, node: i32): usize {
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

function compileBudgets(tape: Tape, tierNode: i32, tier: Tier): void {
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
  budget.billingDay = <u8>quantity(tape, member(tape, node, "billing_day"), 1);
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

function compilePrices(tape: Tape, prices: i32, policy: Policy): void {
  policy.priceCount = count(tape, prices);
  policy.prices = take(<usize>policy.priceCount * offsetof<Price>());
  let node = first(tape, prices);
  for (let i = 0; i < policy.priceCount; i++, node = tape.next(node)) {
    const price = changetype<Price>(policy.prices + <usize>i * offsetof<Price>());
    price.model = textOf(tape.key(node));
    price.promptNanos = nanos(tape, member(tape, node, "prompt"));
    price.completionNanos = nanos(tape, member(tape, node, "completion"));
    const cached = member(tape, node, "cached");
    price.cachedNanos = cached >= 0 ? nanos(tape, cached) : price.promptNanos;
  }
}

/** "$2.50" for a million tokens is 2,500 nano-dollars for one. */
function nanos(tape: Tape, node: i32): u64 {
  parseMoney(tape.raw(node));
  return parsedQuantity / 1_000;
}

/** A budget on cost that no price can ever charge would silently let everything pass. */
function checkCost(tape: Tape, policy: Policy): void {
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

function compileKeys(tape: Tape, keys: i32, policy: Policy): void {
  policy.keyCount = count(tape, keys);
  let cells: u32 = 2;
  while (cells < <u32>policy.keyCount * 2) cells <<= 1;
  policy.keyMask = cells - 1;
  policy.keyIndex = take((<usize>cells) << 2);
  policy.keys = take(<usize>policy.keyCount * KEY_SIZE);
  let node = first(tape, keys);
  for (let i = 0; i < policy.keyCount; i++, node = tape.next(node)) {
    const key = changetype<Key>(policy.keys + <usize>i * KEY_SIZE);
    compileKey(tape, node, key, policy);
    if (policy.key(key.digest) != null)
      problem(tape, member(tape, node, "sha256"), "a digest that no other key has");
    let cell = load<u32>(key.digest) & policy.keyMask;
    while (load<u32>(policy.keyIndex + ((<usize>cell) << 2)) != 0) cell = (cell + 1) & policy.keyMask;
    store<u32>(policy.keyIndex + ((<usize>cell) << 2), i + 1);
  }
}

function compileKey(tape: Tape, node: i32, key: Key, policy: Policy): void {
  const digest = ptrOf(tape.raw(member(tape, node, "sha256")));
  for (let b = 0; b < DIGEST; b++) {
    store<u8>(
      key.digest + b,
      <u8>((nibble(load<u8>(digest + 2 * b)) << 4) | nibble(load<u8>(digest + 2 * b + 1))),
    );
  }
  key.subject = textOf(tape.raw(member(tape, node, "subject")));
  const tierNode = member(tape, node, "tier");
  const tierName = textOf(tape.raw(tierNode));
  for (let i = 0; i < policy.tierCount; i++) {
    const tier = policy.tier(i);
    if (eq(tier.name, tierName)) key.tier = changetype<usize>(tier);
  }
  if (!key.tier) problem(tape, tierNode, "the name of a tier in `tiers`");
  key.lane = choice(tape, member(tape, node, "lane"), "batch") ? <u8>Lane.Batch : <u8>Lane.Interactive;
  const notBefore = member(tape, node, "not_before");
  key.notBefore = notBefore >= 0 ? moment(tape, notBefore) : 0;
  const expires = member(tape, node, "expires");
  key.expires = expires >= 0 ? moment(tape, expires) : u64.MAX_VALUE;
  if (key.expires <= key.notBefore) problem(tape, expires, "a moment after not_before");
  key.models = list(tape, member(tape, node, "models"));
  const networks = member(tape, node, "networks");
  key.networkCount = count(tape, networks);
  key.networks = take(<usize>key.networkCount * NETWORK_SIZE);
  let at = key.networks;
  for (let n = first(tape, networks); n >= 0; n = tape.next(n), at += NETWORK_SIZE)
    parseNetwork(tape.raw(n), at);
}

function compileIdentity(tape: Tape, node: i32, policy: Policy): void {
  policy.trustedHops = <i32>quantity(tape, member(tape, node, "trusted_hops"), 0);
  policy.forwardKey = flag(tape, member(tape, node, "forward_key"), false);
  const headers = member(tape, node, "headers");
  policy.keyHeaders = headers < 0 ? 15 : 0;
  for (let n = first(tape, headers); n >= 0; n = tape.next(n)) {
    policy.keyHeaders |= choice(tape, n, "authorization")
      ? 1
      : choice(tape, n, "x-api-key")
        ? 2
        : choice(tape, n, "api-key")
          ? 4
          : 8;
  }
}

function compileLedger(tape: Tape, node: i32, policy: Policy): void {
  const cluster = member(tape, node, "cluster");
  policy.cluster = cluster >= 0 ? textOf(tape.raw(cluster)) : DEFAULT_CLUSTER;
  policy.timeoutMs = duration(tape, member(tape, node, "timeout"), DEFAULT_TIMEOUT_MS);
  policy.syncMs = duration(tape, member(tape, node, "sync"), DEFAULT_SYNC_MS);
  policy.leases = flag(tape, member(tape, node, "leases"), true);
  policy.chargeReported = choice(tape, member(tape, node, "on_expiry"), "charge_reported");
}

function flag(tape: Tape, node: i32, otherwise: bool): bool {
  return node < 0 ? otherwise : is(tape.raw(node), "true");
}

/** Whether the value at `node` (which may be absent) is `text`. */
export function choice(tape: Tape, node: i32, text: string): bool {
  return node >= 0 && is(tape.raw(node), text);
}

/** A count written as a number or with a unit. */
function quantity(tape: Tape, node: i32, otherwise: u64): u64 {
  if (node < 0) return otherwise;
  const raw = tape.raw(node);
  if (tape.kind(node) == Kind.String) return parseQuantity(raw) ? parsedQuantity : otherwise;
  const number = toU64(raw);
  if (number <= QUANTITY_MAX) return number;
  problem(tape, node, "a whole number from 0 to 2^53 - 1");
  return otherwise;
}

function duration(tape: Tape, node: i32, otherwise: u32): u32 {
  if (node < 0) return otherwise;
  parseDuration(tape.raw(node));
  return <u32>parsedMs;
}

function moment(tape: Tape, node: i32): u64 {
  parseMoment(tape.raw(node));
  return parsedSeconds;
}

/** The decoded text of a raw JSON string, copied into the policy. */
export function textOf(raw: Slice): Slice {
  const to = take(<usize>lenOf(raw));
  return slice(to, decode(raw, to, lenOf(raw)));
}

/** An array of strings joined by commas; NONE for an absent one. */
function list(tape: Tape, node: i32): Slice {
  if (node < 0) return NONE;
  let size = count(tape, node);
  for (let n = first(tape, node); n >= 0; n = tape.next(n)) size += lenOf(tape.raw(n));
  const start = take(<usize>size);
  let to = start;
  for (let n = first(tape, node); n >= 0; n = tape.next(n)) {
    if (to != start) store<u8>(to++, 44);
    to += decode(tape.raw(n), to, lenOf(tape.raw(n)));
  }
  return slice(start, <i32>(to - start));
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

// The walk over the document tells absent parts by -1; these carry that through.

export function member(tape: Tape, node: i32, name: string): i32 {
  return node < 0 ? -1 : tape.member(node, name);
}

export function first(tape: Tape, node: i32): i32 {
  return node < 0 || tape.kind(node) > Kind.Array ? -1 : tape.first(node);
}

export function count(tape: Tape, node: i32): i32 {
  return node < 0 || tape.kind(node) > Kind.Array ? 0 : tape.count(node);
}
