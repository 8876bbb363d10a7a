// Redacts a whole JSON answer that arrives in chunks cut anywhere: every string value, wherever it is, except
// some members (`isKept`), which hold identifiers and enumerations that clients parse. Names of members, numbers and
// punctuation pass untouched, so what was valid JSON stays so. (Text that is JSON inside a string, such as tool
// arguments, is redacted as text: a bare number there becomes a placeholder.) What a tool is called with is the
// model's from its names on: inside of it, names are texts like values, and none is that of an identifier.
//
// What stands outside strings is checked (literal.ts), since nothing there is redacted: text
// that is no JSON, or that says the answer again token by token, is found out before it is past (`isOdd`, `hasTokens`).
import { decode } from "../json/escape";
import { reserve } from "../memory";
import { isFolded, lenOf, slice, Slice } from "../slice";
import { Written } from "./decoded";
import { Literal, mayEndLiteral, nextLiteral } from "./literal";
import { put, room } from "./output";
import { openPassage, pass, Passage, PASSAGE_BYTES } from "./passage";
import { roomFor } from "./redactor";

/** Levels of which it is known whether they are objects. */
const LEVELS: u32 = 512;
/** Of the longest name that is known, with an escape for each letter. */
const NAME_MAX: u32 = 120;

const plainName: usize = reserve(NAME_MAX);

enum Place {
  Outside = 0,
  Name = 1,
  Value = 2,
  /** In a value that passes as it is. */
  Kept = 3,
}

@unmanaged
export class Body {
  answer: usize;
  place: Place;
  /** What stands outside of strings (literal.ts). */
  literal: Literal;
  /** After a backslash. */
  escaped: bool;
  /** The string that comes next is a name. */
  expectsName: bool;
  /** Bytes of the last name; NAME_MAX + 1: it is longer. */
  nameLength: u8;
  /** The name at hand has escapes. */
  nameEscaped: bool;
  /** A root has begun. Another one is no JSON, but could be where the text of the first goes on. */
  begun: bool;
  /** Something has come that is no JSON. */
  isOdd: bool;
  /** Tokens of the answer have come, one by one (the values of log probabilities). */
  hasTokens: bool;
  depth: u32;
  /** The depths at which tokens, and what a tool is called with, began; 0: outside of them. */
  tokensDepth: u32;
  toolDepth: u32;
  // Of a stream of events (event.ts): what of the line and of a byte order mark has come, and whether all lines are data.
  line: i32;
  mark: i32;
  lines: bool;

  /** One bit each: whether the level is an object. */
  get objects(): usize {
    return changetype<usize>(this) + OBJECTS_AT;
  }
  get nameAt(): usize {
    return changetype<usize>(this) + NAME_AT;
  }
  get name(): Slice {
    return slice(this.nameAt, this.nameLength);
  }
  /** Where the text at hand is redacted. */
  get text(): Passage {
    return changetype<Passage>(changetype<usize>(this) + TEXT_AT);
  }
  /** Whether the next byte begins a document. */
  get isAtStart(): bool {
    return this.place == Place.Outside && this.depth == 0 && this.line == 0;
  }
}

const OBJECTS_AT: usize = offsetof<Body>();
const NAME_AT: usize = OBJECTS_AT + (LEVELS >> 3);
const TEXT_AT: usize = (NAME_AT + NAME_MAX + 7) & ~7;
export const BODY_BYTES: i32 = <i32>TEXT_AT + PASSAGE_BYTES;

/** Starts a body of `answer`. */
export function openBody(body: Body, answer: usize): void {
  memory.fill(changetype<usize>(body), 0, BODY_BYTES);
  body.answer = answer;
}

/** Forgets where in a document the body was: the next byte begins one. */
export function restartBody(body: Body): void {
  body.place = Place.Outside;
  body.literal = Literal.None;
  body.escaped = false;
  body.expectsName = false;
  body.nameLength = 0;
  body.begun = false;
  body.depth = 0;
  body.tokensDepth = 0;
  body.toolDepth = 0;
  body.line = 0;
}

/** The room in which a chunk of `len` bytes is certain to be taken in one call. */
export function roomForBody(len: i32): i32 {
  return roomFor(len) * 2;
}

/** What passes as it is and is not out yet begins here: it goes out in one piece. */
let asIs: usize = 0;

/** Feeds a chunk; returns how many bytes were taken, fewer than `len` only for want of room in the output. */
export function feedBody(body: Body, ptr: usize, len: i32): i32 {
  let most = <i32>min<usize>(room(), 0x3fffffff) - roomForBody(0);
  most /= roomForBody(1) - roomForBody(0);
  if (most < 0) most = 0;
  const end = ptr + min(len, most);
  let p = ptr;
  asIs = ptr;
  while (p < end) {
    p = body.place == Place.Outside ? outside(body, p, end) : inString(body, p, end);
  }
  put(asIs, end);
  return <i32>(end - ptr);
}

/** Ends a body that was cut off inside a string: puts out what was held. */
export function endBody(body: Body): void {
  if (body.place == Place.Value) pass(body.text, 0, 0, true);
  body.place = Place.Outside;
}

