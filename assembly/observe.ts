// What of a request's life goes into its event: the flow's side of events/. Called by request.ts, response.ts and root.ts
// where the policy has events; decides nothing about the request. Nothing of this is kept once the event is written.
//
//   headers: trace, id, address ─ body: shape, texts ─ answer: first byte, digest, text ─ log: the event ─ tick: report
import { costOf } from "./budget/amounts";
import { BLAKE2S_DIGEST, blake2sBegin, blake2sEnd, blake2sUpdate } from "./events/blake2s";
import {
  Capture,
  createCaptures,
  giveBack as giveCaptureBack,
  PROMPT_TEXTS_MAX,
  takeCapture,
} from "./events/capture";
import { createDrafts, Draft, giveBack, takeDraft } from "./events/draft";
import {
  addAnswerText,
  addModerator,
  addPromptRedaction,
  addPromptText,
  addRedaction,
  addSpan,
  beginEvent,
  Ending,
  Facts,
  finishEvent,
  markCut,
  UsageSource,
} from "./events/event";
import { finishReport, loseReports, orphanReport, sendReport } from "./events/report";
import { CLUSTER_MAX, Ring, ringAt, ringCount, ringOf, spareRing } from "./events/ring";
import { shapeOf } from "./events/shape";
import { isBegun, openTrace, traceId, traceparent as writeTraceparent } from "./events/trace";
import { TRACEPARENT, TRACESTATE } from "./headers";
import { copyAddress } from "./identity/identity";
import { judgedWhy } from "./inspect/injection";
import { reserve } from "./memory";
import { count, Metric } from "./metrics";
import { Policy, Tier } from "./policy/policy";
import { MapType } from "./proxy-wasm/abi";
import { removeHeader, setHeader } from "./proxy-wasm/headers";
import { now } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import { random } from "./proxy-wasm/random";
import { actionOf, countOf, marksOf, vaultOf } from "./redact/answer";
import { matchEnd, next } from "./redact/detect";
import { markCount, markEnd, markStart, markType } from "./redact/marks";
import { usePhrases } from "./redact/phrases";
import { API_KEY, JWT, PRIVATE_KEY, TYPE_COUNT } from "./redact/types";
import { matchFrom, matchType, setView } from "./redact/view";
import { prompt, tape } from "./request-body";
import { found } from "./request-redact";
import { requestId, traceparent, tracestate } from "./request-headers";
import { Redaction } from "./response-redact-slot";
import { carry } from "./sidecar";
import { lenOf, NONE, ptrOf, slice, Slice } from "./slice";
import { Phase, Stream } from "./stream";
import {
  AnswerKind,
  cachedTokens,
  cacheWriteTokens,
  Channel,
  closeAnswer,
  completionTokens,
  failed,
  finished,
  model,
  nextPiece,
  openAnswer,
  outputTokensEstimate,
  pieces,
  promptTokens,
  reasoningTokens,
  seen,
  spanChannel,
  spanCount,
  spanFlags,
  spanFrom,
  spanTo,
  State,
  WHOLE,
} from "./usage/usage";
import { Reason, statusOf } from "./verdicts.gen";
import { Writer } from "./writer";

const STAR: u8 = 42;
/** Detectors may look 16 bytes past the end of a text. */
const TEXT_BYTES: i32 = 2048;
const TEXT_MARGIN: i32 = 64;

const facts = new Facts();
const digest = reserve(BLAKE2S_DIGEST);
const text = reserve(TEXT_BYTES + TEXT_MARGIN);
/** The trace of the request that was settled last. */
const settled = new Writer(64);

function draftOf(stream: Stream): Draft {
  return changetype<Draft>(stream.draft);
}

// -------------------------------------------------------------------------------------------- configuration, tick

/** Makes what the events of a policy need; false when too many sidecars are named. */
export function configureEvents(policy: Policy): bool {
  if (!policy.events) return true;
  let ring = ringOf(policy.cluster, policy.timeoutMs);
  if (ring == null) {
    ring = lenOf(policy.cluster) > CLUSTER_MAX ? null : spareRing();
    if (ring == null) return false;
    loseReports(ring);
    tellDropped(ring);
    ring.assign(policy.cluster, policy.timeoutMs, random());
  }
  policy.ring = changetype<usize>(ring);
  createDrafts();
  if (policy.eventsText) createCaptures();
  return true;
}

