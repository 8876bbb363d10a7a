// The way back: what happens to an answer, in the order in which it happens, with every branch that it can take.
//
//   headers ─ status ─ rate headers ─ how to read ─┐
//   body ──── usage ─ redact ─────────────────────▶ client
//   log ───── settle
//
// A stream settles exactly once, when it ends, whatever ends it: an answer read to its end, a client that left, an
// upstream that failed. What an answer may not contain never leaves: whatever cannot be read or followed is withheld.
import { cancelAcquire } from "./budget/acquire";
import { appliedBudget, charge } from "./budget/amounts";
import { settleDebt } from "./budget/outage";
import { settleLocally } from "./budget/reserve";
import {
  CONTENT_ENCODING,
  CONTENT_TYPE,
  JSON_TYPE,
  SHOULD_RETRY,
  STATUS,
  WEIR_BUDGET_WARNING,
  WEIR_MODEL,
  WEIR_VERDICT,
} from "./headers";
import { breakOff, NO_RETRY } from "./deny";
import { channelsLeft } from "./fair-share";
import { NOT_WHOLE } from "./json/text";
import { BUDGETS_MAX } from "./limits";
import { reserve } from "./memory";
import { Form, formOf, kindOf } from "./media-type";
import { count, counted, Metric, tally } from "./metrics";
import { OnAbort, Policy, Rate, Tier } from "./policy/policy";
import { observeAnswer, observeBytes, observeEnd, observeForm } from "./observe";
import { finishObserved } from "./observe-end";
import { Action, BufferType, MapType } from "./proxy-wasm/abi";
import { removeHeader, setHeader } from "./proxy-wasm/headers";
import { bufferBytes, bufferBytesFrom, now, prependBuffer, replaceBuffer } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import { secondsUp, setRateHeaders } from "./rate-headers";
import { followExtent } from "./redact/extent";
import { gaveUp, isRedirected, isTooLarge, isUnasked } from "./response-details";
import { redactChunk, withholdChunk } from "./response-redact";
import { beginRedaction, closeRedaction, matchesOf, Redaction } from "./response-redact-slot";
import {
  claimed,
  encoding,
  forgetBytes,
  forgetClaims,
  length,
  readResponseHeaders,
  readStatus,
  removeDigests,
  status,
  type,
} from "./response-headers";
import { withheldBody } from "./response-withhold";
import { same } from "./same";
import { lenOf, lit, NONE, ptrOf } from "./slice";
import { findStream, Phase, Stream } from "./stream";
import {
  AnswerKind,
  cachedTokens,
  cacheWriteHourTokens,
  cacheWriteTokens,
  closeAnswer,
  completionTokens,
  failed,
  feed,
  filter,
  filterHead,
  finished,
  isMislabelled,
  openAnswer,
  outputTokensEstimate,
  promptTokens,
  reasoningTokens,
  seen,
  textDeltas,
  State,
  totalTokens,
} from "./usage/usage";
import { Reason } from "./verdicts.gen";
import { Writer } from "./writer";

const OK = lit("ok");
const SHADOWED = lit("ok;shadow=injection_detected");
const UNREADABLE = lit("answer_unreadable");
const BAD_GATEWAY = lit("502");
/** From this status on nothing is answered: a redirection, or an error. */
const NO_ANSWER: i32 = 300;
const spent = reserve(8 * BUDGETS_MAX);
const warning = new Writer(192);

