/**
 * W3C trace context on the sidecar's side: the traceparent that an edge sent with a call, and the span that is open while
 * the call is worked on, so that what happens below it (a script in Redis) becomes its child.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";

export interface Trace {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The trace of a traceparent; undefined for what is none. Edges send version 00 only. */
export function traceOf(traceparent: string | null | undefined): Trace | undefined {
  const [, traceId, spanId, flags] = FORM.exec(traceparent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const newSpanId = (): string => randomBytes(8).toString("hex");

/** The span that is open in this asynchronous context. */
export const openSpan = new AsyncLocalStorage<Trace>();
