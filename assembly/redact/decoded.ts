// A decoded view of the inside of a JSON string, with the way back: detectors see what the escapes mean, and
// what they leave alone is put out byte for byte as it came. In a string that holds JSON, as the arguments of a tool,
// escapes of that JSON are undone too: `\\u0040` is `\u0040` to the client, and `@` to the tool. Any text may turn out to
// be JSON, as an answer in JSON mode is: of it the escapes that no prose has are undone, those with `u`.
//
// In every text, characters that are not seen (unseen.ts) are left out. A stream holds at most seven raw bytes for each
// decoded one, so more of them are taken for text: what a byte has left of its seven (`slack`) pays for what is left out
// behind it.
//
// Only these and escapes are remembered (16 bytes each), since between them decoded and raw text are the same bytes.
//
//   event: decoded address u32 | decoded length u16, slack behind it u16 | raw address u32 | raw length u32
import { escapeEnd, putUtf8, unescape, utf8Size } from "../json/escape";
import { reserve } from "../memory";
import { BLOCK_BYTES, HOLD_RAW_MAX, LOOK_BACK } from "./types";
import { CUT, findUnseen, isUnseen, unseen } from "./unseen";

const EVENTS_MAX: i32 = (BLOCK_BYTES + HOLD_RAW_MAX) / 2 + 1;
const events: usize = reserve(16 * EVENTS_MAX);
/** Both halves of a surrogate pair of JSON in a string, next to each other. */
const pair: usize = memory.data(12);
/** Room for the context before the text, then the text. */
const text: usize = reserve(LOOK_BACK + BLOCK_BYTES + HOLD_RAW_MAX + 16) + <usize>LOOK_BACK;

/** What one byte as it stands leaves of the raw bytes that a decoded one may take. */
export const SLACK: i32 = 6;

const BACKSLASH: u32 = 92;

let count: i32 = 0;
let cursor: i32 = 0;
let rawFrom: usize = 0;
let textFrom: usize = 0;
let slackFrom: i32 = 0;

export let decodedTo: usize = 0;
/** Where the escape ended that `unescapeNested` read last. */
let nestedTo: usize = 0;

/** Whether the escape at `p` may go on past `end`. */
function isCut(p: usize, end: usize): bool {
  if (p + 2 > end) return true;
  if (load<u8>(p, 1) != 117) return false;
  if (p + 6 > end) return true;
  if (!isHigh(p + 2) || p + 12 <= end) return false;
  // The second half of a surrogate pair begins with `\u`.
  if (p + 6 < end && load<u8>(p, 6) != 92) return false;
  return !(p + 7 < end && load<u8>(p, 7) != 117);
}

/** The same for an escape of JSON in the string: `\\u0040`, and where it is `nested` for sure `\\n`, `\\\"` and the like. */
function isNestedCut(p: usize, end: usize, nested: bool): bool {
  if (isCut(p, end)) return true;
  if (load<u8>(p, 1) != 92) return false;
  if (p + 3 > end) return true;
  const c = load<u8>(p, 2);
  if (c == 92) return nested && p + 4 > end;
  if (c != 117) return false;
  if (p + 7 > end) return true;
  if (!isHigh(p + 3) || p + 14 <= end) return false;
  // The second half begins with `\\u`.
  for (let q = p + 7; q < min(p + 10, end); q++) if (load<u8>(q) != (q == p + 9 ? 117 : 92)) return false;
  return true;
}

/** Whether the hexadecimal digits at `p` are those of the first half of a surrogate pair. */
function isHigh(p: usize): bool {
  const second = load<u8>(p, 1) | 32;
  return (load<u8>(p) | 32) == 100 && (second - 56 < 2 || second - 97 < 2);
}

/**
 * The code point of the escape at `p`, through both levels; it ends at `nestedTo`. What takes more than seven raw bytes for
 * one decoded (a backslash as `\u005c`) is one level only, as is what no JSON has.
 */
function unescapeNested(p: usize, to: usize, nested: bool): u32 {
  if (p + 2 > to || load<u8>(p, 1) != 92) {
    const point = unescape(p, to);
    nestedTo = min(escapeEnd(), to);
    return point;
  }
  nestedTo = p + 2;
  if (p + 2 == to) return 92;
  const c = <u32>load<u8>(p, 2);
  if (!nested && c != 117) return 92;
  if (c == 92) {
    const quoted = p + 4 <= to ? <u32>load<u8>(p, 3) : 0;
    if (quoted != 34 && quoted != 92) return 92;
    nestedTo = p + 4;
    return quoted;
  }
  // Behind the first backslash it stands as it will.
  let value = unescape(p + 1, min(p + 7, to));
  if (value == c && c != 117) return 92;
  let end = escapeEnd();
  if (value == 0xfffd) {
    if (p + 14 > to || !isHigh(p + 3) || load<u16>(p, 7) != 0x5c5c) return 92;
    memory.copy(pair, p + 1, 6);
    memory.copy(pair + 6, p + 8, 6);
    value = unescape(pair, pair + 12);
    if (value == 0xfffd) return 92;
    end = p + 14;
  }
  nestedTo = end;
  return value;
}

/** Whether nothing in [from, to) stands for anything else: then it is text as it is. */
export function isPlain(from: usize, to: usize, whole: bool, written: Written): bool {
  return findUnseen(from, to, whole, written != Written.Plain) == to;
}

