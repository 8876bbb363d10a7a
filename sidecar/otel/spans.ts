/**
 * Spans of the sidecar's own work: one for each call that an edge made in a sampled trace, and one below it for each
 * script that ran in Redis for it. Without a place to send them, or without a trace, calls run as if this were not here.
 */
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { newSpanId, openSpan, traceOf } from "./context.ts";
import type { Otlp } from "./otlp.ts";

/** Works on a call; `path` is "/weir.v1.Ledger/Acquire", `traceparent` what came with it. */
export type Around = <T>(path: string, traceparent: string | undefined, work: () => Promise<T>) => Promise<T>;

export function aroundCalls(otlp: Otlp): Around {
  return async (path, traceparent, work) => {
    const parent = otlp.traces ? traceOf(traceparent) : undefined;
    if (!parent?.sampled) return work();
    const { traceId } = parent;
    const spanId = newSpanId();
    const startMs = Date.now();
    const started = performance.now();
    let code: string | undefined;
    try {
      return await openSpan.run({ traceId, spanId, sampled: true }, work);
    } catch (thrown) {
      code = String((thrown as { code?: unknown }).code ?? "internal");
      throw thrown;
    } finally {
      const method = path.slice(1);
      otlp.span({
        name: method,
        kind: SpanKind.SERVER,
        traceId,
        spanId,
        parentSpanId: parent.spanId,
        startMs,
        endMs: startMs + performance.now() - started,
        attributes: {
          "rpc.system.name": "grpc",
          "rpc.method": method,
          ...(code !== undefined && { "error.type": code }),
        },
        status: code === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR },
      });
    }
  };
}

/** Tells of a script that has run for `seconds`, now, in the span that is open. */
export function scriptSpans(otlp: Otlp): (name: string, seconds: number, outcome: string) => void {
  return (name, seconds, outcome) => {
    const parent = openSpan.getStore();
    if (!parent) return;
    const endMs = Date.now();
    otlp.span({
      name: `EVALSHA ${name}`,
      kind: SpanKind.CLIENT,
      traceId: parent.traceId,
      spanId: newSpanId(),
      parentSpanId: parent.spanId,
      startMs: endMs - seconds * 1_000,
      endMs,
      attributes: {
        "db.system.name": "redis",
        "db.operation.name": "EVALSHA",
        "db.stored_procedure.name": name,
        "weir.script.outcome": outcome,
        ...(outcome === "error" && { "error.type": "unavailable" }),
      },
      status: outcome === "error" ? { code: SpanStatusCode.ERROR } : { code: SpanStatusCode.UNSET },
    });
  };
}
