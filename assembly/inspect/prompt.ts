// Finds every text of a request that a model may read, and says whose text it is.
//
// The rule is sound by what it leaves out, not by what it looks for: EVERY string of the body is a span, except
//   1. the value of a member on a closed list (model, role, type, id, …: prompt-names.ts) that is shaped like an
//      identifier: at most 64 bytes without spaces or escapes. "role": "ignore all …" is a span;
//   2. binary data or an address, in the members where the known APIs have them, shaped like it (no spaces, no
//      escapes, a media type that is no text): counted in `media`.
// In what tools are called with and give back, and in schemas, members are not the API's: there nothing is media, and in
// the former an identifier, of 24 bytes at most, is one only because tables would have more of them than there is room for.
// So text in an unknown member, an unknown part or an unknown shape is found like any other. Names of members
// are texts too where they do not look like names (over 40 bytes, spaces, escapes): tools' arguments have such.
// Numbers in an array where text could stand are a prompt in tokens, and `prompt_embeds` is one that no text was: counted in
// `tokenIds`, not inspected.
//
// Trust comes from the place (system, messages[].role, contents[].role, input[].type) and can only fall on the way
// down: inside a tool's result nothing claims to be anybody else's. What hides its name behind escapes is Untrusted.
//
// Bounds: one walk over the tape, each object asked at most three times for a member; DEPTH_LIMIT bytes of stack.
import { Decoded } from "../json/escape";
import { DEPTH_LIMIT } from "../json/scanner";
import { Kind, Tape } from "../json/tape";
import { equalsDecoded, nearest } from "../json/text";
import { reserve } from "../memory";
import { NONE, Slice } from "../slice";
import { Writer } from "../writer";
import { findFacts, present } from "./prompt-facts";
import {
  isFileData,
  isFreeMember,
  isIdentifier,
  isKnownType,
  isLong,
  isMediaHolder,
  isMediaMember,
  isMediaValue,
  isModelType,
  isOpaque,
  isOption,
  isOutsideMember,
  isOutsideType,
  isSchemaMember,
  isTextKey,
  isTextType,
  isTypedMember,
  isTypedFile,
  needsType,
} from "./prompt-names";
import { findShape, mainMember, Shape } from "./prompt-shape";
import { Prompt, Trust } from "./prompt-spans";

export { Shape } from "./prompt-shape";
export { Prompt, Trust } from "./prompt-spans";

/** Enough for any conversation; a body with more texts is refused, not cut. */
export const SPANS_MAX: i32 = 4096;

/** Where a value stands: bits 2 and up of a place; bits 0 and 1 are its trust. */
enum Where {
  /** Outside the conversation: options, tools, unknown members. */
  Outside = 0,
  /** The list of messages, or an array in it. */
  List = 4,
  /** Inside a message. */
  Message = 8,
}

/** The place of the open objects and arrays, by depth. */
const places: usize = reserve(DEPTH_LIMIT + 1);

/** The member that holds the prompt, and whether the walk is in it. */
let mainNode: i32 = -1;
let inMain: bool = false;
/** The last message, if the user wrote it, and whether it, and the whole conversation, say anything. */
let userMessage: i32 = -1;
let userSaid: bool = false;
let said: bool = false;
/** The first blank text of that message. */
let blank: i32 = -1;

/** Fills `out` from a scanned body. `path` may have a query; `method` as sent. */
export function findPrompt(tape: Tape, path: Slice, method: Slice, out: Prompt): void {
  out.reset();
  out.shape = findShape(tape, path, method);
  mainNode = tape.member(0, mainMember(out.shape, tape));
  inMain = false;
  userMessage = -1;
  userSaid = false;
  said = false;
  blank = -1;
  walk(tape, out);
  // What vLLM takes for a prompt, or beside one.
  if (present(tape, 0, "prompt_embeds") >= 0) out.tokenIds++;
  findFacts(tape, path, out);
  judgeEmpty(tape, out);
  judgeMessages(tape, out);
}

/** Writes the JSON pointer that a refusal of an empty prompt names. */
export function emptyPointer(tape: Tape, found: Prompt, to: Writer): void {
  if (found.emptyAt >= 0) nearest(tape, found.emptyAt, to);
  else to.text("/").text(mainMember(found.shape, tape));
}