/** The policy ends. What waits for its sidecar still goes there, from the tick of another. */
export function leaveEvents(policy: Policy): void {
  for (let i = 0; i < ringCount; i++) orphanReport(ringAt(i), changetype<usize>(policy));
  if (policy.ring) changetype<Ring>(policy.ring).users--;
}

/** Time passes for `policy`: events that wait are reported. */
export function reportEvents(policy: Policy, time: u64): void {
  for (let i = 0; i < ringCount; i++) send(ringAt(i), changetype<usize>(policy), time);
}

function send(ring: Ring, policy: usize, time: u64): void {
  if (!sendReport(ring, policy, time)) count(Metric.EventFailures);
  tellDropped(ring);
}

function tellDropped(ring: Ring): void {
  if (ring.dropped == ring.droppedTold) return;
  count(Metric.EventsDropped, <i64>(ring.dropped - ring.droppedTold));
  ring.droppedTold = ring.dropped;
}

/** The sidecar has answered (NONE: it has not) the report of ring `number`. */
export function onReported(number: i32, answer: Slice): void {
  const ring = ringAt(number);
  const time = now();
  const delivered = finishReport(ring, answer, time);
  if (delivered < 0) count(Metric.EventFailures);
  else count(Metric.EventsSent, delivered);
  if (ring.isHalfFull) send(ring, ring.asked, time);
}

/** Messages to the ledger that follow belong to the trace of `stream`, until `carryNothing`. */
export function carryTrace(stream: Stream): void {
  if (stream.draft) carry(writeTraceparent(draftOf(stream).trace));
}

/** Messages from the tick belong to the newest request that was settled since the last one. */
export function carrySettled(): void {
  carry(settled.written);
}

export function carryNothing(): void {
  carry(NONE);
}

export function forgetSettled(): void {
  carry(NONE);
  settled.reset();
}

// ---------------------------------------------------------------------------------------------------- the way in

/** A request begins. */
export function observeRequest(stream: Stream, policy: Policy): void {
  const draft = takeDraft();
  if (draft == null) return;
  draft.ring = policy.ring;
  stream.draft = changetype<usize>(draft);
}

/** Its headers have been read. */
export function observeHeaders(stream: Stream): void {
  const draft = draftOf(stream);
  openTrace(draft.trace, traceparent);
  draft.setRequestId(requestId);
}

/** So has the client's address. */
export function observeAddress(stream: Stream): void {
  copyAddress(draftOf(stream).address);
}

/** The upstream's spans are children of this exchange. */
export function forwardTrace(stream: Stream): void {
  const trace = draftOf(stream).trace;
  setHeader(MapType.RequestHeaders, TRACEPARENT, writeTraceparent(trace));
  // The state belongs to a trace that does not go on.
  if (isBegun(trace) && tracestate != NONE) removeHeader(MapType.RequestHeaders, TRACESTATE);
}

/** The body is JSON, and its prompt has been found. */
export function observeBody(stream: Stream, size: i32): void {
  const draft = draftOf(stream);
  draft.requestBytes = size;
  draft.promptShape = shapeOf(tape);
  draft.api = <u8>prompt.shape;
  draft.stream = prompt.stream;
  if (!prompt.modelEscaped) draft.setModel(prompt.model);
}

/** The prompt is as it would go upstream: what must not is out of it. */
export function observePrompt(stream: Stream): void {
  const draft = draftOf(stream);
  if (changetype<Tier>(stream.tier).redactsPrompt) {
    for (let type = 0; type < TYPE_COUNT; type++) {
      draft.setFound(type, <u8>actionOf(found, type), countOf(found, type));
    }
  }
  if (changetype<Policy>(stream.policy).eventsText) keepPrompt(draft);
}

/** The last texts are what is new in a conversation. */
function keepPrompt(draft: Draft): void {
  const capture = takeCapture();
  if (capture == null) return;
  draft.capture = changetype<usize>(capture);
  let from = prompt.count;
  let left = PROMPT_TEXTS_MAX;
  while (from > 0 && left > 0) if (!prompt.isKey(--from)) left--;
  capture.cut = from > 0;
  for (let i = from; i < prompt.count; i++) {
    if (!prompt.isKey(i)) capture.addPrompt(prompt.raw(i), prompt.escaped(i), prompt.trust(i));
  }
}