/** The answer's headers have arrived. */
export function onResponseHeaders(context: u32, end: bool): Action {
  const stream = findStream(context);
  // Our own refusals come back through here; they are complete.
  if (stream == null || stream.phase == Phase.Denied) return Action.Continue;
  const tier = changetype<Tier>(stream.tier);
  const charged = isCharged(stream);
  const reads =
    (charged && tier.chargesByAnswer) || stream.redaction != 0 || tier.refusesCompressed || stream.draft != 0;
  // Before ours are among them: each costs its part of the walk.
  if (reads) readResponseHeaders();
  else if (charged) stream.status = readStatus();
  if (!reads || claimed) forgetClaims();
  if (stream.rate) setRateHeaders(changetype<Rate>(stream.rate), stream.rateLeft, stream.rateResetNs);
  // Envoy answers a request that did not go on by itself, such as a body beyond its buffer: that is no verdict of ours.
  if (nginx || stream.phase == Phase.Upstream) {
    setHeader(MapType.ResponseHeaders, WEIR_VERDICT, stream.shadowed ? SHADOWED : OK);
  } else removeHeader(MapType.ResponseHeaders, WEIR_VERDICT);
  if (stream.downgraded) {
    count(Metric.Downgraded);
    setHeader(MapType.ResponseHeaders, WEIR_MODEL, stream.model);
  }
  if (stream.warnPercent != 0) warn(stream, tier);
  if (stream.draft) observeAnswer(stream, end);
  if (reads) readAnswer(stream, tier, end);
  return Action.Continue;
}

/** Tells how full the fullest of the request's budgets is. */
function warn(stream: Stream, tier: Tier): void {
  const time = now();
  if (stream.warnUntil <= time) return;
  const value = warning
    .reset()
    .text('"')
    .bytes(appliedBudget(stream, tier, stream.warnBudget).name);
  value
    .text('";p=')
    .u64(stream.warnPercent)
    .text(";t=")
    .u64(secondsUp(stream.warnUntil - time));
  setHeader(MapType.ResponseHeaders, WEIR_BUDGET_WARNING, value.written);
}

/** Whether the answer is charged; also one that begins before the request is whole, which may yet be held against budgets. */
function isCharged(stream: Stream): bool {
  return stream.reservedOpen || stream.phase != Phase.Upstream;
}

/** Decides by the answer's headers how it is read: for usage, and to be redacted. `end`: it has no body, so that nothing is unread. */
function readAnswer(stream: Stream, tier: Tier, end: bool): void {
  stream.status = status;
  if (encoding != NONE) {
    if (tier.refusesCompressed && !end) replace(stream);
    // Let through unread, and charged as it was reserved.
    dropRedaction(stream);
    return;
  }
  const kind = kindOf(type);
  const form = stream.redaction ? formOf(type, kind) : Form.Binary;
  if (form == Form.Framed && redactionOf(stream).acts && !end) {
    replace(stream);
    dropRedaction(stream);
    return;
  }
  const streams = kind > AnswerKind.Json;
  const usable = (isCharged(stream) || stream.draft != 0) && stream.status < NO_ANSWER;
  // One without a body is whole and tells nothing: read, it would be taken for one that broke off.
  if (!end && ((streams && stream.redaction != 0) || (kind >= 0 && usable)))
    stream.answer = changetype<usize>(openAnswer(kind));
  if (stream.redaction) {
    if (form >= Form.Binary) dropRedaction(stream);
    else beginRedaction(redactionOf(stream), form);
  }
  if (stream.draft != 0 && kind >= 0) observeForm(stream, kind);
  if (stream.answer == 0 && stream.redaction == 0) return;
  if (length != NOT_WHOLE) stream.answerLeft = length;
  if (stream.redaction != 0 || (streams && stream.hideUsage)) {
    forgetBytes();
  }
}

/** An answer that cannot be read and must be: the client gets an error in its place. */
function replace(stream: Stream): void {
  stream.replaced = Replaced.Due;
  stream.reason = Reason.AnswerUnreadable;
  forgetBytes();
  removeHeader(MapType.ResponseHeaders, CONTENT_ENCODING);
  setHeader(MapType.ResponseHeaders, CONTENT_TYPE, JSON_TYPE);
  setHeader(MapType.ResponseHeaders, WEIR_VERDICT, UNREADABLE);
  // Clients try a 502 again by themselves: each try would be answered, charged and withheld as this one.
  setHeader(MapType.ResponseHeaders, SHOULD_RETRY, NO_RETRY);
  // nginx has made its status line by now.
  if (!nginx) setHeader(MapType.ResponseHeaders, STATUS, BAD_GATEWAY);
}

