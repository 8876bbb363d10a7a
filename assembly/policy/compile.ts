// From a document that the schema accepted to a compiled policy. What a schema cannot say is checked here: names
// that must refer to something, and limits that could never act. Every problem is reported, not only the first.
import { hash64 } from "../hash";
import { Tape } from "../json/tape";
import { BODY_BYTES_MAX } from "../limits";
import { REVERSIBLE } from "../redact/types";
import { fold, is, lenOf, lit, ptrOf, Slice } from "../slice";
import { REASONS } from "../verdicts.gen";
import { take } from "./block";
import { checkAnswers, checkCost, compileBudgets, compilePrices, compileRates } from "./budgets";
import { compileClaims } from "./claims";
import { checkDowngrades, compileDowngrades, compileOutage } from "./fallbacks";
import { compileEvents } from "./events";
import { compileKeys } from "./keys";
import { Injection, Policy, Tier } from "./policy";
import { problem } from "./problems";
import { choice, count, duration, first, flag, member, quantity, textOf } from "./read";
import { compileRedaction, hasAction, hasActions, phrases } from "./redaction";
import { compileResponse } from "./response";
import { compileRoutes } from "./routes";
import { compileRules, ownRulesBytes } from "./rules";

const DEFAULT_CLUSTER = lit("weir_sidecar");
const DEFAULT_TIMEOUT_MS: u32 = 2_000;
const DEFAULT_SYNC_MS: u32 = 1_000;
const DEFAULT_BODY_BYTES: u64 = 1 << 20;
const DEFAULT_OUTPUT_TOKENS: u64 = 4096;

/** An upper bound of the block that the policy on `tape`, a document of `bytes`, needs. */
export function blockSize(tape: Tape, bytes: i32): usize {
  const rules = member(tape, tape.root, "rules");
  return <usize>bytes * 2 + <usize>tape.length * 256 + 4096 + ownRulesBytes(count(tape, rules));
}

/** Compiles the document on `tape` into the open block. Problems, if any, have been reported: then do not use it. */
export function compile(tape: Tape): Policy {
  const policy = changetype<Policy>(take(offsetof<Policy>()));
  const root = tape.root;
  compileTiers(tape, member(tape, root, "tiers"), policy);
  compilePrices(tape, member(tape, root, "prices"), policy);
  compileKeys(tape, member(tape, root, "keys"), policy);
  compileRoutes(tape, member(tape, root, "routes"), policy);
  compileRules(tape, member(tape, root, "rules"), policy);
  compileIdentity(tape, member(tape, root, "identity"), policy);
  const shield = member(tape, root, "shield");
  if (shield >= 0) policy.shield = compileRates(tape, member(tape, shield, "requests"));
  compileLedger(tape, member(tape, root, "ledger"), policy);
  compileEvents(tape, member(tape, root, "events"), policy);
  policy.holdHeaders = flag(tape, member(tape, root, "hold_headers"), true);
  checkCost(tape, policy);
  checkDowngrades(tape, policy);
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
    if (is(tier.name, "none"))
      problem(tape, node, 'another name: metrics say "none" of requests without a tier');
    if (is(tier.name, "anonymous")) policy.anonymous = changetype<usize>(tier);
    const requests = member(tape, node, "requests");
    if (requests >= 0) {
      tier.rates = compileRates(tape, requests);
      tier.rateCount = max(count(tape, requests), 1);
    }
    const output = member(tape, node, "output");
    compilePrompt(tape, member(tape, node, "prompt"), tier);
    compileResponse(tape, member(tape, node, "response"), tier);
    if (tier.redacts || tier.restores) policy.redacts = true;
    if (tier.redactsPrompt) policy.redactsPrompts = true;
    if (tier.restores) policy.restores = true;
    compileBudgets(tape, node, tier);
    compileOutage(tape, member(tape, node, "outage"), tier);
    compileDowngrades(tape, member(tape, node, "downgrade"), tier);
    // Without a budget on tokens nothing has to be bounded.
    const longest = member(tape, output, "max_tokens");
    tier.outputTokensMax = atLeastOne(tape, longest, tier.counts ? DEFAULT_OUTPUT_TOKENS : u64.MAX_VALUE);
    checkAnswers(tape, node, tier);
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
  tier.systemShadowed = choice(tape, member(tape, node, "system_injection"), "shadow");
  tier.threshold = <i32>quantity(tape, member(tape, node, "threshold"), 0);
  tier.untrustedThreshold = <i32>(
    quantity(tape, member(tape, node, "untrusted_threshold"), <u64>tier.threshold)
  );
  tier.promptTokensMax = atLeastOne(tape, member(tape, node, "max_tokens"), u64.MAX_VALUE);
  const bytes = member(tape, node, "max_bytes");
  tier.bytesMax = atLeastOne(tape, bytes, DEFAULT_BODY_BYTES);
  if (tier.bytesMax > BODY_BYTES_MAX) problem(tape, bytes, "at most 16Mi");
  tier.unknownShapeAllowed = choice(tape, member(tape, node, "unknown_shape"), "allow");
  tier.promptRedactions = compileRedaction(tape, node);
  tier.promptPhrases = phrases;
  tier.redactsPrompt = hasActions(tier.promptRedactions);
  tier.restores = hasAction(tier.promptRedactions, REVERSIBLE);
}

/** The most that something may have, which must let something pass. */
function atLeastOne(tape: Tape, node: i32, otherwise: u64): u64 {
  const most = quantity(tape, node, otherwise);
  if (most == 0) problem(tape, node, "at least 1, as nothing could pass");
  return most;
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

function compileIdentity(tape: Tape, node: i32, policy: Policy): void {
  policy.trustedHops = <i32>quantity(tape, member(tape, node, "trusted_hops"), 0);
  policy.forwardKey = flag(tape, member(tape, node, "forward_key"), false);
  compileClaims(tape, member(tape, node, "claims"), policy);
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
  policy.ledgerTag = hash64(policy.cluster, 0);
  policy.timeoutMs = duration(tape, member(tape, node, "timeout"), DEFAULT_TIMEOUT_MS);
  policy.syncMs = duration(tape, member(tape, node, "sync"), DEFAULT_SYNC_MS);
  policy.leases = flag(tape, member(tape, node, "leases"), true);
  policy.chargeReported = choice(tape, member(tape, node, "on_expiry"), "charge_reported");
}