/** How a text is written, and so what its backslashes stand for. */
export enum Written {
  /** As it is: for themselves. */
  Plain = 0,
  /** In a JSON string, and it may turn out to be JSON. */
  Quoted = 1,
  /** In a JSON string, and it is JSON, as the arguments of a tool are. */
  Nested = 2,
  /** In a JSON string, of which one level is read: a prompt's. */
  Once = 3,
}

/** What `readItem` read last: its end, what it stands for (AS_IS: for itself), its size so, and what is left behind it. */
export let itemTo: usize = 0;
let itemPoint: u32 = 0;
export let itemSize: i32 = 0;
export let itemSlack: i32 = 0;
const AS_IS: u32 = 0xffffffff;

/** Reads what `findUnseen` found at `p`; false when it may be cut off at `to`. `slack`: what the character before has left. */
export function readItem(p: usize, to: usize, whole: bool, written: Written, slack: i32): bool {
  if (load<u8>(p) != BACKSLASH) {
    const length = unseen(p, to, whole);
    if (length == CUT) return false;
    const fits = length <= slack;
    itemPoint = AS_IS;
    itemTo = p + length;
    itemSize = fits ? 0 : length;
    itemSlack = fits ? slack - length : SLACK;
    return true;
  }
  // Most are two bytes for one: `\n`, `\"`.
  const c = p + 2 <= to ? <u32>load<u8>(p, 1) : 117;
  if (c != 117 && c != 92) {
    itemPoint = unescape(p, to);
    itemTo = p + 2;
    itemSize = utf8Size(itemPoint);
    itemSlack = 0;
    return true;
  }
  const nested = written == Written.Nested;
  if (!whole && isNestedCut(p, to, nested)) return false;
  if (written != Written.Once) itemPoint = unescapeNested(p, to, nested);
  else {
    itemPoint = unescape(p, to);
    nestedTo = min(escapeEnd(), to);
  }
  itemTo = nestedTo;
  const fits = isUnseen(itemPoint) && <i32>(itemTo - p) <= slack;
  itemSize = fits ? 0 : utf8Size(itemPoint);
  itemSlack = fits ? slack - <i32>(itemTo - p) : 0;
  return true;
}

/** Puts the item that was read at `p` to `o`. */
export function putItem(o: usize, p: usize): void {
  if (itemPoint == AS_IS) memory.copy(o, p, itemSize);
  else if (itemSize != 0) putUtf8(o, itemPoint);
}

/**
 * Decodes [from, to) and returns where the text begins; it ends at `decodedTo`. Unless `whole`, what is cut off at the end
 * is left out. `slack`: what the character before has left.
 */
export function decodeText(from: usize, to: usize, whole: bool, written: Written, slack: i32): usize {
  count = 0;
  cursor = 0;
  rawFrom = from;
  slackFrom = slack;
  textFrom = from;
  decodedTo = to;
  if (isPlain(from, to, whole, written)) return from;
  textFrom = text;
  let o = text;
  let p = from;
  for (;;) {
    const stop = findUnseen(p, to, whole, written != Written.Plain);
    memory.copy(o, p, stop - p);
    o += stop - p;
    if (stop > p) slack = SLACK;
    p = stop;
    if (p >= to || !readItem(p, to, whole, written, slack)) break;
    const event = events + <usize>(count++ << 4);
    if (itemSize == 1 && itemPoint < 0x80) store<u8>(o, <u8>itemPoint);
    else putItem(o, p);
    slack = itemSlack;
    store<u32>(event, <u32>o);
    store<u16>(event, <u16>itemSize, 4);
    store<u16>(event, <u16>slack, 6);
    store<u32>(event, <u32>p, 8);
    store<u32>(event, <u32>(itemTo - p), 12);
    o += itemSize;
    p = itemTo;
  }
  decodedTo = o;
  return text;
}

/** The raw address of the decoded address `d`, behind what was left out there. Addresses must not go down between calls. */
export function rawOf(d: usize): usize {
  return rawBefore(d + 1, d);
}

/** The same, before what was left out there: where a match ends. Not after `rawOf(d)`. */
export function rawEndOf(d: usize): usize {
  return rawBefore(d, d);
}

/** The raw address of `d`, behind what was left out before `limit`. */
function rawBefore(limit: usize, d: usize): usize {
  while (cursor < count && isBefore(events + <usize>(cursor << 4), limit, d)) cursor++;
  if (cursor == 0) return rawFrom + (d - textFrom);
  const event = events + <usize>((cursor - 1) << 4);
  const end = endOf(event);
  const raw = <usize>load<u32>(event, 8) + load<u32>(event, 12);
  return d >= end ? raw + (d - end) : raw;
}

/** What the character before `d` has left, after `rawOf(d)` or `rawEndOf(d)`. */
export function slackAt(d: usize): i32 {
  if (cursor == 0) return d == textFrom ? slackFrom : SLACK;
  const event = events + <usize>((cursor - 1) << 4);
  return d > endOf(event) ? SLACK : load<u16>(event, 6);
}

function endOf(event: usize): usize {
  return <usize>load<u32>(event) + load<u16>(event, 4);
}

function isBefore(event: usize, limit: usize, d: usize): bool {
  const at = <usize>load<u32>(event);
  return at < d || (at < limit && load<u16>(event, 4) == 0);
}
