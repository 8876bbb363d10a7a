// Whether a request asks for its answer in a form in which texts cannot be followed, so that a tier which redacts
// answers must not ask for it: the answer's tokens one by one (probabilities, numbers) or the arguments of its tools in
// parts, of which each is a text of its own, or Gemini's stream as an array, of which each element is.
//
// Names are compared without regard to case, as some servers do. Bounds: the members of the root and of Gemini's
// configuration are looked at once.
import { decode } from "../json/escape";
import { Kind, Tape } from "../json/tape";
import { equalsDecoded, toU64 } from "../json/text";
import { reserve } from "../memory";
import { indexOf, is, isFolded, lenOf, Slice, slice, sub } from "../slice";
import { isGeminiStream, isOddPath, withoutQuery } from "./prompt-shape";

/** No name that is looked for is longer. */
const NAME_MAX: i32 = 32;
const AMPERSAND: u8 = 38;
const PERCENT: u8 = 37;
const EQUALS: u8 = 61;

const plainName: usize = reserve(NAME_MAX);

/** The member (or element) that asks for the answer's tokens or parts, or -1. */
export function asksForTokens(tape: Tape): i32 {
  if (tape.kind(0) != Kind.Object) return -1;
  for (let n = tape.first(0); n >= 0; n = tape.next(n)) {
    const name = nameOf(tape, n);
    // Of completions, 0 asks for the tokens of the answer without others that were likely.
    if (isFolded(name, "logprobs")) {
      if (!isNo(tape, n)) return n;
    } else if (
      isFolded(name, "top_logprobs") ||
      isFolded(name, "n_probs") ||
      isFolded(name, "return_token_ids")
    ) {
      if (!isNo(tape, n) && !isZero(tape, n)) return n;
    } else if (isFolded(name, "include")) {
      const item = included(tape, n);
      if (item >= 0) return item;
    } else if (isFolded(name, "generationconfig") || isFolded(name, "generation_config")) {
      const member = configured(tape, n);
      if (member >= 0) return member;
    } else if (isFolded(name, "toolconfig") || isFolded(name, "tool_config")) {
      const member = calling(tape, n);
      if (member >= 0) return member;
    }
  }
  return -1;
}

/** The Responses API's way. */
function included(tape: Tape, list: i32): i32 {
  if (tape.kind(list) != Kind.Array) return -1;
  for (let n = tape.first(list); n >= 0; n = tape.next(n)) {
    if (tape.kind(n) != Kind.String) continue;
    if (equalsDecoded(tape.raw(n), tape.escaped(n), "message.output_text.logprobs")) return n;
  }
  return -1;
}

/** Vertex' way to have a tool's arguments in parts, each of which is an object of its own. */
function calling(tape: Tape, config: i32): i32 {
  const calls = memberOf(tape, config, "functioncallingconfig", "function_calling_config");
  const asks = memberOf(tape, calls, "streamfunctioncallarguments", "stream_function_call_arguments");
  return asks >= 0 && !isNo(tape, asks) ? asks : -1;
}

/** The member of the object `node` that has one of two names, in small letters; -1 without one. */
function memberOf(tape: Tape, node: i32, name: string, other: string): i32 {
  if (node < 0 || tape.kind(node) != Kind.Object) return -1;
  for (let n = tape.first(node); n >= 0; n = tape.next(n)) {
    const have = nameOf(tape, n);
    if (isFolded(have, name) || isFolded(have, other)) return n;
  }
  return -1;
}

/** Gemini's way. */
function configured(tape: Tape, config: i32): i32 {
  if (tape.kind(config) != Kind.Object) return -1;
  for (let n = tape.first(config); n >= 0; n = tape.next(n)) {
    const name = nameOf(tape, n);
    const asks =
      isFolded(name, "responselogprobs") || isFolded(name, "response_logprobs") || isFolded(name, "logprobs");
    if (asks && !isNo(tape, n) && !isZero(tape, n)) return n;
  }
  return -1;
}

/** The name of the member `n`, decoded; empty when it is escaped and longer than NAME_MAX. */
export function nameOf(tape: Tape, n: i32): Slice {
  if (!tape.keyEscaped(n)) return tape.key(n);
  return slice(plainName, max(decode(tape.key(n), plainName, NAME_MAX), 0));
}

function isNo(tape: Tape, n: i32): bool {
  return tape.kind(n) == Kind.Null || tape.kind(n) == Kind.False;
}

function isZero(tape: Tape, n: i32): bool {
  return tape.kind(n) == Kind.Number && toU64(tape.raw(n)) == 0;
}

/**
 * Whether the request asks for Gemini's stream without saying, once and plainly, `alt=sse`: then its chunks come as the
 * elements of one array. A path that servers could read in different ways may name that stream too.
 */
export function asksForArray(tape: Tape, path: Slice): bool {
  const clean = withoutQuery(path);
  const may = isGeminiStream(clean) || (isOddPath(clean) && tape.member(0, "contents") >= 0);
  return may && !asksForEvents(sub(path, min(lenOf(clean) + 1, lenOf(path)), lenOf(path)));
}

function asksForEvents(query: Slice): bool {
  let events = false;
  for (let from = 0; from <= lenOf(query); ) {
    const parameter = upTo(sub(query, from, lenOf(query)), AMPERSAND);
    from += lenOf(parameter) + 1;
    const name = upTo(parameter, EQUALS);
    if (indexOf(name, PERCENT) >= 0) return false;
    // Google's servers know it as `$alt` too.
    const last = sub(name, max(lenOf(name) - 3, 0), lenOf(name));
    if (!isFolded(last, "alt")) continue;
    if (events || !is(parameter, "alt=sse")) return false;
    events = true;
  }
  return events;
}

function upTo(text: Slice, byte: u8): Slice {
  const at = indexOf(text, byte);
  return at < 0 ? text : sub(text, 0, at);
}
