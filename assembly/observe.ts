// What of a request's life goes into its event: the flow's side of events/. Called by request.ts and response.ts where the policy
// has events; decides nothing about the request. Nothing of this is kept once the event is written (observe-end.ts).
//
//   headers: trace, id, address ─ body: shape, texts ─ answer: first byte, digest, text ─ log: the event ─ tick: report
import { blake2sBegin, blake2sUpdate } from "./events/blake2s";
import { Capture, PROMPT_TEXTS_MAX, takeCapture } from "./events/capture";
import { Draft, takeDraft } from "./events/draft";
import { shapeOf } from "./events/shape";
import { isBegun, openTrace, traceparent as writeTraceparent } from "./events/trace";
import { TRACEPARENT, TRACESTATE } from "./headers";
import { copyAddress } from "./identity/identity";
import { judgedWhy } from "./inspect/injection";
import { Policy, Tier } from "./policy/policy";
import { MapType } from "./proxy-wasm/abi";
import { removeHeader, setHeader } from "./proxy-wasm/headers";
import { now } from "./proxy-wasm/host";
import { actionOf, countOf, vaultOf } from "./redact/answer";
import { TYPE_COUNT } from "./redact/types";
import { prompt, tape } from "./request-body";
import { found } from "./request-redact";
import { requestId, traceparent, tracestate } from "./request-headers";
import { Redaction } from "./response-redact-slot";
import { lenOf, NONE, ptrOf, slice, Slice } from "./slice";
import { Stream } from "./stream";
import {
  AnswerKind,
  Channel,
  nextPiece,
  openAnswer,
  pieces,
  spanChannel,
  spanCount,
  spanFlags,
  spanFrom,
  spanTo,
  State,
  WHOLE,
} from "./usage/usage";

export function draftOf(stream: Stream): Draft {
  return changetype<Draft>(stream.draft);
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
export function restores(stream: Stream): bool {
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
