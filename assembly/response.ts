// The way back: what happens to an answer, in the order in which it happens, with every branch that it can take.
//
//   headers ─ status ─ rate headers ─ how to read ─┐
//   body ──── usage ──────────────────────────────▶ client
//   log ───── settle
//
// A stream settles exactly once, when it ends, whatever ends it: an answer read to its end, a client that left, an
// upstream that failed.
import { cancelAcquire } from "./budget/acquire";
import { charge } from "./budget/amounts";
import { settleLocally } from "./budget/reserve";
import { CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, STATUS, WEIR_VERDICT } from "./headers";
import { BUDGETS_MAX } from "./limits";
import { reserve } from "./memory";
import { count, counted, Metric } from "./metrics";
import { Policy, Rate, Tier } from "./policy/policy";
import { Action, BufferType, MapType } from "./proxy-wasm/abi";
import { header, removeHeader, setHeader } from "./proxy-wasm/headers";
import { bufferBytes, now, prependBuffer, replaceBuffer } from "./proxy-wasm/host";
import { setRateHeaders } from "./rate-headers";
import { lenOf, lit, NONE, ptrOf, Slice, startsWithFolded } from "./slice";
import { findStream, Phase, Stream } from "./stream";
import {
  AnswerKind,
  cachedTokens,
  closeAnswer,
  completionTokens,
  feed,
  filter,
  filterHead,
  finished,
  openAnswer,
  promptTokens,
  seen,
} from "./usage/usage";
import { Reason } from "./verdicts.gen";

const OK = lit("ok");
const SHADOWED = lit("ok;shadow=injection_detected");
const spent = reserve(8 * BUDGETS_MAX);

/** The answer's headers have arrived. */
export function onResponseHeaders(context: u32): Action {
  const stream = findStream(context);
  // Our own refusals come back through here; they are complete.
  if (stream == null || stream.phase == Phase.Denied) return Action.Continue;
  stream.status = statusOf(header(MapType.ResponseHeaders, STATUS));
  if (stream.rate) setRateHeaders(changetype<Rate>(stream.rate), stream.rateLeft, stream.rateResetNs);
  setHeader(MapType.ResponseHeaders, WEIR_VERDICT, stream.shadowed ? SHADOWED : OK);
  if (stream.status < 400 && stream.reservedOpen) readAnswer(stream);
  return Action.Continue;
}

function statusOf(text: Slice): i32 {
  let status = 0;
  for (let i = 0; i < min(lenOf(text), 3); i++) status = status * 10 + <i32>load<u8>(ptrOf(text) + i) - 48;
  return status;
}

/** Decides how the answer is read for usage. A compressed one cannot be: it is charged as it was reserved. */
function readAnswer(stream: Stream): void {
  if (header(MapType.ResponseHeaders, CONTENT_ENCODING) != NONE) return;
  const type = header(MapType.ResponseHeaders, CONTENT_TYPE);
  const events = startsWithFolded(type, "text/event-stream");
  if (!events && !startsWithFolded(type, "application/json")) return;
  stream.answer = openAnswer(events ? AnswerKind.Events : AnswerKind.Json) + 1;
  if (events && stream.hideUsage) removeHeader(MapType.ResponseHeaders, CONTENT_LENGTH);
}

/** `size` bytes of the answer are here; with `end`, they are the last. */
export function onResponseBody(context: u32, size: i32, end: bool): Action {
  const stream = findStream(context);
  if (stream == null || stream.answer == 0 || stream.phase == Phase.Denied) return Action.Continue;
  const handle = stream.answer - 1;
  const chunk = size > 0 ? bufferBytes(BufferType.ResponseBody, size) : NONE;
  // A chunk that could not be had leaves a hole: what follows cannot be trusted to be the whole usage.
  if (lenOf(chunk) != size) {
    closeAnswer(handle);
    stream.answer = 0;
    return Action.Continue;
  }
  if (!stream.hideUsage) feed(handle, chunk, end);
  else {
    const passed = filter(handle, chunk, end);
    if (passed != chunk) replaceBuffer(BufferType.ResponseBody, size, passed);
    if (filterHead() != NONE) prependBuffer(BufferType.ResponseBody, filterHead());
  }
  return Action.Continue;
}

/** The stream is over, for whatever reason: what it reserved is settled, and it is counted. */
export function onLog(context: u32): void {
  const stream = findStream(context);
  if (stream == null) return;
  if (stream.phase == Phase.Waiting) cancelAcquire(context, now());
  if (stream.phase != Phase.Denied) counted(stream, Reason.None);
  if (stream.reservedOpen) settle(stream);
  if (stream.answer) closeAnswer(stream.answer - 1);
  stream.answer = 0;
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
    store<u64>(spent + ((<usize>i) << 3), amount);
  }
  if (!settleLocally(stream, budgets, spent)) count(Metric.Unsettled);
}

enum Charged {
  /** The upstream gave no answer, or an error: providers charge nothing for those. */
  Nothing = 0,
  /** What the answer says was used. */
  Usage = 1,
  /** An answer that does not say, or that broke off before it did: the upper bound, so that no usage is lost. */
  Reserved = 2,
}

/** Finds out what was used, into the stream's token counts. */
function measure(stream: Stream): Charged {
  if (stream.status == 0 || stream.status >= 400) return Charged.Nothing;
  if (stream.answer == 0) return Charged.Reserved;
  const handle = stream.answer - 1;
  if (!seen(handle) || !finished(handle)) return Charged.Reserved;
  stream.promptTokens = promptTokens(handle);
  stream.completionTokens = completionTokens(handle);
  stream.cachedTokens = cachedTokens(handle);
  count(Metric.TokensPrompt, stream.promptTokens);
  count(Metric.TokensCompletion, stream.completionTokens);
  return Charged.Usage;
}