function judgeEmpty(tape: Tape, out: Prompt): void {
  out.emptyAt = mainNode;
  const asked = said && (userMessage < 0 || userSaid);
  out.nonEmpty = asked || out.shape == Shape.Unknown || hasStored(tape, out);
  if (!out.nonEmpty && userMessage >= 0) out.emptyAt = blank >= 0 ? blank : userMessage;
}

/** Whether it asks an API to go on from what is stored there: nothing has to be put in then. */
function hasStored(tape: Tape, out: Prompt): bool {
  if (mainNode >= 0 && tape.kind(mainNode) != Kind.Null) return false;
  if (out.shape == Shape.Interactions) return present(tape, 0, "previous_interaction_id") >= 0;
  if (out.shape != Shape.Responses) return false;
  return (
    present(tape, 0, "prompt") >= 0 ||
    present(tape, 0, "previous_response_id") >= 0 ||
    present(tape, 0, "conversation") >= 0
  );
}

/** A list of messages must be one: what a provider makes of anything else is not known. */
function judgeMessages(tape: Tape, out: Prompt): void {
  const lists = out.shape == Shape.Chat || out.shape == Shape.Messages || out.shape == Shape.OllamaChat;
  if (!lists && out.shape != Shape.Gemini) return;
  if (mainNode < 0) return;
  // Gemini takes one content that stands alone.
  if (out.shape == Shape.Gemini && tape.kind(mainNode) == Kind.Object) return;
  let odd = tape.kind(mainNode) == Kind.Array ? -1 : mainNode;
  for (let n = odd < 0 ? tape.first(mainNode) : -1; n >= 0 && odd < 0; n = tape.next(n)) {
    if (tape.kind(n) != Kind.Object) odd = n;
  }
  if (odd < 0) return;
  out.nonEmpty = false;
  out.emptyAt = odd;
}

function walk(tape: Tape, out: Prompt): void {
  let n = 0;
  let depth = 0;
  store<u8>(places, Where.Outside | Trust.User);
  while (true) {
    const around: i32 = depth > 0 ? load<u8>(places + depth - 1) : Where.Outside | Trust.User;
    const place = placeOf(tape, n, depth, around, out);
    visit(tape, n, place, around, out);
    const child = tape.kind(n) <= Kind.Array ? tape.first(n) : -1;
    if (child >= 0) {
      store<u8>(places + depth, place);
      depth++;
      n = child;
      continue;
    }
    let next = tape.next(n);
    while (next < 0) {
      if (depth == 0) return;
      n = tape.parent(n);
      depth--;
      next = tape.next(n);
    }
    n = next;
  }
}

/** The trust and whereabouts of `n`, from those `around` it. */
function placeOf(tape: Tape, n: i32, depth: i32, around: i32, out: Prompt): i32 {
  if (depth == 0) return around;
  if (depth == 1) return topPlace(tape, n, out);
  const where = around & ~3;
  const isObject = tape.kind(n) == Kind.Object;
  if (where == Where.List) {
    if (depth == 2 && inMain) begin(n, out);
    if (tape.kind(n) == Kind.Array) return around;
    return isObject ? message(tape, n, out) : around;
  }
  if ((around & 3) == Trust.Untrusted) return around;
  if (where == Where.Message) {
    const key = tape.key(n);
    if (tape.keyEscaped(n) || (key != NONE && isOutsideMember(key))) return Where.Message | Trust.Untrusted;
    if (isObject) return part(tape, n, around, out);
  }
  return around;
}

function topPlace(tape: Tape, n: i32, out: Prompt): i32 {
  inMain = n == mainNode;
  const embedded = inMain && out.shape == Shape.Embeddings;
  if (
    embedded ||
    is(tape, n, "messages") ||
    is(tape, n, "input") ||
    is(tape, n, "contents") ||
    is(tape, n, "prompt")
  ) {
    if (inMain && tape.kind(n) != Kind.Array) begin(n, out);
    if (tape.kind(n) == Kind.Object) return message(tape, n, out);
    return Where.List | Trust.User;
  }
  if (is(tape, n, "system") || is(tape, n, "systemInstruction") || is(tape, n, "system_instruction")) {
    return Where.Message | Trust.System;
  }
  if (is(tape, n, "instructions") || is(tape, n, "tools") || is(tape, n, "functions")) return Trust.System;
  // What Ollama told of an earlier conversation, in tokens.
  if (out.shape == Shape.OllamaGenerate && is(tape, n, "context")) return Where.List | Trust.User;
  if (is(tape, n, "response_format")) return Trust.System;
  // The form of an answer; a string is what some servers take for the prompt.
  if (is(tape, n, "text") && tape.kind(n) == Kind.Object) return Trust.System;
  // Cohere's, and what servers of open models look up for a chat.
  if (is(tape, n, "documents")) return Trust.Untrusted;
  return Trust.User;
}

