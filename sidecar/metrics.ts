/**
 * The sidecar's metrics in Prometheus' format, as catalog/sidecar-metrics.json lists them. Labels have few values by
 * construction (names of methods, scripts and error codes; percentages; never a subject or a budget), and where they are
 * closed every series is there from the start, at 0, so that a rate over it is never without data.
 *
 * Beside them stand the process' own under the names that everybody's dashboards know: process_*, nodejs_*.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import catalog from "../catalog/sidecar-metrics.json" with { type: "json" };
import project from "../package.json" with { type: "json" };
import type { Ledger } from "./ledger/types.ts";
import type { Extensions } from "./server.ts";

/** An entry of the catalogue. */
export interface SidecarMetric {
  readonly name: string;
  readonly kind: string;
  readonly labels: readonly string[];
  /** Labels whose values are closed. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** Of a histogram, in seconds. */
  readonly buckets?: readonly number[];
  readonly help: string;
}

export interface SidecarMetrics {
  /** What the sidecar's hooks feed; spread into the extensions of `startSidecar`. */
  readonly hooks: Pick<
    Extensions,
    | "onScript"
    | "onCall"
    | "onReports"
    | "onNotices"
    | "onUntold"
    | "onError"
    | "onConnectionError"
    | "onRedisForgets"
    | "http"
  >;
  /** For parts that count for themselves. */
  readonly registry: Registry;
}

type Labels = Record<string, string>;

/** Every combination of the labels' values; none when a label is open. */
function seriesOf({ labels, values = {} }: SidecarMetric): Labels[] {
  return labels.reduce<Labels[]>(
    (made, label) =>
      made.flatMap((one) => (values[label] ?? []).map((value) => ({ ...one, [label]: value }))),
    [{}],
  );
}

/** Makes every metric of `list` in `registry`. Throws where the catalogue names a kind that there is not. */
export function define(list: readonly SidecarMetric[], registry: Registry): void {
  for (const metric of list) {
    const { name, help, labels, kind } = metric;
    const common = { name, help, labelNames: [...labels], registers: [registry] };
    if (kind === "counter") {
      const counter = new Counter(common);
      for (const series of seriesOf(metric)) counter.inc(series, 0);
    } else if (kind === "histogram") {
      const histogram = new Histogram({ ...common, ...(metric.buckets && { buckets: [...metric.buckets] }) });
      for (const series of seriesOf(metric)) histogram.zero(series);
    } else if (kind === "gauge") {
      const gauge = new Gauge(common);
      for (const series of seriesOf(metric)) gauge.set(series, 0);
    } else throw new Error(`${name}: ${kind}: expected counter, gauge or histogram`);
  }
}

/** Makes a registry and the hooks that fill it; GET /metrics serves it. `ledger` says which store there is. */
export function makeMetrics(ledger: "embedded" | "redis"): SidecarMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  define(catalog, registry);
  const metric = <T>(name: string) => registry.getSingleMetric(`weir_sidecar_${name}`) as T;
  const count = (name: string, labels: Labels = {}) => metric<Counter>(name).inc(labels);
  const observe = (name: string, labels: Labels, seconds: number) =>
    metric<Histogram>(name).observe(labels, seconds);
  const set = (name: string, labels: Labels, value: number) => metric<Gauge>(name).set(labels, value);
  set("info", { version: project.version, ledger }, 1);

  const scrape = async (store: Ledger): Promise<string> => {
    set("ledger_ready", {}, await store.ready().catch(() => 0));
    return registry.metrics();
  };

  /** The page that is being made: who asks meanwhile gets it, too, so that many who ask at once do not keep the ledger waiting. */
  let page: Promise<string> | undefined;

  return {
    registry,
    hooks: {
      onScript: (script, seconds, outcome) => observe("redis_script_seconds", { script, outcome }, seconds),
      onCall: (method, seconds, outcome) => {
        count("calls_total", { method, outcome });
        observe("call_seconds", { method }, seconds);
      },
      onReports: (statuses) => {
        for (const status of statuses) count("reports_total", { status });
      },
      onNotices: (list) => {
        for (const notice of list) count("budget_notices_total", { percent: String(notice.percent) });
      },
      onUntold: (notices) => set("notices_untold", {}, notices),
      onError: (error) => count("errors_total", { code: error.code }),
      onConnectionError: () => count("redis_connection_errors_total"),
      onRedisForgets: (forgets) => set("redis_forgets", {}, forgets ? 1 : 0),
      http: (request, response, store) => {
        if (request.method !== "GET" || request.url !== "/metrics") return false;
        page ??= scrape(store).finally(() => {
          page = undefined;
        });
        page.then(
          (text) => {
            response.setHeader("content-type", registry.contentType);
            response.end(text);
          },
          () => {
            response.statusCode = 500;
            response.end();
          },
        );
        return true;
      },
    },
  };
}
