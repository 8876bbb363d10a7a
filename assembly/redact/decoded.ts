// A decoded view of the inside of a JSON string, with the way back: detectors see what the escapes mean, and
// what they leave alone is put out byte for byte as it came.
//
// Only escapes are remembered (16 bytes each), since between them decoded and raw text are the same bytes.
//
//   event: decoded address u32 | decoded length u32 | raw address u32 | raw length u32
import { escapeEnd, findBackslash, putUtf8, unescape } from "../json/escape";
import { reserve } from "../memory";
import { BLOCK_BYTES, HOLD_RAW_MAX, LOOK_BACK } from "./types";

const EVENTS_MAX: i32 = (BLOCK_BYTES + HOLD_RAW_MAX) / 2 + 1;
const events: usize = reserve(16 * EVENTS_MAX);
/** Room for the context before the text, then the text. */
const text: usize = reserve(LOOK_BACK + BLOCK_BYTES + HOLD_RAW_MAX + 16) + <usize>LOOK_BACK;

let count: i32 = 0;
let cursor: i32 = 0;
let rawFrom: usize = 0;
let textFrom: usize = 0;

export let decodedTo: usize = 0;

/** Whether the escape at `p` may go on past `end`. */
function isCut(p: usize, end: usize): bool {
  if (p + 2 > end) return true;
  if (load<u8>(p, 1) != 117) return false;
  if (p + 6 > end) return true;
  const high =
    (load<u8>(p, 2) | 32) == 100 && ((load<u8>(p, 3) | 32) - 56 < 2 || (load<u8>(p, 3) | 32) - 97 < 2);
  if (!high || p + 12 <= end) return false;
  // The second half of a surrogate pair begins with `\u`.
  if (p + 6 < end && load<u8>(p, 6) != 92) return false;
  return !(p + 7 < end && load<u8>(p, 7) != 117);
}

/**
 * Decodes [from, to) and returns where the text begins; it ends at `decodedTo`. Unless `whole`, an escape that
 * is cut off at the end is left out.
 */
export function decodeText(from: usize, to: usize, whole: bool): usize {
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
    if (p >= to || (!whole && isCut(p, to))) break;
    const event = events + <usize>(count++ << 4);
    const len = putUtf8(o, unescape(p, to));
    const after = min(escapeEnd(), to);
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
