// Redacts a whole JSON answer that arrives in chunks cut anywhere: every string value, wherever it is, except
// the members in KEPT, which hold identifiers and enumerations that clients parse. Names of members, numbers and
// punctuation pass untouched, so what was valid JSON stays so. (Text that is JSON inside a string, such as tool
// arguments, is redacted as text: a bare number there becomes a placeholder.) What a tool is called with is the
// model's from its names on: inside of it, names are texts like values, and none is that of an identifier.
//
// What stands outside strings is checked (literal.ts), since nothing there is redacted: text
// that is no JSON, or that says the answer again token by token, is found out before it is past (`isOddBody`).
//
//   0 answer u32 | 4 state u8 | 5 after a backslash u8 | 6 name length u8 | 7 a name comes next u8 | 8 depth u32
//   12 word u8 (literal.ts) | 13 what was odd u8 | 14 line u8, 15 byte order mark u8 (event.ts)
//   16 is-object bits (512 levels) | 80 name (32) | 112 depth of tokens u32 | 116 depth of a tool's input u32
//   120 record (passage.ts)
import { isFolded, slice } from "../slice";
import { Written } from "./decoded";
import { Literal, mayEndLiteral, nextLiteral } from "./literal";
import { put, room } from "./output";
import { openPassage, pass, Passage, PASSAGE_BYTES } from "./passage";
import { roomFor } from "./redactor";

export const BODY_BYTES: i32 = 120 + PASSAGE_BYTES;
const LEVELS: u32 = 512;
const NAME_MAX: u32 = 32;

const OUTSIDE: u32 = 0;
const NAME: u32 = 1;
const VALUE: u32 = 2;
const KEPT: u32 = 3;

// What is odd about a body.
const NO_JSON: u8 = 1;
const TOKENS: u8 = 2;
/** Not odd: its root has begun. Another one is no JSON, but could be where the text of the first goes on. */
const BEGUN: u8 = 4;

/** Where the text at hand is redacted. */
export function textOf(body: usize): Passage {
  return changetype<Passage>(body + 120);
}

/** Starts a body of `answer` at `body` (BODY_BYTES). */
export function openBody(body: usize, answer: usize): void {
  memory.fill(body, 0, BODY_BYTES);
  store<u32>(body, <u32>answer);
}

/** Forgets where in a document the body was: the next byte begins one. */
export function restartBody(body: usize): void {
  store<u32>(body, OUTSIDE, 4);
  store<u32>(body, 0, 8);
  store<u8>(body, <u8>Literal.None, 12);
  store<u8>(body, load<u8>(body, 13) & ~BEGUN, 13);
  store<u8>(body, 0, 14);
  store<u64>(body, 0, 112);
}

/** Whether something has come that is no JSON. */
export function isOddBody(body: usize): bool {
  return (load<u8>(body, 13) & NO_JSON) != 0;
}

/** Whether tokens of the answer have come, one by one (the values of log probabilities). */
export function hasTokens(body: usize): bool {
  return (load<u8>(body, 13) & TOKENS) != 0;
}

function note(body: usize, what: u8): void {
  store<u8>(body, load<u8>(body, 13) | what, 13);
}

/** Whether the next byte begins a document. */
export function isAtStart(body: usize): bool {
  return <u32>load<u8>(body, 4) == OUTSIDE && load<u32>(body, 8) == 0 && load<u8>(body, 14) == 0;
}

/** The room in which a chunk of `len` bytes is certain to be taken in one call. */
export function roomForBody(len: i32): i32 {
  return roomFor(len) * 2;
}

/** What passes as it is and is not out yet begins here: it goes out in one piece. */
let asIs: usize = 0;

/** Feeds a chunk; returns how many bytes were taken, fewer than `len` only for want of room in the output. */
export function feedBody(body: usize, ptr: usize, len: i32): i32 {
  let most = <i32>min<usize>(room(), 0x3fffffff) - roomForBody(0);
  most /= roomForBody(1) - roomForBody(0);
  if (most < 0) most = 0;
  const end = ptr + min(len, most);
  let p = ptr;
  asIs = ptr;
  while (p < end) {
    const state = <u32>load<u8>(body, 4);
    p = state == OUTSIDE ? outside(body, p, end) : inString(body, p, end, state);
  }
  put(asIs, end);
  return <i32>(end - ptr);
}

