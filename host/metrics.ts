// Counters, gauges and histograms that guests define; readable by tests and printed by the gateway.
//
// A metric's id is (index << 2 | kind), as in Envoy, so the kind is known without a look-up. Definitions with one
// name and kind are one metric, also over several VMs. Values are JavaScript numbers: exact up to 2^53. A histogram
// keeps count, sum and its last samples (64 at most).

export const MetricKind = { Counter: 0, Gauge: 1, Histogram: 2 } as const;
const KIND_MASK = 3;
const SAMPLES_MAX = 64;

export interface Metric {
  readonly name: string;
  readonly kind: number;
  /** Counter and gauge: the value. Histogram: the sum of the samples. */
  value: number;
  /** Histogram: how many samples there were. */
  count: number;
  readonly samples: number[];
}

export class Metrics {
  readonly #metrics: Metric[] = [];
  readonly #ids = new Map<string, number>();

  /** The id of the metric; -1 when there is no such kind. */
  define(kind: number, name: string): number {
    if (kind < 0 || kind > MetricKind.Histogram) return -1;
    const key = `${kind}${name}`;
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = ((this.#metrics.push({ name, kind, value: 0, count: 0, samples: [] }) - 1) << 2) | kind;
    this.#ids.set(key, id);
    return id;
  }

  byId(id: number): Metric | undefined {
    const metric = this.#metrics[id >>> 2];
    return metric?.kind === (id & KIND_MASK) ? metric : undefined;
  }

  record(metric: Metric, value: number): void {
    if (metric.kind === MetricKind.Gauge) {
      metric.value = value;
      return;
    }
    metric.value += value;
    metric.count++;
    if (metric.kind !== MetricKind.Histogram) return;
    if (metric.samples.length === SAMPLES_MAX) metric.samples.shift();
    metric.samples.push(value);
  }

  /** The metric called `name`, for tests. */
  find(name: string): Metric | undefined {
    return this.#metrics.find((metric) => metric.name === name);
  }

  /** The value of the counter or gauge `name`; 0 when it was never defined. */
  value(name: string): number {
    return this.find(name)?.value ?? 0;
  }

  all(): readonly Metric[] {
    return this.#metrics;
  }
}
