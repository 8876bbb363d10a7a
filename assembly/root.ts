// Root contexts: one for each configuration that the host gives this VM. On Kong one instance serves the routes of
// all configurations, so nothing about a policy is kept in one global.
import { orphanAcquires } from "./budget/acquire";
import { emptyPurses, unsettled } from "./budget/purse";
import { debtsHeld, debtsLost, debtsSettled, orphanDebts, sendDebts } from "./budget/repay";
import { lostReports, orphanLeases, sendReports } from "./budget/settle";
import { createDebts } from "./debts";
import { mix } from "./hash";
import { seedKeys } from "./json/keys";
import { heldCount } from "./budget/held";
import { useClassifier, useRules } from "./inspect/injection";
import { configureMemo, memoEvictions, memoHits, memoMisses } from "./inspect/memo";
import { askForRules, forgetRules, shareRules, takeRules, tickPeriod } from "./own-rules";
import { ARENA_BESIDE_BODY, BODY_BYTES_MAX, POLICY_BYTES_MAX, ROOTS_MAX } from "./limits";
import { reserve } from "./memory";
import { countUpTo, defineFixed, defineMetrics, gauge, Metric, tellTallies } from "./metrics";
import { CLASSIFIER, packAt, packLength, RULES } from "./packs";
import { closeBlock } from "./policy/block";
import { block, loadPolicy, problemCount, problemLine } from "./policy/load";
import { Policy } from "./policy/policy";
import { NS_PER_MS } from "./policy/units";
import { carrySettled, configureEvents, forgetSettled, leaveEvents, reportEvents } from "./observe-report";
import { BufferType, LogLevel } from "./proxy-wasm/abi";
import { arenaCapacity, arenaPeak, arenaReserve, arenaReset } from "./proxy-wasm/arena";
import { bufferBytes, log, now, setTickPeriod } from "./proxy-wasm/host";
import { learnHost, nginx } from "./proxy-wasm/kind";
import { random } from "./proxy-wasm/random";
import { seedSip } from "./redact/sip";
import { createOriginals, createSlots, OUTPUT_BYTES } from "./response-redact-slot";
import { sharedCreate, sharedGet } from "./proxy-wasm/shared-data";
import { GROWTH_MAX } from "./rewrite";
import { createShards } from "./shards";
import { acquireCalls, eventCalls, failedCalls, rulesCalls, settleCalls } from "./sidecar";
import { lenOf, lit, ptrOf, slice, Slice } from "./slice";
import { openStream, served, streamsOpen } from "./stream";
import { configureTokens } from "./tokens/count";
import { Writer } from "./writer";

/** A root with its policy. All zero: a free place. */
@unmanaged
class Root {
  context: u32;
  policy: Policy | null;
  /** The memory that the policy is in (policy/block.ts). */
  block: usize;
}

const roots = reserve(<usize>ROOTS_MAX * offsetof<Root>());
/** The root that was found last: most streams are of the same one as the stream before. */
let latest: Root = rootAt(0);
const line = new Writer(2304);
const SEED = lit("weir.seed");
const seedBytes = reserve(8);

/** The process's seed for tags: the same in all workers, so that they agree on who is who. */
export let seed: u64 = 0;

/** A policy of this VM has had budgets: leases and debts may be left of it when no policy has any more. */
let budgeted: bool = false;

// Room for the first configuration, before anything is known of bodies.
arenaReserve(1 << 20);

function rootAt(number: i32): Root {
  return changetype<Root>(roots + <usize>number * offsetof<Root>());
}

function numberOf(root: Root): i32 {
  return <i32>((changetype<usize>(root) - roots) / offsetof<Root>());
}

/** The root of a context; of 0, a free place. */
function findRoot(context: u32): Root | null {
  if (latest.context == context) return latest;
  for (let i = 0; i < ROOTS_MAX; i++) {
    if (rootAt(i).context == context) return (latest = rootAt(i));
  }
  return null;
}

/** A context has begun: a stream of the root `parent`, or a root if there is none. */
export function onContextCreate(context: u32, parent: u32): void {
  if (parent == 0) return;
  const root = findRoot(parent);
  if (root == null) return;
  const stream = openStream(context);
  if (stream != null) stream.policy = changetype<usize>(root.policy);
}