/** The prompt has been judged. */
export function observeJudgement(stream: Stream): void {
  draftOf(stream).rule = judgedWhy;
}

// -------------------------------------------------------------------------------------------------- the way back

/** The answer's headers are there; with `end`, they are all of it. */
export function observeAnswer(stream: Stream, end: bool): void {
  const draft = draftOf(stream);
  draft.firstByteNs = now();
  draft.answered = end;
}

/** The answer will be read as JSON or as events, as its `kind` says: its text can be kept. */
export function observeForm(stream: Stream, kind: AnswerKind): void {
  const draft = draftOf(stream);
  if (draft.capture == 0) return;
  const capture = changetype<Capture>(draft.capture);
  // What is put back for the client's eyes is not for others'.
  capture.cut = capture.cut || restores(stream);
  if (restores(stream)) return;
  capture.events = kind != AnswerKind.Json;
  capture.reader = changetype<usize>(openAnswer(kind));
}

/** Whether originals of the prompt are put back into the answer. */
function restores(stream: Stream): bool {
  return stream.redaction != 0 && vaultOf(changetype<Redaction>(stream.redaction).answer) != 0;
}

/** The last bytes of the answer are there, read or not. */
export function observeEnd(stream: Stream): void {
  draftOf(stream).answered = true;
}

/** `bytes` of the answer go to the client as they are here; with `last`, no more come. */
export function observeBytes(stream: Stream, bytes: Slice, last: bool): void {
  const draft = draftOf(stream);
  draft.answerBytes += lenOf(bytes);
  if (!draft.digested) blake2sBegin(draft.digest);
  draft.digested = true;
  blake2sUpdate(draft.digest, ptrOf(bytes), lenOf(bytes));
  if (draft.capture) keepAnswer(changetype<Capture>(draft.capture), bytes, last);
}

function keepAnswer(capture: Capture, bytes: Slice, last: bool): void {
  if (capture.reader == 0 || !capture.wantsAnswer) return;
  pieces(changetype<State>(capture.reader), bytes, last);
  while (nextPiece()) {
    for (let i = 0; i < spanCount; i++) {
      if (spanChannel(i) >> 28 != <u32>Channel.Text || repeats(spanFlags(i), capture)) continue;
      capture.addAnswer(slice(spanFrom(i), <i32>(spanTo(i) - spanFrom(i))));
    }
  }
}

/** In a stream, whole texts repeat what came as deltas. */
function repeats(flags: u32, capture: Capture): bool {
  return capture.events && (flags & WHOLE) != 0;
}

// ------------------------------------------------------------------------------------------------------- the end

/** The exchange is over: its event is written. `charged`: the amounts that were settled, or 0. */
export function finishObserved(stream: Stream, charged: usize): void {
  const draft = draftOf(stream);
  const time = now();
  stream.draft = 0;
  if (load<u64>(ptrOf(traceId(draft.trace))) == 0) openTrace(draft.trace, NONE);
  if (charged) settled.reset().bytes(writeTraceparent(draft.trace));
  gather(stream, draft, charged);
  beginEvent(stream, draft, facts, time);
  putFound(draft);
  if (stream.redaction) putRedactions(stream);
  if (draft.capture) {
    putTexts(changetype<Capture>(draft.capture));
    addModerator(changetype<Policy>(stream.policy).moderator);
  }
  const event = finishEvent();
  const ring = changetype<Ring>(draft.ring);
  giveBack(draft);
  if (event == NONE) return;
  ring.push(event, time);
  // nginx takes callouts from the tick alone.
  if (!nginx && ring.isHalfFull) send(ring, stream.policy, time);
}

function gather(stream: Stream, draft: Draft, charged: usize): void {
  facts.clear();
  const answer = changetype<State | null>(stream.answer);
  facts.ending = endingOf(stream, draft, answer);
  facts.status = stream.status;
  if (stream.phase == Phase.Denied) facts.status = statusOf(stream.reason);
  else if (stream.replaced && !nginx) facts.status = statusOf(Reason.AnswerUnreadable);
  facts.charged = charged;
  if (answer != null) gatherUsage(stream, answer);
  else if (stream.brokenOff) gatherUnanswered(stream);
  if (facts.usage != UsageSource.None) gatherCost(stream);
  if (!draft.digested) return;
  blake2sEnd(draft.digest, digest);
  facts.digest = digest;
}

