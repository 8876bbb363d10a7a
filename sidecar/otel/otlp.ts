/**
 * OTLP over HTTP with protobuf, by OpenTelemetry's own exporters, which bound, compress and repeat their requests. In
 * front of each stands a queue of ours, because a queue that is full must say so in a metric.
 *
 * Bounds: QUEUE_MAX spans and as many log records wait, as far as queue.ts has room for their characters; BATCH in a request, which
 * takes PATIENCE times its timeout at most.
 */
import { Agent } from "node:http";
import { Agent as SecureAgent } from "node:https";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { type Outcome, Queue, Refused } from "../events/queue.ts";
import { type LogFacts, readableLog, readableSpan, type Scope, type SpanFacts } from "./records.ts";

const QUEUE_MAX = 8_192;
const BATCH = 512;
const LINGER_MS = 500;
/** Of a request, each of which an exporter tries again within its timeout: a collector may be away for a minute, as when it is restarted. */
const ATTEMPTS = 6;
/** An exporter's own timeout is for silence, and for trying again: of a receiver that never ends its answer it waits for ever. */
const PATIENCE = 2;
const SCOPE: Scope = {
  name: "weir",
  version: "1",
  schemaUrl: "https://opentelemetry.io/schemas/gen-ai/1.42.0",
};

export interface OtlpSettings {
  /** Whole URLs; empty: that signal is not sent. */
  readonly tracesUrl: string;
  readonly logsUrl: string;
  /** Sent with each request; may hold a key. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** What tells this process from others: service.name and more. */
  readonly resource: Readonly<Record<string, string>>;
}

export interface OtlpHooks {
  readonly onOutcome: (signal: "traces" | "logs", outcome: Outcome, count: number) => void;
  readonly onFailure: (signal: "traces" | "logs", error: unknown) => void;
}

export interface Otlp {
  /** Whether spans go anywhere. */
  readonly traces: boolean;
  span(facts: SpanFacts): void;
  /** The share of a signal's queue that is taken. */
  used(signal: "traces" | "logs"): number;
  /** Whether log records go anywhere. */
  readonly logs: boolean;
  log(facts: LogFacts, settled?: (outcome: Outcome) => void): void;
  close(graceMs: number): Promise<void>;
}

interface Exporter<T> {
  export(items: T[], done: (result: { code: number; error?: Error }) => void): void;
}

/** What an exporter says that it could not do, with what it knows of the answer. */
function failureOf(error: Error | undefined): Error {
  if (error?.name !== "OTLPExporterError") return error ?? new Error("the receiver refused");
  const { code } = error as { code?: unknown };
  if (code !== undefined) return new Refused(`the receiver answered ${code}`);
  return new Error("the receiver answered 429, 502, 503 or 504");
}

function exportAll<T>(exporter: Exporter<T>, items: readonly T[]): Promise<void> {
  return new Promise((resolve, reject) => {
    exporter.export([...items], ({ code, error }) => {
      if (code === 0) resolve();
      else reject(failureOf(error));
    });
  });
}

/** The characters in attributes: texts of events make most of them. */
function charsOf({ attributes }: { readonly attributes: object }): number {
  return Object.values(attributes).reduce(
    (sum: number, value) => sum + (typeof value === "string" ? value.length : 0),
    0,
  );
}

export function openOtlp(settings: OtlpSettings, hooks: OtlpHooks): Otlp {
  const { headers, timeoutMs } = settings;
  const resource = resourceFromAttributes({ ...settings.resource });
  const common = { headers: { ...headers }, timeoutMillis: timeoutMs, concurrencyLimit: 1 };

  /** The settings of an exporter to `url`, and what breaks off the request that it is at. */
  const connectionTo = (url: string) => {
    const agent = new (new URL(url).protocol === "https:" ? SecureAgent : Agent)({ keepAlive: true });
    return { config: { ...common, url, httpAgentOptions: () => agent }, breakOff: () => agent.destroy() };
  };

  const queueOf = <T extends { readonly attributes: object }>(
    signal: "traces" | "logs",
    exporter: Exporter<T>,
    breakOff: () => void,
  ): Queue<T> =>
    new Queue<T>({
      max: QUEUE_MAX,
      batch: BATCH,
      lingerMs: LINGER_MS,
      attempts: ATTEMPTS,
      chars: charsOf,
      deliver: (items) => {
        const timer = setTimeout(breakOff, PATIENCE * timeoutMs);
        return exportAll(exporter, items).finally(() => clearTimeout(timer));
      },
      onOutcome: (outcome, count) => hooks.onOutcome(signal, outcome, count),
      onFailure: (error) => hooks.onFailure(signal, error),
    });

  const toTraces = settings.tracesUrl === "" ? undefined : connectionTo(settings.tracesUrl);
  const toLogs = settings.logsUrl === "" ? undefined : connectionTo(settings.logsUrl);
  const spans = toTraces && queueOf("traces", new OTLPTraceExporter(toTraces.config), toTraces.breakOff);
  const logs = toLogs && queueOf("logs", new OTLPLogExporter(toLogs.config), toLogs.breakOff);
  return {
    traces: spans !== undefined,
    span: (facts) => spans?.push(readableSpan(facts, resource, SCOPE)),
    logs: logs !== undefined,
    used: (signal) => (signal === "traces" ? spans : logs)?.used ?? 0,
    log: (facts, settled) => logs?.push(readableLog(facts, resource, SCOPE), settled),
    // The exporters are left alone: shut down, each waits for its request, which may take as long as its timeout.
    close: async (graceMs) => {
      await Promise.all([spans?.close(graceMs), logs?.close(graceMs)]);
    },
  };
}
