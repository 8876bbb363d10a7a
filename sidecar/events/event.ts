/**
 * An event as the sidecar hands it on, made from what an edge reported. This is the border: behind it nobody knows the
 * caller's subject or address, only keyed hashes of them, and every text is bounded and of a known form.
 *
 * Bounds: those of proto/weir/v1/events.proto. An event that breaks one is refused by itself.
 */
import {
  Api,
  Ending,
  type Event,
  type Redaction,
  RedactionAction,
  RedactionType,
  Speaker,
  UsageSource,
} from "../gen/weir/v1/events_pb.ts";
import { Meter } from "../gen/weir/v1/ledger_pb.ts";
import type { Pseudonyms } from "./pseudonyms.ts";

export interface WeirEvent {
  /** Of the edge and the event's number there: the same when an edge reports it again. */
  readonly id: string;
  /** By this sidecar's clock, in milliseconds since 1970. */
  readonly endMs: number;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty when the trace begins with this exchange. */
  readonly parentSpanId: string;
  readonly sampled: boolean;
  readonly requestId: string;
  /** Pseudonyms (pseudonyms.ts) of the first segment of the subject, of all of it, and of the client's address. */
  readonly organisation: string;
  readonly subject: string;
  readonly address: string;
  readonly tier: string;
  readonly lane: "interactive" | "batch";
  readonly api: string;
  readonly stream: boolean;
  readonly model: string;
  /** What went upstream, if another. */
  readonly modelSent: string;
  readonly modelAnswered: string;
  readonly verdict: string;
  readonly shadows: readonly string[];
  readonly status: number;
  readonly ending: string;
  readonly score: number;
  readonly rule: string;
  readonly usage: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly cacheWriteTokens: number;
  readonly cacheWriteHourTokens: number;
  readonly reasoningTokens: number;
  /** Micro-dollars. */
  readonly cost: number;
  readonly charges: readonly ChargeOf[];
  readonly durationUs: number;
  /** 0 where no answer came. */
  readonly firstByteUs: number;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** Hexadecimal; empty without a JSON body. */
  readonly promptShape: string;
  /** A pseudonym of the answer's digest; empty without one. */
  readonly answer: string;
  readonly redactions: readonly RedactionOf[];
  readonly promptRedactions: readonly RedactionOf[];
  readonly redactedSpans: readonly SpanOf[];
  readonly promptTexts: readonly TextOf[];
  readonly answerText: string;
  readonly textCut: boolean;
  /** Whom the policy wants to be asked about the texts; the operator's settings decide whether that happens. */
  readonly moderator: ModeratorOf | undefined;
}

export interface ModeratorOf {
  readonly url: string;
  /** Empty: a default. */
  readonly model: string;
  /** The name of a key; empty: none. */
  readonly key: string;
}

export interface ChargeOf {
  readonly budget: string;
  readonly meter: string;
  readonly reserved: number;
  readonly charged: number;
}

export interface RedactionOf {
  readonly type: string;
  readonly action: string;
  readonly count: number;
}