function endingOf(stream: Stream, draft: Draft, answer: State | null): Ending {
  if (stream.phase == Phase.Denied) return Ending.Refused;
  if (stream.reason != Reason.None) return Ending.Withheld;
  if (stream.status == 0) return Ending.BrokenOff;
  if (stream.status >= 400) return Ending.Failed;
  if (answer == null) return draft.answered || nginx ? Ending.Complete : Ending.BrokenOff;
  if (failed(answer)) return Ending.Failed;
  return finished(answer) ? Ending.Complete : Ending.BrokenOff;
}

function gatherUsage(stream: Stream, answer: State): void {
  facts.modelAnswered = model(answer);
  const isTold = seen(answer) && finished(answer);
  facts.usage = isTold ? UsageSource.Reported : UsageSource.Estimated;
  facts.promptTokens = promptTokens(answer);
  // As it is charged where the answer tells the rest.
  if (facts.promptTokens == 0)
    facts.promptTokens = isTold && facts.charged != 0 ? stream.promptTokens : stream.promptEstimate;
  facts.completionTokens = completionTokens(answer);
  if (!isTold) {
    const estimate = stream.boundOutput(outputTokensEstimate(answer));
    facts.completionTokens = max(facts.completionTokens, estimate);
  } else if (promptTokens(answer) == 0) {
    // What of a total is not the prompt that was counted here is charged as output.
    facts.completionTokens = max(facts.completionTokens, stream.completionTokens);
  }
  facts.cachedTokens = cachedTokens(answer);
  facts.cacheWriteTokens = cacheWriteTokens(answer);
  facts.reasoningTokens = reasoningTokens(answer);
}

/** The answer ended before anything of it was there: its prompt had been sent. */
function gatherUnanswered(stream: Stream): void {
  facts.usage = UsageSource.Estimated;
  facts.promptTokens = stream.promptEstimate;
}

function gatherCost(stream: Stream): void {
  const price = changetype<Policy>(stream.policy).price(stream.model);
  if (price == null) return;
  facts.cost = costOf(
    price,
    facts.promptTokens,
    facts.cachedTokens,
    facts.cacheWriteTokens,
    facts.completionTokens,
    facts.reasoningTokens,
  );
}

/** What was found in the prompt. */
function putFound(draft: Draft): void {
  for (let type = 0; type < TYPE_COUNT; type++) {
    if (draft.foundCount(type)) addPromptRedaction(type, draft.foundAction(type), draft.foundCount(type));
  }
}

/** What was found in the answer, and where, unless what was put back has moved it. */
function putRedactions(stream: Stream): void {
  const redaction = changetype<Redaction>(stream.redaction);
  for (let type = 0; type < TYPE_COUNT; type++) {
    const found = countOf(redaction.answer, type);
    if (found) addRedaction(type, actionOf(redaction.answer, type), found);
  }
  if (restores(stream)) return;
  const marks = marksOf(redaction.answer);
  for (let i = 0; i < markCount(marks); i++) {
    addSpan(markType(marks, i), markStart(marks, i), markEnd(marks, i));
  }
}

function putTexts(capture: Capture): void {
  for (let i = 0; i < capture.texts; i++) {
    addPromptText(capture.speaker(i), withoutSecrets(capture.text(i)));
  }
  const answer = capture.answer(text);
  if (lenOf(answer) > 0) addAnswerText(withoutSecrets(answer));
  if (capture.cut) markCut();
  if (capture.reader) closeAnswer(changetype<State>(capture.reader));
  giveCaptureBack(capture);
}

/** The text with keys and tokens starred out: not even a policy that wants texts wants those. */
function withoutSecrets(source: Slice): Slice {
  const length = lenOf(source);
  if (ptrOf(source) != text) memory.copy(text, ptrOf(source), length);
  usePhrases(0);
  setView(text, text + length, true);
  let p = text;
  while (next(p)) {
    p = matchEnd();
    const secret = matchType == API_KEY || matchType == PRIVATE_KEY || matchType == JWT;
    if (secret) memory.fill(matchFrom, STAR, p - matchFrom);
  }
  return slice(text, length);
}
