// How many tokens a whole request's prompt has: a bound that costs nothing, bounds that cost a fiftieth of counting, and the exact
// count where the model's vocabulary is public and attached.
//
// The first bound: a token is made of at least one byte of text, and what providers add for each message (chatOverhead)
// is fewer tokens than the JSON around it has bytes. What is not text in the body is added as constants.
import { decode } from "../json/text";
import { MemoEntry, memoOf } from "../inspect/memo";
import { Prompt } from "../inspect/prompt";
import { lenOf, slice, Slice } from "../slice";
import { boundTokens, estimateTokensUpper, tokensLower, tokensUpper } from "./bounds";
import { countTokens, UNCOUNTED } from "./count";
import { chatOverhead, modelEncoding, modelFamily } from "./models";
import { ESTIMATE } from "./vocabulary";

/** Above what the known providers charge for one image, sound or file page at the highest detail; more is debt. */
export const MEDIA_TOKENS: u64 = 3_000;
/** Above what providers add to a prompt for the use of tools. */
const TOOLS_TOKENS: u64 = 600;

/** Text with fewer bytes for each token than this is rare. */
export const BYTES_PER_TOKEN_LOW: u32 = 2;

/** An upper bound of the prompt's tokens, for a body of `bytes`. */
export function promptBound(prompt: Prompt, bytes: i32, tools: bool): u64 {
  return <u64>bytes + extra(prompt, tools);
}

/** What `countPrompt` is at least and at most, for the prompt that `boundPrompt` saw last. */
export let promptLeast: u64 = 0;
export let promptMost: u64 = 0;

/** Bounds a prompt by the letters of its texts, where the model's vocabulary is public. */
export function boundPrompt(prompt: Prompt, model: Slice, bytes: i32, tools: bool): void {
  promptLeast = 0;
  promptMost = promptBound(prompt, bytes, tools);
  if (modelEncoding(model) == ESTIMATE) return;
  promptLeast = frame(prompt, tools);
  for (let i = 0; i < prompt.count; i++) {
    // With escapes these are not yet the text's own letters.
    if (prompt.escaped(i)) continue;
    boundTokens(prompt.raw(i));
    promptLeast += tokensLower;
    promptMost -= lenOf(prompt.raw(i)) - tokensUpper;
  }
}

/** What the prompt's tokens come to at most, but for text that is made to have many; from the lengths of its texts alone. */
export function promptEstimate(prompt: Prompt, tools: bool): u64 {
  let bytes: u64 = 0;
  for (let i = 0; i < prompt.count; i++) bytes += lenOf(prompt.raw(i));
  return (bytes + BYTES_PER_TOKEN_LOW - 1) / BYTES_PER_TOKEN_LOW + frame(prompt, tools);
}

/** So many tokens as to count all of them. */
export const ALL_TOKENS: u64 = u64.MAX_VALUE;

/**
 * The prompt's tokens as exactly as can be told, never too few by intent: counted text, and the provider's additions. Some number
 * above `limit` as soon as it is known that they are more. `work` is room for the longest span.
 */
export function countPrompt(
  prompt: Prompt,
  model: Slice,
  bytes: i32,
  tools: bool,
  work: usize,
  limit: u64 = ALL_TOKENS,
): u64 {
  const encoding = modelEncoding(model);
  let tokens = frame(prompt, tools);
  for (let i = 0; i < prompt.count && tokens <= limit; i++)
    tokens += countSpan(prompt, i, encoding, model, work, limit - tokens);
  return min(tokens, promptBound(prompt, bytes, tools));
}

/** The tokens of one span, or some number above `left`: remembered, or else counted and kept if that is all of them. */
function countSpan(prompt: Prompt, i: i32, encoding: i32, model: Slice, work: usize, left: u64): i32 {
  const raw = prompt.raw(i);
  const escaped = prompt.escaped(i);
  const entry: MemoEntry | null = encoding == ESTIMATE ? null : memoOf(i, raw, escaped, prompt.trust(i));
  if (entry != null) {
    const remembered = entry.tokens(encoding);
    if (remembered >= 0) return remembered;
  }
  const text = escaped ? slice(work, decode(raw, work, lenOf(raw))) : raw;
  const limit = <i32>min(left, i32.MAX_VALUE - 1);
  const counted = encoding == ESTIMATE ? UNCOUNTED : countTokens(encoding, text, limit);
  if (counted == UNCOUNTED) return estimateTokensUpper(text, modelFamily(model));
  if (entry != null && counted <= limit) entry.count(encoding, counted);
  return counted;
}

/** All that is no text of the prompt. */
function frame(prompt: Prompt, tools: bool): u64 {
  return <u64>chatOverhead(prompt.messages, prompt.messages) + <u64>prompt.tokenIds + extra(prompt, tools);
}

function extra(prompt: Prompt, tools: bool): u64 {
  return <u64>prompt.media * MEDIA_TOKENS + (tools ? TOOLS_TOKENS : 0);
}
