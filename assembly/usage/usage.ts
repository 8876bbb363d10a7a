// What an answer says was used, read as it passes: JSON bodies and event streams of the known providers.
//
// Any split of the answer gives the same result. Nothing is held back or copied by `feed`; `filter` and `pieces`
// (frames.ts) hold back at most the event that is not complete yet. Bounds: STREAMS_MAX answers at once, under
// 1.5 KB each; answers of any length.
import { lenOf, ptrOf, Slice } from "../slice";
import { recycle, releaseHold } from "./hold";
import { isOdd } from "./lines";
import { readAnswer } from "./read";
import { Counter } from "./shapes";
import { clearSpans } from "./spans";
import { AnswerKind, giveBack, State, stateOf, takeState } from "./state";

export { CHUNK_MAX, filter, filterHead, hidesUsage, nextPiece, piece, pieceEnds, pieces } from "./frames";
export { likeOf, paddingAt, paddingCount } from "./repeat";
export { Channel } from "./shapes";
export {
  ALL,
  BEGINS,
  ENDS,
  NESTED,
  spanChannel,
  spanCount,
  spanFlags,
  spanFrom,
  spanTo,
  WHOLE,
} from "./spans";
export { AnswerKind } from "./state";

/** Bytes of text that make a token, on average over languages and code with today's vocabularies. */
const TOKEN_BYTES: u64 = 4;

/** Begins to read an answer; -1 when STREAMS_MAX are being read. */
export function openAnswer(kind: AnswerKind): i32 {
  return takeState(kind);
}

/** Gives the handle back. What is still held back is lost: the client is gone, or got it with `last`. */
export function closeAnswer(handle: i32): void {
  const state = stateOf(handle);
  if (!state.open) return;
  recycle();
  releaseHold(state);
  giveBack(handle);
}

/** Reads the next bytes of the answer; with `last`, there are no more. */
export function feed(handle: i32, chunk: Slice, last: bool): void {
  const state = stateOf(handle);
  clearSpans();
  readAnswer(state, ptrOf(chunk), lenOf(chunk), last);
}

/** Whether usage was read, all amounts that were told are numbers of tokens, and that of the output is told where there was a text. */
export function seen(handle: i32): bool {
  const state = stateOf(handle);
  return state.seen && !state.odd && (state.outputSeen || state.deltas == 0);
}

/** Whether the answer is complete: then the usage is final, if it was seen. */
export function finished(handle: i32): bool {
  return stateOf(handle).finished;
}

/** Whether the answer says that the upstream failed, perhaps in the middle of a stream. */
export function failed(handle: i32): bool {
  return stateOf(handle).failed;
}

/** All tokens of the prompt, those read from or written to a cache included. */
export function promptTokens(handle: i32): u64 {
  const state = stateOf(handle);
  // `prompt_tokens` includes what was cached, Anthropic's `input_tokens` does not.
  let input =
    state.counter(Counter.Input) + state.counter(Counter.CacheRead) + state.counter(Counter.CacheWrite);
  input +=
    state.counter(Counter.BesideInput) +
    state.counter(Counter.BesideCacheRead) +
    state.counter(Counter.BesideCacheWrite);
  return max(max(state.counter(Counter.Prompt), input), geminiPrompt(state));
}

/** All tokens that were generated, reasoning included. */
export function completionTokens(handle: i32): u64 {
  const state = stateOf(handle);
  const told = state.counter(Counter.Output) + state.counter(Counter.BesideOutput);
  const output = max(state.counter(Counter.Completion), told);
  const gemini = state.counter(Counter.GeminiCandidates) + state.counter(Counter.GeminiThoughts);
  // Some (xAI, Gemini's OpenAI endpoint) leave reasoning out of the completion, but not out of the total.
  const prompt = max(state.counter(Counter.Prompt), state.counter(Counter.Input));
  const rest = prompt ? without(state.counter(Counter.Total), prompt) : 0;
  const prompted = geminiPrompt(state);
  const geminiRest = prompted ? without(state.counter(Counter.GeminiTotal), prompted) : 0;
  return max(max(output, rest), max(gemini, geminiRest));
}

/** All tokens of both, where the provider says; it may say nothing else (Voyage's embeddings). */
export function totalTokens(handle: i32): u64 {
  const state = stateOf(handle);
  return max(state.counter(Counter.Total), state.counter(Counter.GeminiTotal));
}

/** Tokens of the prompt that came out of a cache, which providers charge less for. */
export function cachedTokens(handle: i32): u64 {
  const state = stateOf(handle);
  const read = state.counter(Counter.CacheRead) + state.counter(Counter.BesideCacheRead);
  return max(state.counter(Counter.Cached), read);
}

/** Tokens of the prompt that were written to a cache, which some providers charge more for. */
export function cacheWriteTokens(handle: i32): u64 {
  const state = stateOf(handle);
  const written = state.counter(Counter.CacheWrite) + state.counter(Counter.BesideCacheWrite);
  return max(state.counter(Counter.CacheWritten), written);
}

/** Tokens of the completion that were thoughts, where the provider says. */
export function reasoningTokens(handle: i32): u64 {
  const state = stateOf(handle);
  return max(state.counter(Counter.Reasoning), state.counter(Counter.GeminiThoughts));
}

/** UTF-8 bytes of the texts that have passed: answers, thoughts, refusals and arguments of tools. */
export function textBytes(handle: i32): u64 {
  return stateOf(handle).textBytes;
}

/** Deltas with text in them that have passed (in a JSON answer, texts). */
export function textDeltas(handle: i32): u64 {
  return stateOf(handle).deltas;
}

/**
 * Tokens that have been delivered, for an answer that broke off: what the provider said last, or an estimate from
 * the texts if that is more. A delta holds at least one token.
 */
export function outputTokensEstimate(handle: i32): u64 {
  const state = stateOf(handle);
  const said = completionTokens(handle);
  if (state.finished && seen(handle)) return said;
  const estimate = max((state.textBytes + TOKEN_BYTES - 1) / TOKEN_BYTES, state.deltas);
  return max(said, estimate);
}

/** The model that answered, or an empty slice. */
export function model(handle: i32): Slice {
  return stateOf(handle).model;
}

/** Events (or bodies) whose data was not JSON that can be read: neither their usage nor their texts are known. */
export function unreadable(handle: i32): u32 {
  return stateOf(handle).unreadable;
}

/**
 * Whether the answer is not of the form that its type says (a body that is no JSON, a stream without an event that could be
 * read): what it told and delivered is not known.
 */
export function isMislabelled(handle: i32): bool {
  const state = stateOf(handle);
  if (state.kind == AnswerKind.Json) return state.broken;
  return state.stray && state.deltas == 0 && !state.seen && !state.finished;
}

/** Whether an event has come, or begun to, of which the texts cannot be known: its data is no JSON that can be read, or told too late whose they are. */
export function isUnfollowed(handle: i32): bool {
  const state = stateOf(handle);
  return isOdd(state) || state.misplaced;
}

/** Events that passed in several pieces because they were too long to be held. */
export function oversized(handle: i32): u32 {
  return stateOf(handle).oversized;
}

function geminiPrompt(state: State): u64 {
  return state.counter(Counter.GeminiPrompt) + state.counter(Counter.GeminiTools);
}

function without(total: u64, part: u64): u64 {
  return total > part ? total - part : 0;
}
