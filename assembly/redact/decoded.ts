// A decoded view of the inside of a JSON string, with the way back: detectors see what the escapes mean, and
// what they leave alone is put out byte for byte as it came. In a string that holds JSON, as the arguments of a tool,
// escapes of that JSON are undone too: `\\u0040` is `\u0040` to the client, and `@` to the tool. Any text may turn out to
// be JSON, as an answer in JSON mode is: of it the escapes that no prose has are undone, those with `u`.
//
// Only escapes are remembered (16 bytes each), since between them decoded and raw text are the same bytes.
//
//   event: decoded address u32 | decoded length u32 | raw address u32 | raw length u32
import { escapeEnd, findBackslash, putUtf8, unescape } from "../json/escape";
import { reserve } from "../memory";
import { BLOCK_BYTES, HOLD_RAW_MAX, LOOK_BACK } from "./types";

const EVENTS_MAX: i32 = (BLOCK_BYTES + HOLD_RAW_MAX) / 2 + 1;
const events: usize = reserve(16 * EVENTS_MAX);
/** Both halves of a surrogate pair of JSON in a string, next to each other. */
const pair: usize = memory.data(12);
/** Room for the context before the text, then the text. */
const text: usize = reserve(LOOK_BACK + BLOCK_BYTES + HOLD_RAW_MAX + 16) + <usize>LOOK_BACK;

let count: i32 = 0;
let cursor: i32 = 0;
let rawFrom: usize = 0;
let textFrom: usize = 0;

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

/**
 * Decodes [from, to) and returns where the text begins; it ends at `decodedTo`. Unless `whole`, an escape that
 * is cut off at the end is left out. `nested`: the string holds JSON for sure.
 */
export function decodeText(from: usize, to: usize, whole: bool, nested: bool): usize {
  count = 0;
  cursor = 0;
  rawFrom = from;
  textFrom = text;
  let o = text;
  let p = from;
  for (;;) {
    const stop = findBackslash(p, to);
    memory.copy(o, p, stop - p);
    o += stop - p;
    p = stop;
    if (p >= to || (!whole && isNestedCut(p, to, nested))) break;
    const event = events + <usize>(count++ << 4);
    const len = putUtf8(o, unescapeNested(p, to, nested));
    const after = nestedTo;
    store<u32>(event, <u32>o);
    store<u32>(event, <u32>len, 4);
    store<u32>(event, <u32>p, 8);
    store<u32>(event, <u32>(after - p), 12);
    o += len;
    p = after;
  }
  decodedTo = o;
  return text;
}

/** Takes [from, …) as text that has no escapes. */
export function plainText(from: usize): void {
  count = 0;
  cursor = 0;
  rawFrom = from;
  textFrom = from;
}

/** The raw address of the decoded address `d`. Addresses must not go down between calls. */
export function rawOf(d: usize): usize {
  while (cursor < count && <usize>load<u32>(events + <usize>(cursor << 4)) < d) cursor++;
  if (cursor == 0) return rawFrom + (d - textFrom);
  const event = events + <usize>((cursor - 1) << 4);
  const end = <usize>load<u32>(event) + load<u32>(event, 4);
  const raw = <usize>load<u32>(event, 8) + load<u32>(event, 12);
  return d >= end ? raw + (d - end) : raw;
}
