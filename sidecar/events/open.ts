/**
 * Everything that happens to events in the sidecar, put together from the settings:
 *
 *   Report ─ new? ─ sound? ─ pseudonyms ─┬─ JSON lines
 *                                        ├─ OTLP: a span and a log record
 *                                        ├─ moderation ─ flagged ─▶ line, log record, webhook
 *                                        └─ detection ─ anomaly ─▶ line, log record, webhook
 *   notices of budgets ─────────────────────────────────────────────────────────────▶ line, log record, webhook
 *
 * Each place has a queue of its own, so that one which is slow or away takes nothing from the others, from the edges or
 * from the ledger. Secrets of the settings go to where they belong and nowhere else.
 */
import { SeverityNumber } from "@opentelemetry/api-logs";
import type { Registry } from "prom-client";
import { reasonOf } from "../errors.ts";
import { attributesOf, errorTypeOf, spanOf } from "../otel/genai.ts";
import { type Otlp, openOtlp } from "../otel/otlp.ts";
import type { LogFacts } from "../otel/records.ts";
import { aroundCalls, scriptSpans } from "../otel/spans.ts";
import type { Extensions } from "../server.ts";
import { openDetection } from "./detection.ts";
import type { WeirEvent } from "./event.ts";
import { type Lines, openLines, type Told, toldOf } from "./lines.ts";
import { eventMetrics } from "./metrics.ts";
import type { Flagged } from "./moderation.ts";
import { openModerators } from "./moderators.ts";
import { noticeTeller, type Place } from "./notices.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import { eventMethods, eventService, serveEvents } from "./service.ts";
import type { EventsSettings } from "./settings.ts";
import { openWebhooks, type Webhooks } from "./webhook.ts";

/** How long a stop waits for what is on its way out. */
const CLOSE_GRACE_MS = 3_000;

export interface EventsOptions {
  /** Where the parts count: that of makeMetrics. */
  readonly registry: Registry;
  /** A place could not be reached, or an event was not sound. One line, without secrets. */
  readonly onProblem?: (what: string) => void;
}

export interface EventsPart {
  /** To be combined with others for `startSidecar`. */
  readonly extensions: Required<
    Pick<Extensions, "routes" | "methods" | "around" | "onScript" | "tellNotice">
  >;
  close(): Promise<void>;
}

const INFO = { number: SeverityNumber.INFO, text: "INFO" };
const WARN = { number: SeverityNumber.WARN, text: "WARN" };

/** Log attributes of what is not an event: one level, dotted names. */
function flat({ type: _, ...members }: Told): LogFacts["attributes"] {
  const entries = Object.entries(members).filter(
    ([, value]) => value !== undefined && typeof value !== "object",
  );
  return Object.fromEntries(entries.map(([name, value]) => [`weir.${name}`, value as string]));
}

function requestLog(event: WeirEvent): LogFacts {
  const { traceId, spanId, sampled, endMs, verdict, ending, status } = event;
  return {
    eventName: "weir.request",
    timeMs: endMs,
    severity: errorTypeOf(event) === undefined ? INFO : WARN,
    body: `${event.model === "" ? "request" : event.model}: ${verdict}, ${ending} (${status})`,
    attributes: attributesOf(event) as LogFacts["attributes"],
    span: { traceId, spanId, sampled },
  };
}

function toldLog(told: Told, timeMs: number, span?: LogFacts["span"]): LogFacts {
  return {
    eventName: `weir.${told.type}`,
    timeMs,
    severity: WARN,
    body: told.type,
    attributes: flat(told),
    ...(span && { span }),
  };
}

function toldFlagged({ event, parts, categories }: Flagged) {
  const { id, traceId, subject, organisation, tier, model, answer } = event;
  return {
    type: "flagged",
    event: id,
    trace_id: traceId,
    subject,
    organisation,
    tier,
    model,
    answer,
    parts: parts.join(","),
    categories: categories.join(","),
  };
}