function is(tape: Tape, n: i32, name: string): bool {
  return equalsDecoded(tape.key(n), tape.keyEscaped(n), name);
}

/** A new element of the conversation. */
function begin(n: i32, out: Prompt): void {
  out.messages++;
  // Strings and token lists are the user's; what an object is, `message` says.
  userMessage = n;
  userSaid = false;
  blank = -1;
}

function message(tape: Tape, n: i32, out: Prompt): i32 {
  const trust = speaker(tape, n, out);
  if (inMain) out.beginMessage(n, trust);
  if (inMain && trust != Trust.User) userMessage = -1;
  return Where.Message | trust;
}

function speaker(tape: Tape, n: i32, out: Prompt): i32 {
  const role = tape.member(n, "role");
  const type = typeOf(tape, n);
  if (type >= 0) {
    noteUnknown(tape, n, type, out);
    if (!tape.escaped(type) && isOutsideType(tape.raw(type))) {
      speak();
      return Trust.Untrusted;
    }
    if (says(tape, type, "item_reference")) speak();
  }
  if (role < 0) {
    if (type < 0)
      return tape.member(n, "parts") >= 0 || tape.member(n, "content") >= 0 ? Trust.User : Trust.Untrusted;
    const raw = tape.raw(type);
    if (tape.escaped(type)) return Trust.Untrusted;
    if (isModelType(raw)) return Trust.Assistant;
    return isKnownType(raw) ? Trust.User : Trust.Untrusted;
  }
  if (tape.kind(role) != Kind.String) return Trust.Untrusted;
  if (says(tape, role, "user")) return Trust.User;
  if (says(tape, role, "assistant") || says(tape, role, "model")) return Trust.Assistant;
  if (says(tape, role, "system") || says(tape, role, "developer")) return Trust.System;
  return Trust.Untrusted;
}

function says(tape: Tape, n: i32, text: string): bool {
  return equalsDecoded(tape.raw(n), tape.escaped(n), text);
}

function typeOf(tape: Tape, n: i32): i32 {
  const type = tape.member(n, "type");
  return type >= 0 && tape.kind(type) == Kind.String ? type : -1;
}

/** An object inside a message. */
function part(tape: Tape, n: i32, around: i32, out: Prompt): i32 {
  const type = typeOf(tape, n);
  if (type < 0) return around;
  if (isPart(tape, n)) noteUnknown(tape, n, type, out);
  if (tape.escaped(type)) return Where.Message | Trust.Untrusted;
  if (!isOutsideType(tape.raw(type))) return around;
  speak();
  return Where.Message | Trust.Untrusted;
}

/** Whether `n` is an element of what holds parts: of a message, a result, a tool's output or a system text. */
function isPart(tape: Tape, n: i32): bool {
  if (n == 0 || tape.key(n) != NONE) return false;
  const list = tape.parent(n);
  if (is(tape, list, "content") || is(tape, list, "parts")) return true;
  return is(tape, list, "output") || is(tape, list, "system");
}

function noteUnknown(tape: Tape, n: i32, type: i32, out: Prompt): void {
  if (out.unknownPart < 0 && (tape.escaped(type) || !isKnownType(tape.raw(type)))) out.unknownPart = n;
}

function visit(tape: Tape, n: i32, place: i32, around: i32, out: Prompt): void {
  const trust = place & 3;
  const key = tape.key(n);
  if (key != NONE && isNameText(tape, n, key)) out.add(key, n, trust, tape.keyEscaped(n), true);
  const kind = tape.kind(n);
  if (kind == Kind.Number) {
    if ((around & ~3) == Where.List && key == NONE) {
      out.tokenIds++;
      speak();
    }
    return;
  }
  if (kind != Kind.String) return;
  const raw = tape.raw(n);
  const escaped = tape.escaped(n);
  if (isChoice(tape, n, key)) {
    if (is(tape, n, "file_id")) speak();
    return;
  }
  if (isMedia(tape, n, key)) {
    out.media++;
    speak();
    return;
  }
  out.add(raw, n, trust, escaped, false);
  markPart(tape, n, trust, out);
  if (!inMain) return;
  if (!isBlank(raw, escaped)) speak();
  else if (blank < 0) blank = n;
}

