// What a request's event says once its exchange is over: how it ended, what it used and cost, what was found in its texts. Goes on
// from observe.ts, whose draft ends here.
import { costOf } from "./budget/amounts";
import { BLAKE2S_DIGEST, blake2sEnd } from "./events/blake2s";
import { Capture, giveBack as giveCaptureBack } from "./events/capture";
import { Draft, giveBack } from "./events/draft";
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
import { Ring } from "./events/ring";
import { openTrace, traceId } from "./events/trace";
import { reserve } from "./memory";
import { Policy } from "./policy/policy";
import { now } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import { actionOf, countOf, marksOf } from "./redact/answer";
import { matchEnd, next } from "./redact/detect";
import { markCount, markEnd, markStart, markType } from "./redact/marks";
import { usePhrases } from "./redact/phrases";
import { API_KEY, JWT, PRIVATE_KEY, TYPE_COUNT } from "./redact/types";
import { matchFrom, matchType, setView } from "./redact/view";
import { Redaction } from "./response-redact-slot";
import { lenOf, NONE, ptrOf, slice, Slice } from "./slice";
import { Phase, Stream } from "./stream";
import {
  cachedTokens,
  cacheWriteHourTokens,
  cacheWriteTokens,
  closeAnswer,
  completionTokens,
  failed,
  finished,
  model,
  outputTokensEstimate,
  promptTokens,
  reasoningTokens,
  seen,
  State,
} from "./usage/usage";
import { Reason, statusOf } from "./verdicts.gen";
import { draftOf, restores } from "./observe";
import { noteSettled, report } from "./observe-report";

const STAR: u8 = 42;
/** Detectors may look 16 bytes past the end of a text. */
const TEXT_BYTES: i32 = 2048;
const TEXT_MARGIN: i32 = 64;

const facts = new Facts();
const digest = reserve(BLAKE2S_DIGEST);
const text = reserve(TEXT_BYTES + TEXT_MARGIN);

/** The exchange is over: its event is written. `charged`: the amounts that were settled, or 0. */
export function finishObserved(stream: Stream, charged: usize): void {
  const draft = draftOf(stream);
  const time = now();
  stream.draft = 0;
  if (load<u64>(ptrOf(traceId(draft.trace))) == 0) openTrace(draft.trace, NONE);
  if (charged) noteSettled(draft.trace);
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
  if (!nginx && ring.isHalfFull) report(ring, stream.policy, time);
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
  facts.cacheWriteHourTokens = cacheWriteHourTokens(answer);
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
    facts.cacheWriteHourTokens,
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
  while (next(p, 0)) {
    p = matchEnd();
    const secret = matchType == API_KEY || matchType == PRIVATE_KEY || matchType == JWT;
    if (secret) memory.fill(matchFrom, STAR, p - matchFrom);
  }
  return slice(text, length);
}