/** Ends a body that was cut off inside a string: puts out what was held. */
export function endBody(body: usize): void {
  if (<u32>load<u8>(body, 4) == VALUE) pass(textOf(body), 0, 0, true);
  store<u8>(body, OUTSIDE, 4);
}

function outside(body: usize, p: usize, end: usize): usize {
  let word = <Literal>load<u8>(body, 12);
  while (p < end) {
    const b = <u32>load<u8>(p++);
    if (b == 34) {
      if (!mayEndLiteral(word)) note(body, NO_JSON);
      // The next literal stands behind a comma or the like.
      word = Literal.Over;
      beginString(body);
      break;
    }
    const before = word;
    word = nextLiteral(word, b);
    if (word == Literal.Odd) note(body, NO_JSON);
    else if (word == Literal.None) {
      if (b == 123 || b == 91) nest(body, b == 123);
      else if (b == 44) store<u8>(body, isObject(body) ? 1 : 0, 7);
      else if (b == 58) store<u8>(body, 0, 7);
    } else if (b == 125 || b == 93) close(body);
    else if (before == Literal.None && b - 48 < 10) value(body);
  }
  store<u8>(body, <u8>word, 12);
  return p;
}

function close(body: usize): void {
  const depth = load<u32>(body, 8);
  if (depth) store<u32>(body, depth - 1, 8);
  if (depth == load<u32>(body, 112)) store<u32>(body, 0, 112);
  if (depth == load<u32>(body, 116)) store<u32>(body, 0, 116);
  // What follows in an array has no name.
  store<u8>(body, 0, 6);
}

/** A string or a number begins. */
function value(body: usize): void {
  if (load<u32>(body, 112)) note(body, TOKENS);
}

/** The root begins. */
function beginRoot(body: usize): void {
  note(body, (load<u8>(body, 13) & BEGUN) == 0 ? BEGUN : NO_JSON);
}

function nest(body: usize, object: bool): void {
  const depth = load<u32>(body, 8);
  if (depth == 0) beginRoot(body);
  store<u32>(body, depth + 1, 8);
  if (load<u32>(body, 112) == 0 && isTokens(body)) store<u32>(body, depth + 1, 112);
  if (load<u32>(body, 116) == 0 && isInput(body)) store<u32>(body, depth + 1, 116);
  store<u8>(body, object && depth < LEVELS ? 1 : 0, 7);
  if (depth >= LEVELS) return;
  const at = body + 16 + <usize>(depth >> 3);
  const bit = (<u32>1) << (depth & 7);
  store<u8>(at, <u8>(object ? load<u8>(at) | bit : load<u8>(at) & ~bit));
}

function isObject(body: usize): bool {
  const depth = load<u32>(body, 8);
  if (depth == 0 || depth > LEVELS) return false;
  return ((load<u8>(body + 16 + <usize>((depth - 1) >> 3)) >> <u8>((depth - 1) & 7)) & 1) != 0;
}

function beginString(body: usize): void {
  const toTool = load<u32>(body, 116) != 0;
  if (load<u8>(body, 7) && !toTool) {
    store<u8>(body, 0, 6);
    store<u8>(body, <u8>NAME, 4);
    return;
  }
  value(body);
  if (load<u32>(body, 8) == 0) beginRoot(body);
  if (isKept(body) && !toTool) store<u8>(body, <u8>KEPT, 4);
  else {
    store<u8>(body, <u8>VALUE, 4);
    const written = isNested(body) && !toTool ? Written.Nested : Written.Quoted;
    openPassage(textOf(body), <usize>load<u32>(body), written);
  }
}