/** Where notices of budgets go. */
function noticePlaces(lines: Lines | undefined, otlp: Otlp, webhooks: Webhooks | undefined): Place[] {
  const places: Place[] = [];
  if (lines)
    places.push(({ timeMs, ...notice }, settled) =>
      lines.write({ type: "budget.notice", ...notice, time: new Date(timeMs).toISOString() }, settled),
    );
  if (otlp.logs)
    places.push(({ timeMs, ...notice }, settled) =>
      otlp.log(toldLog({ type: "budget.notice", ...notice }, timeMs), settled),
    );
  if (webhooks)
    places.push(({ id, timeMs, ...data }, settled) =>
      webhooks.send("budget.notice", data, { id, timeMs, settled }),
    );
  return places;
}

/** Opens every place that the settings name. Rejects with WeirError when one cannot be opened. */
export async function openEvents(settings: EventsSettings, options: EventsOptions): Promise<EventsPart> {
  const metrics = eventMetrics(options.registry);
  const problem = (place: string) => (error: unknown) => options.onProblem?.(`${place}: ${reasonOf(error)}`);
  const pseudonyms = new Pseudonyms(settings.pseudonymKey);
  const lines: Lines | undefined =
    settings.file === ""
      ? undefined
      : await openLines(settings.file, metrics.sink("lines"), problem("lines"));
  const otlp = openOtlp(settings.otlp, {
    onOutcome: (signal, outcome, count) => metrics.sink(signal)(outcome, count),
    onFailure: (signal, error) => problem(`OTLP ${signal}`)(error),
  });
  const webhooks: Webhooks | undefined =
    settings.webhook.url === ""
      ? undefined
      : openWebhooks({
          ...settings.webhook,
          onOutcome: metrics.sink("webhook"),
          onFailure: problem("webhook"),
        });

  const tell = (told: Told, span?: LogFacts["span"]): void => {
    lines?.write({ ...told, time: new Date().toISOString() });
    otlp.log(toldLog(told, Date.now(), span));
  };

  const onFlagged = (flagged: Flagged): void => {
    const { traceId, spanId, sampled } = flagged.event;
    const told = toldFlagged(flagged);
    tell(told, { traceId, spanId, sampled });
    const { type: _, ...data } = told;
    webhooks?.send("content.flagged", { ...data, parts: flagged.parts, categories: flagged.categories });
  };

  const moderation = openModerators({
    allowed: settings.moderators,
    onFlagged,
    onOutcome: metrics.moderated,
    onFailure: problem("moderation"),
  });

  metrics.watch({
    lines: () => lines?.used ?? 0,
    traces: () => otlp.used("traces"),
    logs: () => otlp.used("logs"),
    webhook: () => webhooks?.used ?? 0,
    moderation: () => moderation.used,
  });

  const detection = openDetection((found) => {
    metrics.anomaly(found);
    tell(found);
    const { type, ...data } = found;
    webhooks?.send(type, data);
  });

  const take = (event: WeirEvent): void => {
    lines?.write(toldOf(event));
    if (event.sampled) otlp.span(spanOf(event));
    otlp.log(requestLog(event));
    moderation.take(event);
    detection.take(event);
  };

  const service = eventService(pseudonyms, take, {
    onReport: metrics.reported,
    onRefused: (field) => options.onProblem?.(`an event was refused: ${field} is not as events.proto says`),
  });
  return {
    extensions: {
      routes: (router) => serveEvents(router, service),
      methods: eventMethods(service),
      around: aroundCalls(otlp),
      onScript: scriptSpans(otlp),
      tellNotice: noticeTeller(noticePlaces(lines, otlp, webhooks), pseudonyms),
    },
    close: async () => {
      detection.close();
      // What moderation flags while it ends still has places to go to.
      await moderation.close(CLOSE_GRACE_MS);
      await Promise.all([
        lines?.close(CLOSE_GRACE_MS),
        otlp.close(CLOSE_GRACE_MS),
        webhooks?.close(CLOSE_GRACE_MS),
      ]);
    },
  };
}