enum Replaced {
  No = 0,
  /** The error is to be sent with the next bytes of the answer. */
  Due = 1,
  Sent = 2,
}

/** What is read of the answer, or null. */
function answerOf(stream: Stream): State | null {
  return changetype<State | null>(stream.answer);
}

function dropAnswer(stream: Stream): void {
  const answer = answerOf(stream);
  if (answer != null) closeAnswer(answer);
  stream.answer = 0;
}

function redactionOf(stream: Stream): Redaction {
  return changetype<Redaction>(stream.redaction);
}

function dropRedaction(stream: Stream): void {
  if (stream.redaction) closeRedaction(redactionOf(stream));
  stream.redaction = 0;
}

/** `size` bytes of the answer are here; with `end`, they are the last. */
export function onResponseBody(context: u32, size: i32, end: bool): Action {
  const stream = findStream(context);
  if (stream == null || stream.phase == Phase.Denied) return Action.Continue;
  if (end && stream.draft != 0) observeEnd(stream);
  if (stream.replaced != Replaced.No) return sendReplacement(stream, size);
  if (stream.answer == 0 && stream.redaction == 0) return Action.Continue;
  if (stream.redaction != 0 && !end && waitsForAll(stream) && !isClosed(stream, size)) {
    stream.answerHeld = size;
    return Action.Pause;
  }
  stream.answerHeld = 0;
  end = end || endsHere(stream, size);
  const chunk = size > 0 ? bufferBytes(BufferType.ResponseBody, size) : NONE;
  if (lenOf(chunk) != size) return unread(stream, size);
  if (stream.redaction) {
    const channels = channelsLeft(stream);
    const passed = redactChunk(redactionOf(stream), answerOf(stream), chunk, end, stream.hideUsage, channels);
    stream.reason = redactionOf(stream).withheld;
    if (lenOf(passed) != size || !same(ptrOf(passed), ptrOf(chunk), size)) {
      if (!replaceBuffer(BufferType.ResponseBody, size, passed) && !nginx) return lose(stream);
    }
    if (stream.draft) observeBytes(stream, passed, end);
  } else if (!stream.hideUsage) {
    feed(answerOf(stream)!, chunk, end);
    if (stream.draft) observeBytes(stream, chunk, end);
  } else {
    const passed = filter(answerOf(stream)!, chunk, end);
    if (passed != chunk && !replaceBuffer(BufferType.ResponseBody, size, passed) && !nginx)
      return lose(stream);
    const head = filterHead();
    if (head != NONE) prependBuffer(BufferType.ResponseBody, head);
    if (stream.draft == 0) return Action.Continue;
    if (head != NONE) observeBytes(stream, head, false);
    observeBytes(stream, passed, end);
  }
  return Action.Continue;
}

/** What goes out has no place any more: Envoy takes no bytes with trailers but in the place of those that it holds. */
function lose(stream: Stream): Action {
  stream.reason = Reason.AnswerUnreadable;
  breakOff();
  return Action.Pause;
}

/** Trailers end an answer in the place of its last bytes (Envoy, HTTP/2): what is held of it is what is left. */
export function onResponseTrailers(context: u32): Action {
  const stream = findStream(context);
  if (stream == null) return Action.Continue;
  if (stream.redaction != 0 || stream.replaced != Replaced.No) removeDigests(MapType.ResponseTrailers);
  return onResponseBody(context, stream.answerHeld, true);
}

/** nginx may never say that an answer of known length has ended. */
function endsHere(stream: Stream, size: i32): bool {
  if (stream.answerLeft == 0) return false;
  stream.answerLeft -= min(stream.answerLeft, <u64>size);
  return stream.answerLeft == 0;
}

/** A JSON answer that may have to be blocked waits for its end, where the host can hold it. */
function waitsForAll(stream: Stream): bool {
  return !nginx && changetype<Tier>(stream.tier).blocks && redactionOf(stream).form == Form.Json;
}

/**
 * Whether the last bracket of what is held has come. The answer's end cannot be waited for: where another filter adds
 * trailers to it, as Envoy's `decompressor` does, Envoy tells neither them nor the end to who holds the last bytes.
 */
