/**
 * The sidecar's metrics in Prometheus' format. Labels have few values by construction: names of scripts and of error
 * codes, percentages; never a subject or a budget.
 */
import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";
import type { Extensions } from "./server.ts";

export interface SidecarMetrics {
  /** What the sidecar's hooks feed; spread into the extensions of `startSidecar`. */
  readonly hooks: Pick<Extensions, "onScript" | "onNotices" | "onError" | "onConnectionError" | "http">;
}

/** Makes a registry and the hooks that fill it; GET /metrics serves it. */
export function makeMetrics(): SidecarMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "weir_sidecar_" });
  const registers = [registry];
  const scripts = new Histogram({
    name: "weir_sidecar_redis_script_seconds",
    help: "Time of one ledger script in Redis, with the way there and back.",
    labelNames: ["script", "outcome"],
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1],
    registers,
  });
  const notices = new Counter({
    name: "weir_sidecar_budget_notices_total",
    help: "Budgets that crossed 80 % or 100 % of their limit, once a window each.",
    labelNames: ["percent"],
    registers,
  });
  const errors = new Counter({
    name: "weir_sidecar_errors_total",
    help: "Calls that failed through no fault of the caller.",
    labelNames: ["code"],
    registers,
  });
  const disconnects = new Counter({
    name: "weir_sidecar_redis_connection_errors_total",
    help: "Failures of the connection to Redis, attempts to reconnect included.",
    registers,
  });
  return {
    hooks: {
      onScript: (script, seconds, outcome) => scripts.observe({ script, outcome }, seconds),
      onNotices: (list) => {
        for (const notice of list) notices.inc({ percent: String(notice.percent) });
      },
      onError: (error) => errors.inc({ code: error.code }),
      onConnectionError: () => disconnects.inc(),
      http: (request, response) => {
        if (request.method !== "GET" || request.url !== "/metrics") return false;
        registry.metrics().then(
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
