// Writes one event (proto/weir/v1/events.proto) into a buffer of its own, from where it goes into a ring. Everything in it
// is bounded where it comes from; an event that would not fit all the same is not written.
import { Tier } from "../policy/policy";
import { eq, NONE, Slice, slice } from "../slice";
import { Stream } from "../stream";
import { codeOf, Reason } from "../verdicts.gen";
import { putBytes, putFixed64, putNumber, putVarint } from "../wire";
import { Writer } from "../writer";
import { Draft } from "./draft";
import { EVENT_BYTES_MAX } from "./ring";
import { isBegun, parentId, spanId, traceFlags, traceId } from "./trace";
import { putString } from "./utf8";

export enum Ending {
  Complete = 1,
  Refused = 2,
  Withheld = 3,
  Failed = 4,
  BrokenOff = 5,
}

export enum UsageSource {
  None = 0,
  Reported = 1,
  Estimated = 2,
}

/** What is known when an exchange has ended, beside what the stream and its draft have. */
export class Facts {
  ending: Ending = Ending.Complete;
  status: i32 = 0;
  usage: UsageSource = UsageSource.None;
  promptTokens: u64 = 0;
  completionTokens: u64 = 0;
  cachedTokens: u64 = 0;
  cacheWriteTokens: u64 = 0;
  cacheWriteHourTokens: u64 = 0;
  reasoningTokens: u64 = 0;
  cost: u64 = 0;
  modelAnswered: Slice = NONE;
  /** The digest of the answer (32 bytes), or 0. */
  digest: usize = 0;
  /** Amounts charged to the budgets that apply, in their order; 0: nothing was settled. */
  charged: usize = 0;

  clear(): void {
    this.ending = Ending.Complete;
    this.status = 0;
    this.usage = UsageSource.None;
    this.promptTokens = 0;
    this.completionTokens = 0;
    this.cachedTokens = 0;
    this.cacheWriteTokens = 0;
    this.cacheWriteHourTokens = 0;
    this.reasoningTokens = 0;
    this.cost = 0;
    this.modelAnswered = NONE;
    this.digest = 0;
    this.charged = 0;
  }
}

const NS_PER_US: u64 = 1_000;
const SHADOWED = Reason.InjectionDetected;
const AGE_KEY: u8 = (1 << 3) | 5;

const event = new Writer(EVENT_BYTES_MAX);
const part = new Writer(1024);

/** Starts the event of `stream`; `add…` go on, and `finishEvent` ends it. */
export function beginEvent(stream: Stream, draft: Draft, facts: Facts, endNs: u64): void {
  // The age is filled in when it is sent.
  event.reset().byte(AGE_KEY).byte(0).byte(0).byte(0).byte(0);
  putTrace(draft);
  putString(event, 6, draft.requestId);
  putBytes(event, 7, stream.subject);
  putBytes(event, 8, addressOf(draft));
  if (stream.tier) putBytes(event, 9, changetype<Tier>(stream.tier).name);
  putNumber(event, 10, stream.lane);
  putNumber(event, 11, draft.api);
  putNumber(event, 12, draft.stream ? 1 : 0);
  putModels(stream, draft, facts);
  putText(16, codeOf(stream.reason));
  if (stream.shadowed) putText(17, codeOf(SHADOWED));
  putNumber(event, 18, facts.status);
  putNumber(event, 19, facts.ending);
  putNumber(event, 20, stream.score);
  putBytes(event, 21, draft.rule);
  putUsage(facts);
  if (facts.charged) putCharges(stream, facts.charged);
  putNumber(event, 30, (endNs - stream.startNs) / NS_PER_US);
  if (draft.firstByteNs) putNumber(event, 31, (draft.firstByteNs - stream.startNs) / NS_PER_US);
  putNumber(event, 32, draft.requestBytes);
  putNumber(event, 33, draft.answerBytes);
  if (draft.promptShape) putFixed64(event, 34, draft.promptShape);
  if (facts.digest) putBytes(event, 35, slice(facts.digest, 32));
}

function putTrace(draft: Draft): void {
  const trace = draft.trace;
  putBytes(event, 2, traceId(trace));
  putBytes(event, 3, spanId(trace));
  if (!isBegun(trace)) putBytes(event, 4, parentId(trace));
  putNumber(event, 5, traceFlags(trace));
}

/** Nothing but zeros is no address: the request was refused before it was read. */
function addressOf(draft: Draft): Slice {
  const at = draft.address;
  return load<u64>(at) == 0 && load<u64>(at, 8) == 0 ? NONE : slice(at, 16);
}

function putModels(stream: Stream, draft: Draft, facts: Facts): void {
  putString(event, 13, draft.model);
  if (!eq(stream.model, draft.model)) putString(event, 14, stream.model);
  putString(event, 15, facts.modelAnswered);
}

function putUsage(facts: Facts): void {
  putNumber(event, 22, facts.usage);
  putNumber(event, 23, facts.promptTokens);
  putNumber(event, 24, facts.completionTokens);
  putNumber(event, 25, facts.cachedTokens);
  putNumber(event, 26, facts.cacheWriteTokens);
  putNumber(event, 27, facts.reasoningTokens);
  putNumber(event, 28, facts.cost);
  putNumber(event, 43, facts.cacheWriteHourTokens);
}

function putCharges(stream: Stream, charged: usize): void {
  const tier = changetype<Tier>(stream.tier);
  let n = 0;
  for (let mask = stream.budgetMask; mask != 0; mask &= mask - 1, n++) {
    const budget = tier.budget(ctz<u32>(mask));
    part.reset();
    putBytes(part, 1, budget.name);
    putNumber(part, 2, budget.meter);
    putNumber(part, 3, stream.reserved(n));
    putNumber(part, 4, load<u64>(charged + ((<usize>n) << 3)));
    putBytes(event, 29, part.written);
  }
}

/** What was found of one type in the answer. */
export function addRedaction(type: i32, action: i32, count: u32): void {
  putRedaction(36, type, action, count);
}

/** Likewise in the prompt. */
export function addPromptRedaction(type: i32, action: i32, count: u32): void {
  putRedaction(41, type, action, count);
}

function putRedaction(field: u32, type: i32, action: i32, count: u32): void {
  part.reset();
  putNumber(part, 1, type + 1);
  putNumber(part, 2, action);
  putNumber(part, 3, count);
  putBytes(event, field, part.written);
}

export function addSpan(type: i32, start: u32, end: u32): void {
  part.reset();
  putNumber(part, 1, type + 1);
  putNumber(part, 2, start);
  putNumber(part, 3, end);
  putBytes(event, 37, part.written);
}

export function addPromptText(speaker: i32, text: Slice): void {
  part.reset();
  putNumber(part, 1, speaker + 1);
  putString(part, 2, text);
  putBytes(event, 38, part.written);
}

export function addAnswerText(text: Slice): void {
  putString(event, 39, text);
}

export function markCut(): void {
  putNumber(event, 40, 1);
}

/** Who is to be asked about the texts; `message` as the policy has it. */
export function addModerator(message: Slice): void {
  putBytes(event, 42, message);
}

/** The event, valid until the next one begins; empty if it did not fit. */
export function finishEvent(): Slice {
  return event.overflow ? NONE : event.written;
}

/** A string field with an ASCII literal. */
function putText(field: u32, text: string): void {
  putVarint(event, (field << 3) | 2);
  putVarint(event, text.length);
  event.text(text);
}