/**
 * Reads the policy of a root context; false, with every problem in the log, when it is not acceptable.
 *
 * Envoy tries each policy on a VM of its own first, so one that is wrong is refused there. A worker's VM in which a configuration
 * fails serves none of its others any more either: Envoy lets their requests pass as if there were no filter. So what
 * only fails there, beside others, for want of room, is taken, and its requests find no policy: they are refused.
 *
 * Kong tries nothing. Where a filter does not start it keeps all filter chains as they were, and a service that is new is served
 * without one. So there whatever fails is taken like that.
 */
export function onConfigure(context: u32, size: i32): bool {
  if (configure(context, size)) return true;
  // What was refused may have filled it.
  arenaReset();
  if (!learnsHost() || (!nginx && !servesAny())) return false;
  defineFixed();
  return !fail(
    nginx
      ? "requests of this configuration are refused with 503"
      : "requests of this configuration are refused with 503, as it finds no room beside the others",
  );
}

/** Creates the process's seed, unless it is there, and learns of it which host this is; false: there is no shared data. */
function learnsHost(): bool {
  store<u64>(seedBytes, random());
  if (!sharedCreate(SEED, slice(seedBytes, 8))) return false;
  learnHost(SEED);
  return true;
}

function servesAny(): bool {
  for (let i = 0; i < ROOTS_MAX; i++) if (rootAt(i).context != 0) return true;
  return false;
}

function configure(context: u32, size: i32): bool {
  let root = findRoot(context);
  if (root == null) root = findRoot(0);
  if (root == null) return fail("too many configurations in one VM: expected at most 256");
  const text = bufferBytes(BufferType.PluginConfiguration, size);
  if (size == 0 || (size <= POLICY_BYTES_MAX && lenOf(text) != size))
    return fail("the plugin configuration is missing: expected a policy in JSON");
  const policy = loadPolicy(text, size);
  if (policy == null) return refused();
  if (!prepare(policy)) {
    closeBlock(block);
    return false;
  }
  inheritRules(policy);
  forget(root);
  budgeted = budgeted || policy.budgeted;
  root.context = context;
  root.policy = policy;
  root.block = block;
  setTickPeriod(tickPeriod(policy));
  return true;
}

/** A policy with the same rules as one that is being served need not wait for them. */
function inheritRules(policy: Policy): void {
  for (let i = 0; i < ROOTS_MAX; i++) {
    const served = rootAt(i).policy;
    if (served != null) shareRules(served, policy);
  }
}

/** What serving a policy needs beside itself. */
function prepare(policy: Policy): bool {
  if (now() == 0)
    return fail("the host has no monotonic clock, which rates and leases go by (WASI's clock_time_get)");
  let bodyMax: u64 = 0;
  for (let i = 0; i < policy.tierCount; i++)
    bodyMax = max(bodyMax, min(policy.tier(i).bytesMax, BODY_BYTES_MAX));
  // The body, its longest text normalised, the body redacted, and that rewritten; or an answer that is held whole.
  const bodies: usize = policy.redactsPrompts ? 4 : 3;
  arenaReserve(max(<usize>bodyMax * bodies + GROWTH_MAX, <usize>OUTPUT_BYTES) + ARENA_BESIDE_BODY);
  configureTokens(<i32>bodyMax);
  if (packAt(RULES) && !useRules(packAt(RULES), packLength(RULES)))
    return fail("the attached rules are of another version: build the filter again");
  if (packAt(CLASSIFIER) && !useClassifier(packAt(CLASSIFIER), packLength(CLASSIFIER)))
    return fail("the attached classifier is of another version: build the filter again");
  defineMetrics(policy);
  if (!learnsHost() || !createShards() || !createDebts()) {
    return fail("shared data has no room for the limits: on Kong raise the shm_kv zone (16 MiB is plenty)");
  }
  seed = load<u64>(ptrOf(sharedGet(SEED)));
  // All workers of a process give a value the same hash; how keys are looked up is nobody's business.
  seedSip(mix(seed), mix(~seed));
  seedKeys(random(), random());
  configureMemo(random(), random());
  if (policy.redacts) createSlots();
  if (policy.restores) createOriginals();
  if (!configureEvents(policy))
    return fail("the policies of one VM name more sidecars than 4 for their events");
  return true;
}