function isClosed(stream: Stream, size: i32): bool {
  const redaction = redactionOf(stream);
  if (redaction.extent.closed) return true;
  const held = stream.answerHeld;
  const bytes = bufferBytesFrom(BufferType.ResponseBody, held, size - held);
  return lenOf(bytes) == size - held && followExtent(redaction.extent, bytes);
}

/** A chunk could not be had. What follows cannot be trusted to be the whole usage, and may not pass unredacted. */
function unread(stream: Stream, size: i32): Action {
  dropAnswer(stream);
  if (stream.redaction == 0) return Action.Continue;
  replaceBuffer(BufferType.ResponseBody, size, withholdChunk(redactionOf(stream)));
  stream.reason = Reason.AnswerUnreadable;
  stream.replaced = Replaced.Sent;
  return Action.Continue;
}

function sendReplacement(stream: Stream, size: i32): Action {
  const text = stream.replaced == Replaced.Due ? withheldBody(Reason.AnswerUnreadable, -1) : NONE;
  stream.replaced = Replaced.Sent;
  replaceBuffer(BufferType.ResponseBody, size, text);
  return Action.Continue;
}

/** The stream is over, for whatever reason: what it reserved is settled, and it is counted. */
export function onLog(context: u32): void {
  const stream = findStream(context);
  if (stream == null) return;
  if (stream.phase == Phase.Waiting) cancelAcquire(context, now());
  // What we refused was counted then; what the proxy refused, or a client broke off, before it went upstream has no verdict.
  if (stream.phase == Phase.Upstream) counted(stream, stream.reason);
  const settled = stream.reservedOpen;
  if (settled) settle(stream);
  if (stream.draft) finishObserved(stream, settled ? spent : 0);
  dropAnswer(stream);
  if (stream.redaction) {
    countMatches(redactionOf(stream));
    dropRedaction(stream);
  }
}

function countMatches(redaction: Redaction): void {
  const replaced = matchesOf(redaction, false);
  const flagged = matchesOf(redaction, true);
  if (replaced) count(Metric.Redacted, replaced);
  if (flagged) count(Metric.Flagged, flagged);
}

/** Replaces the reservation by what is charged. */
function settle(stream: Stream): void {
  stream.reservedOpen = false;
  const budgets = <i32>popcnt<u32>(stream.budgetMask);
  const tier = changetype<Tier>(stream.tier);
  const price = changetype<Policy>(stream.policy).price(stream.model);
  const charged = measure(stream);
  for (let i = 0; i < budgets; i++) {
    let amount: u64 = 0;
    if (charged == Charged.Usage) amount = charge(stream, tier, price, i);
    else if (charged == Charged.Reserved) amount = stream.reserved(i);
    else if (charged == Charged.AtLeastReserved)
      amount = max(charge(stream, tier, price, i), stream.reserved(i));
    store<u64>(spent + ((<usize>i) << 3), amount);
  }
  const settled = stream.indebted
    ? settleDebt(stream, budgets, spent, now())
    : settleLocally(stream, budgets, spent);
  if (!settled) count(Metric.Unsettled);
}

enum Charged {
  /** The upstream was not asked, answered with an error or sent the client elsewhere: providers charge nothing for those. */
  Nothing = 0,
  /** The stream's token counts: what the answer says was used, or what was delivered of it. */
  Usage = 1,
  /** An answer that does not say: the upper bound, so that no usage is lost. */
  Reserved = 2,
  /** The same, or the stream's token counts where they are more: the answer told them before it ended. */
  AtLeastReserved = 3,
}

