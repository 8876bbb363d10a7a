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

/** Numbers are no cause of their own: MOVED names the slot of each organisation that asks. */
const numberless = (text: string): string => text.replace(/\d+/g, "N");

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
  /** Writes an error of which `cause` was not told lately. */
  const tell = (error: object, cause: string): void => {
    if (isNew(cause)) write("error", JSON.stringify({ level: "error", ...error }));
  };
  return {
    registry,
    onProblem: (message) => tell({ message }, numberless(message)),
    ...hooks,
    onInvalid: ({ code, message }) => tell({ code, message }, message),
    onError: (error) => {
      hooks.onError?.(error);
      const { code, message } = error;
      const cause = error.cause instanceof Error ? error.cause.message : undefined;
      const what = { code, message, cause };
      tell(what, numberless(JSON.stringify(what)));
    },
    onConnectionError: (reason) => {
      hooks.onConnectionError?.(reason);
      const message = `the connection to Redis failed: ${reason}`;
      tell({ code: "unavailable", message }, message);
    },
    onRedisTrouble: (message) => tell({ message }, message),
    onNotices: (notices) => {
      hooks.onNotices?.(notices);
      for (const { budget, subject, percent } of notices)
        write("notice", JSON.stringify({ level: "notice", budget, subject, percent }));
    },
  };
}
