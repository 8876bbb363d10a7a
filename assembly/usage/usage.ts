// What an answer says was used, read as it passes: JSON bodies and event streams of the known providers.
//
// Any split of the answer gives the same result. Nothing is held back or copied by `feed`; `filter` and `pieces`
// (frames.ts) hold back at most the event that is not complete yet. Bounds: STREAMS_MAX answers at once, under
// 1.6 KB each; answers of any length.
import { lenOf, ptrOf, Slice } from "../slice";
import { recycle, releaseHold } from "./hold";
import { isOdd } from "./lines";
import { readAnswer } from "./read";
import { Counter } from "./counters";
import { clearSpans } from "./spans";
import { AnswerKind, giveBack, State, takeState } from "./state";

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
export { AnswerKind, State } from "./state";

/** Bytes of text that make a token, on average over languages and code with today's vocabularies. */
const TOKEN_BYTES: u64 = 4;

/** Begins to read an answer; null when as many as there may be are being read. */
export function openAnswer(kind: AnswerKind): State | null {
  return takeState(kind);
}

/** Ends the reading. What is still held back is lost: the client is gone, or got it with `last`. */
export function closeAnswer(state: State): void {
  recycle();
  releaseHold(state);
  giveBack(state);
}

/** Reads the next bytes of the answer; with `last`, there are no more. */
export function feed(state: State, chunk: Slice, last: bool): void {
  clearSpans();
  readAnswer(state, ptrOf(chunk), lenOf(chunk), last);
}

/**
 * Whether usage was read, all amounts that were told are numbers of tokens, and that of the output is told where there was a text.
 * Zeros all over tell nothing of one: servers that do not count write them.
 */
export function seen(state: State): bool {
  if (!state.seen || state.odd) return false;
  if (state.deltas == 0) return true;
  return state.outputSeen && max(totalTokens(state), promptTokens(state) + completionTokens(state)) > 0;
}

/** Whether the answer is complete: then the usage is final, if it was seen. */
export function finished(state: State): bool {
  return state.finished;
}

/** Whether the answer says that the upstream failed, perhaps in the middle of a stream. */
export function failed(state: State): bool {
  return state.failed;
}

/** All tokens of the prompt, those read from or written to a cache and those that tools were given included. */
export function promptTokens(state: State): u64 {
  // `prompt_tokens` includes what was cached, Anthropic's `input_tokens` does not.
  const input =
    inRounds(state, Counter.Input) + inRounds(state, Counter.CacheRead) + inRounds(state, Counter.CacheWrite);
  return (
    max(max(state.counter(Counter.Prompt), input), geminiPrompt(state)) + state.counter(Counter.ToolInput)
  );
}

/** All tokens that were generated, reasoning and those that tools generated included. */
export function completionTokens(state: State): u64 {
  const output = max(state.counter(Counter.Completion), inRounds(state, Counter.Output));
  const gemini = state.counter(Counter.GeminiCandidates) + state.counter(Counter.GeminiThoughts);
  // Some (xAI, Gemini's OpenAI endpoint) leave reasoning out of the completion, but not out of the total.
  const prompt = max(state.counter(Counter.Prompt), state.counter(Counter.Input));
  const rest = prompt ? without(state.counter(Counter.Total), prompt) : 0;
  const prompted = geminiPrompt(state);
  const geminiRest = prompted ? without(totalTokens(state), prompted) : 0;
  return max(max(output, rest), max(gemini, geminiRest)) + state.counter(Counter.ToolOutput);
}

/** All tokens of both, where the provider says; it may say nothing else (Voyage's embeddings). */
export function totalTokens(state: State): u64 {
  return max(state.counter(Counter.Total), state.counter(Counter.GeminiTotal));
}

/** Tokens of the prompt that came out of a cache, which providers charge less for. */
export function cachedTokens(state: State): u64 {
  return max(state.counter(Counter.Cached), inRounds(state, Counter.CacheRead));
}

/** Tokens of the prompt that were written to a cache, which some providers charge more for. */
export function cacheWriteTokens(state: State): u64 {
  return max(state.counter(Counter.CacheWritten), inRounds(state, Counter.CacheWrite));
}

/** Of those, the ones that the provider says were written for an hour. */
export function cacheWriteHourTokens(state: State): u64 {
  return inRounds(state, Counter.CacheWriteHour);
}

/** Tokens of the completion that were thoughts, where the provider says. */
export function reasoningTokens(state: State): u64 {
  return max(state.counter(Counter.Reasoning), state.counter(Counter.GeminiThoughts));
}

/** UTF-8 bytes of the texts that have passed: answers, thoughts, refusals and arguments of tools. */
export function textBytes(state: State): u64 {
  return state.textBytes;
}

/** Deltas with text in them that have passed (in a JSON answer, texts). */
export function textDeltas(state: State): u64 {
  return state.deltas;
}

/**
 * Tokens that have been delivered, for an answer that broke off: what the provider said last, or an estimate from
 * the texts if that is more. A delta holds at least one token.
 */
export function outputTokensEstimate(state: State): u64 {
  const said = completionTokens(state);
  if (state.finished && seen(state)) return said;
  const estimate = max((state.textBytes + TOKEN_BYTES - 1) / TOKEN_BYTES, state.deltas);
  return max(said, estimate);
}

/** The model that answered, or an empty slice. */
export function model(state: State): Slice {
  return state.model;
}

/** Events (or bodies) whose data was not JSON that can be read: neither their usage nor their texts are known. */
export function unreadable(state: State): u32 {
  return state.unreadable;
}

/**
 * Whether the answer is not of the form that its type says (a body that is no JSON, a stream without an event that could be
 * read), or a stream of an API that is not known: what it told and delivered is not known.
 */
export function isMislabelled(state: State): bool {
  if (state.kind == AnswerKind.Json) return state.broken;
  return (state.stray || state.foreign) && state.deltas == 0 && !state.seen && !state.finished;
}

/** Whether an event has come, or begun to, of which the texts cannot be known: its data is no JSON that can be read, or told too late whose they are. */
export function isUnfollowed(state: State): bool {
  return isOdd(state) || state.misplaced;
}

/** One of Input to CacheWriteHour, of all rounds that are charged. */
function inRounds(state: State, counter: Counter): u64 {
  const i = counter - Counter.Input;
  return (
    max(state.counter(counter), state.counter(Counter.RoundsInput + i)) +
    state.counter(Counter.BesideInput + i)
  );
}

function geminiPrompt(state: State): u64 {
  return state.counter(Counter.GeminiPrompt) + state.counter(Counter.GeminiTools);
}

function without(total: u64, part: u64): u64 {
  return total > part ? total - part : 0;
}
