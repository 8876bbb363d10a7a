/**
 * What a running sidecar tells about itself: metrics, and a log of one JSON object a line. Neither names a key: the
 * sidecar is never shown one, and the addresses of Redis, which may hold a password, stay in `cause` chains of ours.
 */
import type { Registry } from "prom-client";
import { makeMetrics } from "./metrics.ts";
import type { Extensions } from "./server.ts";
import type { Settings } from "./settings.ts";

/** What fails or is asked wrongly is so with every request: a line for each message, again after a minute. */
const REPEAT_MS = 60_000;
/** Messages that are known again. */
const MESSAGES_MAX = 64;

export interface Observed extends Extensions {
  /** For parts that count for themselves. */
  readonly registry: Registry;
  /** A place of the events fails, or an event is refused: a line, like all errors. */
  readonly onProblem: (message: string) => void;
}

/** The hooks of `startSidecar` that count, and log by `write`, a line each. */
export function observed(
  settings: Settings,
  write: (level: "error" | "notice", line: string) => void,
): Observed {
  const { hooks, registry } = makeMetrics(settings.ledger.kind);
  const told = new Map<string, number>();
  const isNew = (message: string): boolean => {
    const now = performance.now();
    if (now - (told.get(message) ?? Number.NEGATIVE_INFINITY) < REPEAT_MS) return false;
    if (told.size === MESSAGES_MAX) told.clear();
    told.set(message, now);
    return true;
  };
  return {
    registry,
    onProblem: (message) => {
      if (isNew(message.replace(/\d+/g, "N"))) write("error", JSON.stringify({ level: "error", message }));
    },
    ...hooks,
    onInvalid: ({ code, message }) => {
      if (isNew(message)) write("error", JSON.stringify({ level: "error", code, message }));
    },
    onError: (error) => {
      hooks.onError?.(error);
      const cause = error.cause instanceof Error ? error.cause.message : undefined;
      const line = JSON.stringify({ level: "error", code: error.code, message: error.message, cause });
      // Numbers are no cause of their own: MOVED names the slot of each organisation that asks.
      if (isNew(line.replace(/\d+/g, "N"))) write("error", line);
    },
    onConnectionError: (reason) => {
      hooks.onConnectionError?.(reason);
      const message = `the connection to Redis failed: ${reason}`;
      if (isNew(message)) write("error", JSON.stringify({ level: "error", code: "unavailable", message }));
    },
    onRedisTrouble: (message) => {
      if (isNew(message)) write("error", JSON.stringify({ level: "error", message }));
    },
    onNotices: (notices) => {
      hooks.onNotices?.(notices);
      for (const { budget, subject, percent } of notices)
        write("notice", JSON.stringify({ level: "notice", budget, subject, percent }));
    },
  };
}
