/** Counts the events' way through the sidecar, in the metrics of catalog/sidecar-metrics.json. */
import type { Counter, Gauge, Registry } from "prom-client";
import type { Outcome } from "./queue.ts";
import type { EventHooks } from "./service.ts";

type Sink = "lines" | "traces" | "logs" | "webhook";

export interface EventMetrics {
  readonly reported: NonNullable<EventHooks["onReport"]>;
  /** Counts what became of items on their way to one place. */
  sink(name: Sink): (outcome: Outcome, count: number) => void;
  /** How full queues are is asked at each scrape. */
  watch(queues: Readonly<Record<Sink | "moderation", () => number>>): void;
  readonly moderated: (outcome: string, count: number) => void;
  readonly anomaly: (found: { readonly severity: string; readonly class: string }) => void;
}

/** `registry` has the catalogue's metrics. */
export function eventMetrics(registry: Registry): EventMetrics {
  const counter = (name: string) => registry.getSingleMetric(`weir_sidecar_${name}`) as Counter;
  return {
    reported: (counts) => {
      for (const [outcome, count] of Object.entries(counts)) counter("events_total").inc({ outcome }, count);
    },
    sink: (sink) => (outcome, count) => counter("sink_items_total").inc({ sink, outcome }, count),
    watch: (queues) => {
      const gauge = registry.getSingleMetric("weir_sidecar_queue_used_ratio") as Gauge & {
        collect?: () => void;
      };
      gauge.collect = () => {
        for (const [sink, used] of Object.entries(queues)) gauge.set({ sink }, used());
      };
    },
    moderated: (outcome, count) => counter("moderations_total").inc({ outcome }, count),
    anomaly: (found) => counter("anomalies_total").inc({ severity: found.severity, class: found.class }),
  };
}