/** Finds out what was used, into the stream's token counts. */
function measure(stream: Stream): Charged {
  if (stream.status >= NO_ANSWER) return gaveUp() && !isUnasked() ? brokeOff(stream, null) : Charged.Nothing;
  // The client left, or the upstream broke off, before there was an answer; or Envoy follows one that sends it elsewhere.
  if (stream.status == 0) return isRedirected() || isUnasked() ? Charged.Nothing : brokeOff(stream, null);
  const answer = answerOf(stream);
  if (answer == null) return untold(stream, null);
  if (isMislabelled(answer)) return Charged.Reserved;
  if (!finished(answer)) return outgrewBuffer(stream) ? Charged.Reserved : brokeOff(stream, answer);
  // An error ends an answer midway, also where an end is told after it, or no status told of it before.
  if (!seen(answer)) return failed(answer) ? brokeOff(stream, answer) : untold(stream, answer);
  takeUsage(stream, answer);
  if (stream.promptTokens == 0) estimatePrompt(stream, answer);
  tally(Metric.TokensPrompt, <i64>stream.promptTokens);
  tally(Metric.TokensCompletion, <i64>stream.completionTokens);
  return Charged.Usage;
}

/** An answer that told no usage. Of one whose request went on without its bound (nginx) more may have been delivered than was reserved. */
function untold(stream: Stream, answer: State | null): Charged {
  if (isUnasked()) return Charged.Nothing;
  if (!stream.unsent || answer == null) return Charged.Reserved;
  stream.promptTokens = stream.promptEstimate;
  stream.completionTokens = outputTokensEstimate(answer);
  return Charged.AtLeastReserved;
}

/** Takes over what the answer said so far. */
function takeUsage(stream: Stream, answer: State): void {
  stream.promptTokens = promptTokens(answer);
  stream.completionTokens = completionTokens(answer);
  stream.cachedTokens = cachedTokens(answer);
  stream.cacheWriteTokens = cacheWriteTokens(answer);
  stream.cacheWriteHourTokens = cacheWriteHourTokens(answer);
  stream.reasoningTokens = reasoningTokens(answer);
}

/**
 * The answer tells no prompt (Ollama before 0.2 leaves out one that it had in its cache): it is as we counted it, in a total
 * that is told. One of which the total is all that is told, and no text, is of its prompt alone (Voyage's embeddings).
 */
function estimatePrompt(stream: Stream, answer: State): void {
  const total = totalTokens(answer);
  stream.promptTokens = stream.promptEstimate;
  if (total <= stream.completionTokens) return;
  const rest = total - stream.completionTokens;
  const writesNothing = stream.completionTokens == 0 && textDeltas(answer) == 0;
  stream.promptTokens = writesNothing ? rest : min(stream.promptEstimate, rest);
  stream.completionTokens = total - stream.promptTokens;
}

/** Whether an answer that is held whole was more than Envoy holds: the upstream wrote it, and what it used cannot be read. */
function outgrewBuffer(stream: Stream): bool {
  return stream.answerHeld != 0 && isTooLarge();
}

/**
 * An answer that ended before it was complete costs what the policy says, and what was reserved where the upstream writes it
 * to its end all the same, for whoever fetches it. What was delivered is the prompt, as the
 * provider or else our count has it, and the output: what the provider said so far, or an estimate from the texts that
 * passed if that is more.
 */
function brokeOff(stream: Stream, answer: State | null): Charged {
  count(Metric.Aborted);
  const rule = changetype<Tier>(stream.tier).onAbort;
  if (stream.phase != Phase.Upstream) return Charged.Nothing;
  stream.brokenOff = true;
  const whole = stream.outlives || rule == OnAbort.Reserved;
  if (!whole && rule == OnAbort.Zero) return Charged.Nothing;
  if (answer != null) takeUsage(stream, answer);
  if (whole) return answer == null ? Charged.Reserved : Charged.AtLeastReserved;
  if (answer == null) {
    stream.promptTokens = stream.promptEstimate;
    stream.completionTokens = 0;
    stream.cachedTokens = 0;
    stream.cacheWriteTokens = 0;
    stream.cacheWriteHourTokens = 0;
    stream.reasoningTokens = 0;
    return Charged.Usage;
  }
  if (stream.promptTokens == 0) stream.promptTokens = stream.promptEstimate;
  const estimate = stream.boundOutput(outputTokensEstimate(answer));
  stream.completionTokens = max(stream.completionTokens, estimate);
  return Charged.Usage;
}