export interface SpanOf {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

export interface TextOf {
  readonly speaker: string;
  readonly text: string;
}

/** What is wrong with an event, or undefined. */
export function problemOf(event: Event): string | undefined {
  const wrong = (what: string, is: boolean): string | undefined => (is ? what : undefined);
  return (
    wrong("trace_id", event.traceId.length !== 16) ??
    wrong("span_id", event.spanId.length !== 8) ??
    wrong("parent_span_id", event.parentSpanId.length !== 0 && event.parentSpanId.length !== 8) ??
    wrong("address", event.address.length !== 0 && event.address.length !== 16) ??
    wrong("subject", long(event.subject, 96)) ??
    wrong("tier", long(event.tier, 32)) ??
    wrong("verdict", !CODE.test(event.verdict)) ??
    wrong("shadows", event.shadows.length > 16 || !event.shadows.every((code) => CODE.test(code))) ??
    wrong("rule", long(event.rule, 128)) ??
    wrong("answer_digest", event.answerDigest.length !== 0 && event.answerDigest.length !== 32) ??
    wrong("charges", event.charges.length > 16 || event.charges.some(({ budget }) => long(budget, 128))) ??
    wrong("redactions", event.redactions.length > 32 || event.promptRedactions.length > 32) ??
    wrong("redacted_spans", event.redactedSpans.length > 64) ??
    wrong("prompt_texts", event.promptTexts.length > 16) ??
    wrong(
      "prompt_texts.text",
      event.promptTexts.some(({ text }) => text.length > 1_024),
    ) ??
    wrong("answer_text", event.answerText.length > 4_096) ??
    wrong("moderator", event.moderator !== undefined && !isModerator(event.moderator))
  );
}

const long = (text: string, most: number): boolean => text.length > most || !PRINTABLE.test(text);
const isModerator = ({ url, model, key }: ModeratorOf): boolean =>
  !long(url, 256) && !long(model, 128) && !long(key, 32);
const PRINTABLE = /^[ -~]*$/;
const CODE = /^[a-z][a-z_]{0,63}$/;
const CONTROL = /[^ -~\u00a0-\u{10ffff}]/gu;

/** Text that a client chose (an id, a model's name): one line, bounded. */
const line = (text: string, most: number): string => text.slice(0, most).replaceAll(CONTROL, "?");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const known = (names: Readonly<Record<number, string>>, value: number): string =>
  value === 0 ? "" : (names[value]?.toLowerCase() ?? "");

/** The event that has passed `problemOf`. `nowMs`: when its report came. */
export function eventOf(event: Event, id: string, nowMs: number, pseudonyms: Pseudonyms): WeirEvent {
  const { subject } = event;
  const organisation = subject.split("/", 1)[0] ?? "";
  return {
    id,
    endMs: nowMs - event.ageMs,
    traceId: hex(event.traceId),
    spanId: hex(event.spanId),
    parentSpanId: hex(event.parentSpanId),
    sampled: (event.traceFlags & 1) === 1,
    requestId: line(event.requestId, 64),
    organisation: subject === "" ? "" : pseudonyms.of("subject", organisation),
    subject: subject === "" ? "" : pseudonyms.of("subject", subject),
    address: event.address.length === 0 ? "" : pseudonyms.of("address", network(event.address)),
    tier: event.tier,
    lane: event.batchLane ? "batch" : "interactive",
    api: known(Api, event.api),
    stream: event.stream,
    model: line(event.model, 128),
    modelSent: line(event.modelSent, 128),
    modelAnswered: line(event.modelAnswered, 128),
    verdict: event.verdict,
    shadows: event.shadows,
    status: event.status,
    ending: known(Ending, event.ending),
    score: event.score,
    rule: event.rule,
    usage: known(UsageSource, event.usage),
    promptTokens: Number(event.promptTokens),
    completionTokens: Number(event.completionTokens),
    cachedTokens: Number(event.cachedTokens),
    cacheWriteTokens: Number(event.cacheWriteTokens),
    cacheWriteHourTokens: Number(event.cacheWriteHourTokens),
    reasoningTokens: Number(event.reasoningTokens),
    cost: Number(event.cost),
    charges: event.charges.map(({ budget, meter, reserved, charged }) => ({
      budget,
      meter: known(Meter, meter),
      reserved: Number(reserved),
      charged: Number(charged),
    })),
    durationUs: Number(event.durationUs),
    firstByteUs: Number(event.firstByteUs),
    requestBytes: Number(event.requestBytes),
    answerBytes: Number(event.answerBytes),
    promptShape: event.promptShape === 0n ? "" : event.promptShape.toString(16).padStart(16, "0"),
    answer: event.answerDigest.length === 0 ? "" : pseudonyms.of("answer", event.answerDigest),
    redactions: event.redactions.map(redactionOf),
    promptRedactions: event.promptRedactions.map(redactionOf),
    redactedSpans: event.redactedSpans.map(({ type, start, end }) => ({
      type: known(RedactionType, type),
      start,
      end,
    })),
    promptTexts: event.promptTexts.map(({ speaker, text }) => ({ speaker: known(Speaker, speaker), text })),
    answerText: event.answerText,
    textCut: event.textCut,
    moderator: event.moderator && {
      url: event.moderator.url,
      model: event.moderator.model,
      key: event.moderator.key,
    },
  };
}

const redactionOf = ({ type, action, count }: Redaction): RedactionOf => ({
  type: known(RedactionType, type),
  action: known(RedactionAction, action),
  count,
});

const IPV4 = Buffer.from("00000000000000000000ffff", "hex");

/** One caller holds an IPv4 address, or an IPv6 /64. */
function network(address: Uint8Array): Uint8Array {
  return IPV4.equals(address.subarray(0, 12)) ? address : address.subarray(0, 8);
}