function outside(body: Body, p: usize, end: usize): usize {
  let word = body.literal;
  while (p < end) {
    const b = <u32>load<u8>(p++);
    if (b == 34) {
      if (!mayEndLiteral(word)) body.isOdd = true;
      // The next literal stands behind a comma or the like.
      word = Literal.Over;
      beginString(body);
      break;
    }
    const before = word;
    word = nextLiteral(word, b);
    if (word == Literal.Odd) body.isOdd = true;
    else if (word == Literal.None) {
      if (b == 123 || b == 91) nest(body, b == 123);
      else if (b == 44) body.expectsName = isObject(body);
      else if (b == 58) body.expectsName = false;
    } else if (b == 125 || b == 93) close(body);
    else if (before == Literal.None && b - 48 < 10) value(body);
  }
  body.literal = word;
  return p;
}

function close(body: Body): void {
  const depth = body.depth;
  if (depth) body.depth--;
  if (depth == body.tokensDepth) body.tokensDepth = 0;
  if (depth == body.toolDepth) body.toolDepth = 0;
  // What follows in an array has no name.
  body.nameLength = 0;
}

/** A string or a number begins. */
function value(body: Body): void {
  if (body.tokensDepth) body.hasTokens = true;
}

function beginRoot(body: Body): void {
  if (body.begun) body.isOdd = true;
  body.begun = true;
}

function nest(body: Body, object: bool): void {
  const level = body.depth++;
  if (level == 0) beginRoot(body);
  if (body.tokensDepth == 0 && isTokens(body.name)) body.tokensDepth = body.depth;
  if (body.toolDepth == 0 && isInput(body.name)) body.toolDepth = body.depth;
  body.expectsName = object && level < LEVELS;
  if (level >= LEVELS) return;
  const at = body.objects + <usize>(level >> 3);
  const bit = (<u32>1) << (level & 7);
  store<u8>(at, <u8>(object ? load<u8>(at) | bit : load<u8>(at) & ~bit));
}

function isObject(body: Body): bool {
  const level = body.depth - 1;
  return level < LEVELS && ((load<u8>(body.objects + <usize>(level >> 3)) >> <u8>(level & 7)) & 1) != 0;
}

function beginString(body: Body): void {
  const toTool = body.toolDepth != 0;
  if (body.expectsName && !toTool) {
    body.nameLength = 0;
    body.nameEscaped = false;
    body.place = Place.Name;
    return;
  }
  value(body);
  if (body.depth == 0) beginRoot(body);
  if (body.depth != 0 && !toTool && isKept(body.name)) {
    body.place = Place.Kept;
    return;
  }
  body.place = Place.Value;
  // What a tool is called with, as JSON in a string.
  const isNested = !toTool && isFolded(body.name, "arguments");
  openPassage(body.text, body.answer, isNested ? Written.Nested : Written.Quoted);
}

/** The rest of a string up to and with its closing quote. */
function inString(body: Body, p: usize, end: usize): usize {
  const from = p;
  if (body.escaped) p++;
  p = skipPlain(p, end);
  while (p < end && load<u8>(p) != 34) {
    body.nameEscaped = true;
    p = skipPlain(p + 2, end);
  }
  // One past the end: the last byte is a backslash.
  body.escaped = p > end;
  const closed = p < end;
  p = min(p, end);
  if (body.place == Place.Value) {
    put(asIs, from);
    pass(body.text, from, <i32>(p - from), closed);
    asIs = p;
  } else if (body.place == Place.Name) addName(body, from, p, closed);
  if (!closed) return p;
  body.place = Place.Outside;
  return p + 1;
}

/** The first `"` or `\` at or after `p`, or `end`. */
export function skipPlain(p: usize, end: usize): usize {
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

/** A name longer than NAME_MAX is none of those that are known. */
function addName(body: Body, from: usize, to: usize, closed: bool): void {
  const have = <u32>body.nameLength;
  const more = <u32>(to - from);
  if (have + more <= NAME_MAX) memory.copy(body.nameAt + have, from, more);
  body.nameLength = <u8>min<u32>(have + min<u32>(more, NAME_MAX + 1), NAME_MAX + 1);
  if (!closed || !body.nameEscaped || <u32>body.nameLength > NAME_MAX) return;
  // Broken escapes stand for more bytes than they have.
  const length = decode(body.name, plainName, <i32>NAME_MAX);
  if (length >= 0) memory.copy(body.nameAt, plainName, length);
  body.nameLength = <u8>(length < 0 ? NAME_MAX + 1 : length);
}

/** Whether what begins is what a tool is called with, as JSON in place. */
function isInput(name: Slice): bool {
  return (
    isFolded(name, "args") ||
    isFolded(name, "input") ||
    isFolded(name, "arguments") ||
    isFolded(name, "parameters") ||
    // The Responses API's shells and computers.
    isFolded(name, "action")
  );
}

/** Whether the name is that of the answer's tokens, or of parts of what a tool is called with, each by itself. */
function isTokens(name: Slice): bool {
  return (
    isFolded(name, "logprobs") ||
    isFolded(name, "logprobsresult") ||
    isFolded(name, "token_ids") ||
    isFolded(name, "partialargs")
  );
}

/** Whether the value of that name is an identifier, or of an enumeration. */
function isKept(name: Slice): bool {
  switch (lenOf(name)) {
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
