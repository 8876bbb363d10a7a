// The filter's own metrics, kept by the host. They are all defined while configuring, so their number is bounded by
// the policy: one counter for each tier and verdict, and the fixed ones of the catalogue. A label is a part of the name,
// `.label.value`, which Envoy's stats_tags and Kong's label_patterns take out again. All are there from the start, at 0,
// so that a rate over them is never without data.
import { reserve } from "./memory";
import { METRICS, Metric, metricIsGauge, metricName } from "./metrics.gen";
import { Policy, Tier } from "./policy/policy";
import { MetricType } from "./proxy-wasm/abi";
import { defineMetric, increment, record } from "./proxy-wasm/host";
import { lit, Slice } from "./slice";
import { Stream } from "./stream";
import { codeOf, Reason, REASONS } from "./verdicts.gen";
import { Writer } from "./writer";

export { Metric } from "./metrics.gen";

const NO_TIER = lit("none");
/** By metric: the host's number for it, what is to be told with the next tick, and what was told of a total that others keep. */
const ids = new StaticArray<i32>(METRICS);
const tallies = new StaticArray<i64>(METRICS);
const told = new StaticArray<u64>(METRICS);
const refusedEarly = reserve(<usize>REASONS * 4);
const name = new Writer(128);
let defined: bool = false;

/** Defines what every policy has, and requests that find none. Configuration only. */
export function defineFixed(): void {
  if (defined) return;
  defined = true;
  for (let i = 0; i < METRICS; i++) {
    const kind = metricIsGauge(i) ? MetricType.Gauge : MetricType.Counter;
    unchecked((ids[i] = defineMetric(kind, name.reset().text(metricName(i)).written)));
  }
  defineRequests(NO_TIER, refusedEarly);
}

/** Defines what `policy` needs. Configuration only. */
export function defineMetrics(policy: Policy): void {
  defineFixed();
  for (let i = 0; i < policy.tierCount; i++) defineRequests(policy.tier(i).name, policy.tier(i).counters);
}

/** weir_requests_total.tier.NAME.verdict.CODE, for every code. */
function defineRequests(tier: Slice, to: usize): void {
  for (let reason = 0; reason < REASONS; reason++) {
    name.reset().text("weir_requests_total.tier.").bytes(tier).text(".verdict.").text(codeOf(reason));
    store<i32>(to + ((<usize>reason) << 2), defineMetric(MetricType.Counter, name.written));
  }
}

export function count(metric: Metric, by: i64 = 1): void {
  increment(unchecked(ids[metric]), by);
}

/** Brings a counter up to `total`, which another file adds up. */
export function countUpTo(metric: Metric, total: u64): void {
  const before = unchecked(told[metric]);
  if (total == before) return;
  count(metric, <i64>(total - before));
  unchecked((told[metric] = total));
}

/** Adds to a counter of quantities, which the host is told of with the next tick instead of in each request. */
export function tally(metric: Metric, by: i64): void {
  unchecked((tallies[metric] += by));
}

/** Tells the host what was added up since it was told last, of requests those of `policy`. */
export function tellTallies(policy: Policy): void {
  for (let i = 0; i < policy.tierCount; i++) {
    const tier = policy.tier(i);
    if (tier.passed != 0) increment(load<i32>(tier.counters + ((<usize>Reason.None) << 2)), tier.passed);
    tier.passed = 0;
  }
  for (let metric = 0; metric < METRICS; metric++) {
    const by = unchecked(tallies[metric]);
    if (by != 0) count(metric, by);
    unchecked((tallies[metric] = 0));
  }
}

export function gauge(metric: Metric, value: u64): void {
  record(unchecked(ids[metric]), value);
}

/** Counts one request under its verdict; a stream without a tier (or none) under the tier "none". The host is told of those
 *  that passed with the next tick. */
export function counted(stream: Stream | null, reason: Reason): void {
  if (stream == null || !stream.tier) {
    increment(load<i32>(refusedEarly + ((<usize>reason) << 2)));
    return;
  }
  const tier = changetype<Tier>(stream.tier);
  if (reason == Reason.None) tier.passed++;
  else increment(load<i32>(tier.counters + ((<usize>reason) << 2)));
}
