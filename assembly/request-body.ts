// The body in hand: its tape, its prompt, and what is to go upstream in its place. One body is handled at a time, from
// the callback that brings it to the one that lets it go; nothing here outlives that.
import { CONTENT_LENGTH } from "./headers";
import { findPrompt, Prompt, SPANS_MAX } from "./inspect/prompt";
import { Tape } from "./json/tape";
import { BODY_DEPTH_MAX, BODY_VALUES_MAX } from "./limits";
import { Policy, Tier } from "./policy/policy";
import { BufferType, MapType } from "./proxy-wasm/abi";
import { arenaTake } from "./proxy-wasm/arena";
import { setHeader } from "./proxy-wasm/headers";
import { bufferBytes, replaceBuffer } from "./proxy-wasm/host";
import { nginx } from "./proxy-wasm/kind";
import { rewrite, rewriteModel, wantsUsage } from "./rewrite";
import { lenOf, lit, NONE, ptrOf, slice, Slice } from "./slice";
import { Stream } from "./stream";
import { Writer } from "./writer";

export const tape = new Tape(BODY_VALUES_MAX);
export const prompt = new Prompt(SPANS_MAX);
/** Room for the longest text of the body, in the arena. */
export let work: usize = 0;
/** The body as it is to go upstream, in the arena; NONE: as it is. */
let rewritten: Slice = NONE;
/** Bytes of the body as it goes upstream. */
export let bodyLength: i32 = 0;
/** The rewritten body asks for usage in a stream, which the client did not. */
let asksUsage: bool = false;
const POST = lit("POST");
const number = new Writer(32);

/** Takes the room that inspecting a body of `size` bytes needs; false when the arena has none. */
export function openBody(size: i32): bool {
  work = arenaTake(size);
  return work != 0;
}

/** Reads the JSON of `body` and finds its prompt; 0, or a JsonError. */
export function readBody(stream: Stream, body: Slice): i32 {
  const error = tape.scan(ptrOf(body), lenOf(body), BODY_DEPTH_MAX);
  if (error == 0) findPrompt(tape, stream.path, stream.isPost ? POST : NONE, prompt);
  return error;
}

/** Reads once more the body of a stream that waits, which the host holds; NONE when it cannot be had. */
export function readWaiting(stream: Stream): Slice {
  const body = bufferBytes(BufferType.RequestBody, stream.bodySize);
  if (lenOf(body) != stream.bodySize || !openBody(stream.bodySize)) return NONE;
  return readBody(stream, body) == 0 ? body : NONE;
}

/**
 * Bounds the answer, asks for usage and for the cheaper model, at once where the host allows it. `body` is that of `size`
 * bytes which the host has, or what redaction made of it.
 */
export function rewriteBody(stream: Stream, tier: Tier, body: Slice, size: i32): void {
  const model = stream.downgraded ? stream.model : NONE;
  rewritten = rewrite(tape, prompt, body, tier.outputTokensMax, tier.asksUsage, model);
  asksUsage = tier.asksUsage && wantsUsage(prompt);
  if (rewritten == NONE && stream.guarded) rewritten = body;
  stream.unsent = rewritten != NONE;
  bodyLength = stream.unsent ? lenOf(rewritten) : size;
  if (!stream.unsent) return;
  if (nginx && stream.guarded) rewritten = trimmed(rewritten, size);
  if (!waitsForLease(stream, size)) replaceBody(stream, size);
}

/** `text` without the spaces that redaction left at its end, as far as it is longer than `length`. */
function trimmed(text: Slice, length: i32): Slice {
  let len = lenOf(text);
  while (len > length && load<u8>(ptrOf(text) + len - 1) == 32) len--;
  return slice(ptrOf(text), len);
}

export function hasTools(): bool {
  return tape.member(0, "tools") >= 0 || tape.member(0, "functions") >= 0;
}

/** nginx: the rewritten body could not be sent after a pause, so it is not put in place before it needs none. */
function waitsForLease(stream: Stream, size: i32): bool {
  return nginx && stream.contentLength != 0 && lenOf(rewritten) != size;
}

export function replaceBody(stream: Stream, size: i32): void {
  replace(stream, size);
  stream.hideUsage = asksUsage;
  stream.unsent = false;
}

/** Puts `model` in the place of the one that the body names, which has been rewritten before; false: there is no room. */
export function replaceModel(stream: Stream, model: Slice, body: Slice): bool {
  rewritten = rewriteModel(prompt, body, model);
  if (rewritten == NONE) return false;
  replace(stream, lenOf(body));
  return true;
}

function replace(stream: Stream, size: i32): void {
  if (nginx || changetype<Policy>(stream.policy).holdHeaders) {
    setHeader(MapType.RequestHeaders, CONTENT_LENGTH, number.reset().u64(lenOf(rewritten)).written);
  }
  replaceBuffer(BufferType.RequestBody, size, rewritten);
  stream.bodySize = lenOf(rewritten);
}

/** The most completion tokens that all answers together can have once the body is rewritten. */
export function outputBound(tier: Tier): u64 {
  if (!prompt.isAnswered) return 0;
  const each = prompt.bounded ? min(prompt.limit, tier.outputTokensMax) : tier.outputTokensMax;
  const answers = min(max(max(prompt.n, prompt.bestOf), 1), ANSWERS_MAX) * prompt.prompts;
  return min(each, OUTPUT_MAX) * min(answers, ANSWERS_MAX);
}

/** Beyond any model; keeps products far from the ends of their ranges. */
const ANSWERS_MAX: u64 = 1 << 20;
const OUTPUT_MAX: u64 = 1 << 30;
