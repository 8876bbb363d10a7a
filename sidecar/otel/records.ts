/**
 * Spans and log records as the OpenTelemetry SDK's exporters take them. They are made here and not by a tracer, because
 * most of them describe what another process did: their ids, parents and times are given, not drawn.
 */
import type { Attributes, HrTime, SpanKind, SpanStatus } from "@opentelemetry/api";
import type { LogAttributes, SeverityNumber } from "@opentelemetry/api-logs";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";

export interface SpanFacts {
  readonly name: string;
  readonly kind: SpanKind;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a trace's first span. */
  readonly parentSpanId: string;
  /** Milliseconds since 1970, with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly status: SpanStatus;
}

export interface LogFacts {
  readonly eventName: string;
  readonly timeMs: number;
  readonly severity: { readonly number: SeverityNumber; readonly text: string };
  readonly body: string;
  readonly attributes: LogAttributes;
  /** The span that it belongs to. */
  readonly span?: { readonly traceId: string; readonly spanId: string; readonly sampled: boolean };
}

export interface Scope {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl?: string;
}

const SAMPLED = 1;

function hrTime(ms: number): HrTime {
  const whole = Math.floor(ms / 1_000);
  return [whole, Math.round((ms - whole * 1_000) * 1_000_000)];
}

export function readableSpan(facts: SpanFacts, resource: Resource, scope: Scope): ReadableSpan {
  const { traceId, spanId, parentSpanId, startMs, endMs } = facts;
  return {
    name: facts.name,
    kind: facts.kind,
    spanContext: () => ({ traceId, spanId, traceFlags: SAMPLED }),
    ...(parentSpanId !== "" && {
      parentSpanContext: { traceId, spanId: parentSpanId, traceFlags: SAMPLED, isRemote: true },
    }),
    startTime: hrTime(startMs),
    endTime: hrTime(endMs),
    duration: hrTime(Math.max(endMs - startMs, 0)),
    status: facts.status,
    attributes: facts.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

export function readableLog(facts: LogFacts, resource: Resource, scope: Scope): ReadableLogRecord {
  const { span } = facts;
  return {
    hrTime: hrTime(facts.timeMs),
    hrTimeObserved: hrTime(Date.now()),
    ...(span && {
      spanContext: { traceId: span.traceId, spanId: span.spanId, traceFlags: span.sampled ? SAMPLED : 0 },
    }),
    severityNumber: facts.severity.number,
    severityText: facts.severity.text,
    eventName: facts.eventName,
    body: facts.body,
    attributes: facts.attributes,
    resource,
    instrumentationScope: scope,
    droppedAttributesCount: 0,
  };
}