/** Says what the text `n`, which was just added, belongs together with. */
function markPart(tape: Tape, n: i32, trust: i32, out: Prompt): void {
  const part = is(tape, n, "text") ? holder(tape, n) : n;
  const parts = isPart(tape, part);
  if (!parts && !is(tape, n, "content")) return;
  const list = tape.parent(part);
  const message = parts ? tape.parent(list) : list;
  const isMessage = inMain && message > 0 && tape.parent(message) == mainNode;
  if (isMessage || parts) out.markPart(isMessage ? -1 : list, trust);
}

/** What has the text `n`: a part, for Bedrock's guarded text (`"guardContent": { "text": { "text": … } }`) the one around it. */
function holder(tape: Tape, n: i32): i32 {
  let part = tape.parent(n);
  if (is(tape, part, "text")) part = tape.parent(part);
  return is(tape, part, "guardContent") ? tape.parent(part) : part;
}

/** Something to answer is there: a text, media, what is stored somewhere, or a tool's result, which may be empty. */
function speak(): void {
  if (!inMain) return;
  said = true;
  userSaid = true;
}

/** Whether the string `n` may tell of somebody: a span, or an identifier in a value whose members are not the API's. */
export function mayTell(tape: Tape, n: i32): bool {
  const key = tape.key(n);
  return (!isChoice(tape, n, key) && !isMedia(tape, n, key)) || isFree(tape, n, false);
}

function isNameText(tape: Tape, n: i32, key: Slice): bool {
  return isTextKey(key, tape.keyEscaped(n)) || (isLong(key) && isFree(tape, n, false));
}

/** An identifier, or one of the values that an option may have. */
function isChoice(tape: Tape, n: i32, key: Slice): bool {
  const raw = tape.raw(n);
  if (tape.escaped(n) || !isOptionValue(tape, n, key) || !isIdentifier(raw)) return false;
  // Templates of chats write any role before its text.
  return !isLong(raw) || !(is(tape, n, "role") || isFree(tape, n, false));
}

/** Whether `n` is in a value whose members are not the API's, which the conversation's own are; `described`: or in what describes one. */
function isFree(tape: Tape, n: i32, described: bool): bool {
  for (let around = tape.parent(n); around > 0; around = tape.parent(around)) {
    const key = tape.key(around);
    if (key == NONE || around == mainNode) continue;
    if (isFreeMember(key) || (described && isSchemaMember(key))) return true;
  }
  return false;
}

/** An element of an array is what the array's key says. */
function isOptionValue(tape: Tape, n: i32, key: Slice): bool {
  if (key != NONE) return !tape.keyEscaped(n) && isOption(key);
  const parent = tape.parent(n);
  return parent > 0 && !tape.keyEscaped(parent) && tape.key(parent) != NONE && isOption(tape.key(parent));
}

function isMedia(tape: Tape, n: i32, key: Slice): bool {
  if (key == NONE || tape.keyEscaped(n)) return false;
  const parent = tape.parent(n);
  const holder = tape.key(parent);
  const held = holder != NONE && isMediaHolder(holder) && isMediaValue(key);
  const typed = !held && isTypedMember(key);
  if (!held && !typed && !isMediaMember(key)) return false;
  const raw = tape.raw(n);
  if (isFileData(key) && !isTypedFile(raw)) return false;
  let types = 0;
  for (let m = tape.first(parent); m >= 0; m = tape.next(m)) {
    if (!is(tape, m, "mimeType") && !is(tape, m, "mime_type") && !is(tape, m, "media_type")) continue;
    if (tape.kind(m) != Kind.String || isTextType(tape.raw(m))) return false;
    types++;
  }
  if (types == 0 && (typed || (held && needsType(key, holder)))) return false;
  return isOpaque(raw, tape.escaped(n)) && !isFree(tape, n, true);
}

/** Whether a text has nothing but white space. */
function isBlank(raw: Slice, escaped: bool): bool {
  const text = Decoded.A.of(raw, escaped);
  for (let b = text.next(); b >= 0; b = text.next()) if (b != 32 && (b < 9 || b > 13)) return false;
  return true;
}
