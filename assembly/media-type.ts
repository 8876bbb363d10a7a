// What a content-type says of a body: of a request whether it is JSON as it is read here, of an answer how it is read for its usage and
// how it is redacted.
import { AnswerKind } from "./usage/state";
import { indexOf, isFolded, lenOf, NONE, ptrOf, Slice, startsWithFolded, sub, trim } from "./slice";

const QUOTE: u8 = 34;
const COMMA: u8 = 44;
const SLASH: u8 = 47;
const SEMICOLON: u8 = 59;

/** How an answer is taken to be written. */
export enum Form {
  Json = 0,
  Events = 1,
  /** Lines of JSON, each of which is an event. */
  Lines = 2,
  Text = 3,
  /** Nothing that is read as text: pictures, sound, archives. */
  Binary = 4,
  /** Texts in frames, as base64 or compressed, in 16 bits a character, or of two types: they cannot be followed. */
  Framed = 5,
}

/**
 * Whether a body of `type` claims to be JSON in UTF-8, of which ASCII is a part: no type counts as one, since clients leave it out.
 * Two types, as Envoy makes one of two headers, claim nothing: which of them holds is the client's choice.
 */
export function claimsJson(type: Slice): bool {
  if (type == NONE) return true;
  if (indexOf(type, COMMA) >= 0) return false;
  let end = indexOf(type, SEMICOLON);
  if (end < 0) end = lenOf(type);
  const name = trim(sub(type, 0, end));
  if (!isFolded(name, "application/json") && !isFolded(name, "text/json")) return false;
  for (let charset = nextCharset(type, NONE); charset != NONE; charset = nextCharset(type, charset))
    if (!isUtf8(charset)) return false;
  return true;
}

/** UTF-8 by its name, by the one that many clients give it, or as its part. */
function isUtf8(charset: Slice): bool {
  return isFolded(charset, "utf-8") || isFolded(charset, "utf8") || isFolded(charset, "us-ascii");
}

/**
 * Whether any of the types of a body is JSON, in whatever charset (application/json, application/vnd.api+json): servers may read
 * it as such where `claimsJson` does not. A comma in quotes divides too, which makes no type less.
 */
export function saysJson(type: Slice): bool {
  for (let from = 0; from <= lenOf(type); ) {
    let end = indexOf(type, COMMA, from);
    if (end < 0) end = lenOf(type);
    const semicolon = indexOf(sub(type, 0, end), SEMICOLON, from);
    const name = trim(sub(type, from, semicolon < 0 ? end : semicolon));
    const last = sub(name, max(lenOf(name) - 5, 0), lenOf(name));
    if (isFolded(last, "/json") || isFolded(last, "+json")) return true;
    from = end + 1;
  }
  return false;
}

/** The kind of an answer of the media type `type`, an AnswerKind; -1: neither its usage nor its events are known. */
export function kindOf(type: Slice): i32 {
  if (startsWithFolded(type, "text/event-stream")) return AnswerKind.Events;
  if (!startsWithFolded(type, "application/")) return -1;
  const name = sub(type, 12, lenOf(type));
  // JSON Lines has no registered name; these are in use. Ollama's is the first.
  if (startsWithFolded(name, "x-ndjson") || startsWithFolded(name, "ndjson")) return AnswerKind.Lines;
  if (startsWithFolded(name, "jsonl") || startsWithFolded(name, "x-jsonl")) return AnswerKind.Lines;
  if (startsWithFolded(name, "json-lines") || startsWithFolded(name, "stream+json")) return AnswerKind.Lines;
  return startsWithFolded(name, "json") ? AnswerKind.Json : -1;
}

/** The form of an answer of the media type `type`, whose kind is `kind`. What is not known, or has no type, is text. */
export function formOf(type: Slice, kind: i32): Form {
  if (isWide(type)) return Form.Framed;
  if (kind == AnswerKind.Events) return Form.Events;
  if (kind == AnswerKind.Lines) return Form.Lines;
  if (startsWithFolded(type, "application/vnd.amazon.eventstream")) return Form.Framed;
  // gRPC, gRPC-Web and Connect's streams have the length of each message in it, and may compress each; also those of JSON.
  if (startsWithFolded(type, "application/grpc") || startsWithFolded(type, "application/connect+"))
    return Form.Framed;
  // application/json, application/problem+json …
  if (namesJson(type)) return Form.Json;
  // Envoy makes one of two headers, and which of the types holds is the client's choice.
  if (indexOf(type, COMMA) >= 0) return Form.Framed;
  if (startsWithFolded(type, "image/") || startsWithFolded(type, "audio/")) return Form.Binary;
  if (startsWithFolded(type, "video/") || startsWithFolded(type, "application/octet-stream"))
    return Form.Binary;
  if (startsWithFolded(type, "application/pdf") || startsWithFolded(type, "application/zip"))
    return Form.Binary;
  return Form.Text;
}

function namesJson(type: Slice): bool {
  const slash = max(indexOf(type, SLASH), 0);
  for (let i = slash; i + 4 <= lenOf(type); i++) {
    if (isFolded(sub(type, i, i + 4), "json")) return true;
    if (load<u8>(ptrOf(type) + i) == SEMICOLON) break;
  }
  return false;
}

/** Whether characters of `type` have more bytes than ASCII's, so that no text is found in it. */
function isWide(type: Slice): bool {
  for (let charset = nextCharset(type, NONE); charset != NONE; charset = nextCharset(type, charset))
    if (namesWide(charset)) return true;
  return false;
}

/** `charset` may be a whole parameter: the name is looked for anywhere in it. */
function namesWide(charset: Slice): bool {
  for (let i = 0; i < lenOf(charset); i++) {
    const rest = sub(charset, i, lenOf(charset));
    if (startsWithFolded(rest, "utf-16") || startsWithFolded(rest, "utf-32")) return true;
    if (startsWithFolded(rest, "utf16") || startsWithFolded(rest, "utf32")) return true;
    if (startsWithFolded(rest, "ucs-") || startsWithFolded(rest, "unicode")) return true;
  }
  return false;
}

/**
 * The charset among the parameters of `type` after `last`, which is one of them or NONE; NONE. Of a parameter that only some
 * readers take for one (`charset =utf-7`, `charset*=utf-8''utf-7`), all of it, which is the name of no charset.
 */
function nextCharset(type: Slice, last: Slice): Slice {
  const from = last == NONE ? 0 : <i32>(ptrOf(last) - ptrOf(type));
  for (let at = indexOf(type, SEMICOLON, from); at >= 0; at = indexOf(type, SEMICOLON, at + 1)) {
    const end = indexOf(type, SEMICOLON, at + 1);
    const parameter = trim(sub(type, at + 1, end < 0 ? lenOf(type) : end));
    if (!startsWithFolded(parameter, "charset")) continue;
    return startsWithFolded(parameter, "charset=")
      ? unquoted(sub(parameter, 8, lenOf(parameter)))
      : parameter;
  }
  return NONE;
}

function unquoted(value: Slice): Slice {
  const ptr = ptrOf(value);
  const len = lenOf(value);
  const from = len > 0 && load<u8>(ptr) == QUOTE ? 1 : 0;
  return sub(value, from, len > from && load<u8>(ptr + len - 1) == QUOTE ? len - 1 : len);
}