/** The rest of a string up to and with its closing quote. */
function inString(body: usize, p: usize, end: usize, state: u32): usize {
  const from = p;
  let escaped = load<u8>(body, 5) != 0;
  let closed = false;
  if (escaped) {
    p++;
    escaped = false;
  }
  while (p < end) {
    p = skipPlain(p, end);
    if (p >= end) break;
    if (load<u8>(p) == 34) {
      closed = true;
      break;
    }
    if (p + 1 >= end) escaped = true;
    p += 2;
  }
  p = min(p, end);
  store<u8>(body, escaped ? 1 : 0, 5);
  if (state == VALUE) {
    put(asIs, from);
    pass(textOf(body), from, <i32>(p - from), closed);
    asIs = p;
  } else if (state == NAME) addName(body, from, p);
  if (!closed) return p;
  store<u8>(body, OUTSIDE, 4);
  return p + 1;
}

/** The first `"` or `\` at or after `p`, or `end`. */
function skipPlain(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= end) {
      const v = v128.load(p);
      const mask = i8x16.bitmask(v128.or(i8x16.eq(v, i8x16.splat(34)), i8x16.eq(v, i8x16.splat(92))));
      if (mask) return p + ctz(mask);
      p += 16;
    }
  }
  while (p < end && load<u8>(p) != 34 && load<u8>(p) != 92) p++;
  return p;
}

/** A name longer than NAME_MAX is none of the kept ones; its length then stays above. */
function addName(body: usize, from: usize, to: usize): void {
  const have = <u32>load<u8>(body, 6);
  const more = <u32>(to - from);
  if (have + more <= NAME_MAX) memory.copy(body + 80 + have, from, more);
  store<u8>(body, <u8>min<u32>(have + min<u32>(more, NAME_MAX + 1), NAME_MAX + 1), 6);
}

/** Whether the string holds JSON: what a tool is called with. */
function isNested(body: usize): bool {
  const len = <i32>load<u8>(body, 6);
  return len == 9 && isFolded(slice(body + 80, len), "arguments");
}

/** Whether what begins is what a tool is called with, as JSON in place. */
function isInput(body: usize): bool {
  const len = <i32>load<u8>(body, 6);
  const name = slice(body + 80, len);
  if (len == 4) return isFolded(name, "args");
  if (len == 5) return isFolded(name, "input");
  // The Responses API's shells and computers.
  if (len == 6) return isFolded(name, "action");
  return (len == 9 && isFolded(name, "arguments")) || (len == 10 && isFolded(name, "parameters"));
}

/** Whether the name is that of the answer's tokens, or of parts of what a tool is called with, each by itself. */
function isTokens(body: usize): bool {
  const len = <i32>load<u8>(body, 6);
  const name = slice(body + 80, len);
  if (len == 8) return isFolded(name, "logprobs");
  if (len == 11) return isFolded(name, "partialargs");
  return (len == 9 && isFolded(name, "token_ids")) || (len == 14 && isFolded(name, "logprobsresult"));
}

function isKept(body: usize): bool {
  const len = <i32>load<u8>(body, 6);
  if (len == 0 || len > <i32>NAME_MAX || load<u32>(body, 8) == 0) return false;
  const name = slice(body + 80, len);
  switch (len) {
    case 2:
      return isFolded(name, "id");
    case 4:
      return isFolded(name, "type") || isFolded(name, "role");
    case 5:
      return isFolded(name, "model");
    case 6:
      return isFolded(name, "object") || isFolded(name, "status");
    case 7:
      return isFolded(name, "call_id") || isFolded(name, "item_id");
    case 8:
      return isFolded(name, "b64_json") || isFolded(name, "mimetype");
    case 9:
      return isFolded(name, "signature");
    case 10:
      return isFolded(name, "media_type") || isFolded(name, "responseid");
    case 11:
      return isFolded(name, "stop_reason");
    case 12:
      return (
        isFolded(name, "service_tier") ||
        isFolded(name, "finishreason") ||
        isFolded(name, "tool_call_id") ||
        isFolded(name, "modelversion")
      );
    case 13:
      return isFolded(name, "finish_reason");
    case 16:
      return isFolded(name, "thoughtsignature");
    case 17:
      return isFolded(name, "encrypted_content");
    case 18:
      return isFolded(name, "system_fingerprint");
    case 20:
      return isFolded(name, "previous_response_id");
    default:
      return false;
  }
}
