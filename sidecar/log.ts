/**
 * What a running sidecar tells about itself: metrics, and a log of one JSON object a line. Neither names a key: the
 * sidecar is never shown one, and the addresses of Redis, which may hold a password, stay in `cause` chains of ours.
 */
import type { Registry } from "prom-client";
import { makeMetrics } from "./metrics.ts";
import type { Extensions } from "./server.ts";
import type { Settings } from "./settings.ts";

export interface Observed extends Extensions {
  /** For parts that count for themselves. */
  readonly registry: Registry;
}

/** The hooks of `startSidecar` that count, and log by `write`, a line each. */
export function observed(
  settings: Settings,
  write: (level: "error" | "notice", line: string) => void,
): Observed {
  const { hooks, registry } = makeMetrics(settings.ledger.kind);
  return {
    registry,
    ...hooks,
    onError: (error) => {
      hooks.onError?.(error);
      const cause = error.cause instanceof Error ? error.cause.message : undefined;
      write("error", JSON.stringify({ level: "error", code: error.code, message: error.message, cause }));
    },
    onNotices: (notices) => {
      hooks.onNotices?.(notices);
      for (const { budget, subject, percent } of notices)
        write("notice", JSON.stringify({ level: "notice", budget, subject, percent }));
    },
  };
}
