/**
 * An event in the words of OpenTelemetry's semantic conventions for generative AI (github.com/open-telemetry/
 * semantic-conventions-genai, schema gen-ai 1.42), and the span of its exchange. What the conventions have no name for is
 * `weir.*`. Texts are attributes only when the event has them.
 */
import { type Attributes, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { WeirEvent } from "../events/event.ts";
import type { SpanFacts } from "./records.ts";

/** The operation and, as far as an API tells, the provider. */
const APIS: Readonly<Record<string, readonly [operation: string, provider: string]>> = {
  chat: ["chat", "openai"],
  responses: ["chat", "openai"],
  completions: ["text_completion", "openai"],
  embeddings: ["embeddings", "openai"],
  messages: ["chat", "anthropic"],
  gemini: ["generate_content", "gcp.gemini"],
  ollama_chat: ["chat", "ollama"],
  ollama_generate: ["text_completion", "ollama"],
  interactions: ["generate_content", "gcp.gemini"],
};

const some = <T>(value: T): T | undefined =>
  value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0)
    ? undefined
    : value;

const seconds = (us: number): number => us / 1_000_000;

/** A message of `gen_ai.input.messages` or `gen_ai.output.messages`. */
const message = (role: string, content: string) => ({ role, parts: [{ type: "text", content }] });

function texts(event: WeirEvent): Attributes {
  const { promptTexts, answerText } = event;
  const role = (speaker: string): string => (speaker === "untrusted" ? "tool" : speaker);
  return {
    ...(promptTexts.length > 0 && {
      "gen_ai.input.messages": JSON.stringify(
        promptTexts.map(({ speaker, text }) => message(role(speaker), text)),
      ),
    }),
    ...(answerText !== "" && {
      "gen_ai.output.messages": JSON.stringify([message("assistant", answerText)]),
    }),
  };
}

/** Why the exchange is an error; undefined when it is none. */
export function errorTypeOf({ ending, verdict, status }: WeirEvent): string | undefined {
  if (ending === "refused" || ending === "withheld") return verdict;
  if (ending === "failed") return status >= 400 ? String(status) : "error_in_stream";
  return ending === "broken_off" ? "broken_off" : undefined;
}

/** Everything that is known of an event, by the conventions' names. Undefined ones are left out by the exporter. */
export function attributesOf(event: WeirEvent): Attributes {
  const [operation, provider] = APIS[event.api] ?? ["chat", "unknown"];
  const usage = event.usage !== "";
  const all: Record<string, Attributes[string]> = {
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": some(event.model),
    "gen_ai.request.stream": some(event.stream),
    "gen_ai.response.model": some(event.modelAnswered),
    "gen_ai.response.time_to_first_chunk":
      event.stream && event.firstByteUs > 0 ? seconds(event.firstByteUs) : undefined,
    "gen_ai.usage.input_tokens": usage ? event.promptTokens : undefined,
    "gen_ai.usage.output_tokens": usage ? event.completionTokens : undefined,
    "gen_ai.usage.cache_read.input_tokens": some(event.cachedTokens),
    "gen_ai.usage.cache_write.input_tokens": some(event.cacheWriteTokens),
    "gen_ai.usage.reasoning.output_tokens": some(event.reasoningTokens),
    "error.type": errorTypeOf(event),
    "http.response.status_code": some(event.status),
    "http.request.body.size": some(event.requestBytes),
    "http.response.body.size": some(event.answerBytes),
    "weir.usage.cache_write_hour.input_tokens": some(event.cacheWriteHourTokens),
    "weir.event.id": event.id,
    "weir.request.id": some(event.requestId),
    "weir.organisation": some(event.organisation),
    "weir.subject": some(event.subject),
    "weir.address": some(event.address),
    "weir.tier": some(event.tier),
    "weir.lane": event.lane,
    "weir.model.sent": some(event.modelSent),
    "weir.verdict": event.verdict,
    "weir.shadows": some([...event.shadows]),
    "weir.ending": event.ending,
    "weir.injection.score": event.score,
    "weir.injection.rule": some(event.rule),
    "weir.usage.source": some(event.usage),
    "weir.cost.microdollars": some(event.cost),
    "weir.first_byte.duration": event.firstByteUs > 0 ? seconds(event.firstByteUs) : undefined,
    "weir.prompt.shape": some(event.promptShape),
    "weir.answer.digest": some(event.answer),
    "weir.budgets": some(event.charges.map(({ budget }) => budget)),
    "weir.budgets.reserved": some(event.charges.map(({ reserved }) => reserved)),
    "weir.budgets.charged": some(event.charges.map(({ charged }) => charged)),
    "weir.redactions": some(event.redactions.map(({ type, count }) => `${type}:${count}`)),
    "weir.prompt.redactions": some(event.promptRedactions.map(({ type, count }) => `${type}:${count}`)),
    ...texts(event),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** The span of the exchange, as the filter saw it. */
export function spanOf(event: WeirEvent): SpanFacts {
  const error = errorTypeOf(event);
  const attributes = attributesOf(event);
  return {
    name: `${attributes["gen_ai.operation.name"]}${event.model === "" ? "" : ` ${event.model}`}`,
    kind: SpanKind.CLIENT,
    traceId: event.traceId,
    spanId: event.spanId,
    parentSpanId: event.parentSpanId,
    startMs: event.endMs - event.durationUs / 1_000,
    endMs: event.endMs,
    attributes,
    status:
      error === undefined ? { code: SpanStatusCode.UNSET } : { code: SpanStatusCode.ERROR, message: error },
  };
}