function fail(text: string): bool {
  log(LogLevel.Critical, line.reset().text("weir: ").text(text).written);
  return false;
}

function refused(): bool {
  for (let i = 0; i < problemCount(); i++) {
    log(LogLevel.Critical, line.reset().text("weir: policy: ").bytes(problemLine(i)).written);
  }
  return false;
}

/** A context has ended; if it was a root, its policy's memory is free again. */
export function onRootDelete(context: u32): void {
  const root = findRoot(context);
  if (root != null) forget(root);
}

function forget(root: Root): void {
  const policy = root.policy;
  if (policy != null) {
    const at = changetype<usize>(policy);
    tellTallies(policy);
    forgetRules(policy, numberOf(root));
    emptyPurses(true);
    orphanAcquires(at, now());
    orphanLeases(at);
    orphanDebts(at);
    leaveEvents(policy);
    closeBlock(root.block);
  }
  root.context = 0;
  root.policy = null;
  root.block = 0;
}

/** The sidecar has answered what the root's policy asked for (NONE: it has not). */
export function onRulesCompiled(number: i32, answer: Slice): void {
  const policy = rootAt(number).policy;
  if (policy != null) takeRules(policy, answer, now());
}

/** Time passes: rules are asked for, leases are looked after, and gauges told. */
export function onTick(context: u32): void {
  const root = findRoot(context);
  if (root == null) return;
  const policy = root.policy!;
  const time = now();
  if (policy.awaitsRules) askForRules(policy, numberOf(root), time);
  if (budgeted && isDue(policy, time)) {
    emptyPurses(false);
    carrySettled();
    sendReports(policy, time);
    sendDebts(policy, time);
    forgetSettled();
  }
  reportEvents(policy, time);
  tellCounts();
  tellTallies(policy);
  // What a VM holds that serves nobody, as that of Envoy's main thread, would stand in the place of a worker's.
  if (served) {
    gauge(Metric.StreamsOpen, streamsOpen());
    gauge(Metric.LeasesHeld, heldCount());
    gauge(Metric.ArenaPeakBytes, arenaPeak());
  }
  gauge(Metric.DebtsHeld, debtsHeld);
  gauge(Metric.ArenaBytes, arenaCapacity());
  gauge(Metric.MemoryBytes, (<u64>memory.size()) << 16);
}

/**
 * Whether leases and debts are to be looked after now. They belong to all policies with this ledger, of which each has a tick: what one
 * has just done is not done again, or many policies would keep a worker busy that serves nobody. It does not count for those that wait
 * longer for the ledger: they may be answered where that one never is.
 */
function isDue(policy: Policy, time: u64): bool {
  if (time - policy.lookedAfterNs < (<u64>policy.syncMs * NS_PER_MS) / 2) return false;
  for (let i = 0; i < ROOTS_MAX; i++) {
    const other = rootAt(i).policy;
    if (other == null) continue;
    if (other.ledgerTag == policy.ledgerTag && other.timeoutMs <= policy.timeoutMs)
      other.lookedAfterNs = time;
  }
  return true;
}

/** Tells what leaves count themselves. */
function tellCounts(): void {
  countUpTo(Metric.CalloutsPurposeAcquire, acquireCalls);
  countUpTo(Metric.CalloutsPurposeSettle, settleCalls);
  countUpTo(Metric.CalloutsPurposeRules, rulesCalls);
  countUpTo(Metric.CalloutsPurposeEvents, eventCalls);
  countUpTo(Metric.LedgerFailures, failedCalls);
  countUpTo(Metric.LostReports, lostReports + debtsLost);
  countUpTo(Metric.DebtsSettled, debtsSettled);
  countUpTo(Metric.Unsettled, unsettled);
  countUpTo(Metric.MemoHits, memoHits);
  countUpTo(Metric.MemoMisses, memoMisses);
  countUpTo(Metric.MemoEvictions, memoEvictions);
}
