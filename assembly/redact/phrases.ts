// The policy's own phrases and simple patterns, and canaries: fragments that an answer must never contain.
//
// A phrase is compared with ASCII case folded and each run of white space as one space. Three bytes stand for a
// class, so that a compiler of patterns outside can target this table: 0x01 a digit, 0x02 a letter, 0x03 either.
// A phrase begins and ends at a word boundary when its own ends are word characters. At most PHRASE_MAX bytes
// are compared (a longer canary is known by its beginning), over at most LOOK_AHEAD bytes of text.
//
//   entry (16 bytes): text ptr u32 | length u16 | type u8 | 0 | next entry u16, by first byte | …
//   heads: 256 × u16, entry + 1 by the first byte, folded
import { reserve } from "../memory";
import { fold, lenOf, ptrOf, Slice } from "../slice";
import { ALNUM, ALPHA, DIGIT, has, SPACE } from "./chars";
import { addTrigger } from "./filter";
import { CANARY, CUSTOM, LOOK_AHEAD, PHRASE_COUNT_MAX, PHRASE_MAX } from "./types";
import { at, back, found } from "./view";

const heads: usize = reserve(512);
const entries: usize = reserve(16 * PHRASE_COUNT_MAX);
let count: i32 = 0;

/**
 * Adds `text` (UTF-8, or with class bytes) as `type` (CUSTOM or CANARY). Reserves memory: configuration only.
 * False when it is shorter than 4 bytes once white space is collapsed, begins with a class byte, or the table
 * is full.
 */
export function addPhrase(text: Slice, type: i32): bool {
  if (count == PHRASE_COUNT_MAX || (type != CUSTOM && type != CANARY)) return false;
  const to = reserve(PHRASE_MAX);
  let n = 0;
  const from = ptrOf(text);
  for (let i = 0; i < lenOf(text) && n < PHRASE_MAX; i++) {
    const b = load<u8>(from + i);
    if (has(b, SPACE)) {
      if (n > 0 && load<u8>(to + n - 1) != 32) store<u8>(to + n++, 32);
    } else store<u8>(to + n++, fold(b));
  }
  if (n > 0 && load<u8>(to + n - 1) == 32) n--;
  if (n < 4 || load<u8>(to) <= 3) return false;
  const entry = entries + <usize>(count << 4);
  store<u32>(entry, <u32>to);
  store<u16>(entry, <u16>n, 4);
  store<u8>(entry, <u8>type, 6);
  count++;
  chain(entry, load<u8>(to));
  return true;
}

function chain(entry: usize, first: u32): void {
  const head = heads + <usize>(first << 1);
  store<u16>(entry, load<u16>(head), 8);
  store<u16>(head, <u16>count);
  addTrigger(first);
  if (first - 97 < 26) addTrigger(first - 32);
}

function inClass(b: u32, cls: u32): bool {
  return has(b, cls == 1 ? DIGIT : cls == 2 ? ALPHA : ALNUM);
}

/** A phrase that begins at `p`. */
export function phrase(p: usize): bool {
  if (count == 0) return false;
  let n = <i32>load<u16>(heads + <usize>((<u32>fold(load<u8>(p))) << 1));
  while (n) {
    const entry = entries + <usize>((n - 1) << 4);
    if (matches(entry, p)) return true;
    n = load<u16>(entry, 8);
  }
  return false;
}

function matches(entry: usize, p: usize): bool {
  const text = <usize>load<u32>(entry);
  const len = <i32>load<u16>(entry, 4);
  const type = <i32>load<u8>(entry, 6);
  if (has(load<u8>(p), ALNUM) && has(back(p, 1), ALNUM)) return false;
  let i = p;
  for (let n = 0; n < len; n++) {
    const want = <u32>load<u8>(text + n);
    const have = at(i);
    if (i - p >= <usize>LOOK_AHEAD - 4) return false;
    if (want == 32) {
      if (!has(have, SPACE)) return false;
      while (i - p < <usize>LOOK_AHEAD - 4 && has(at(i), SPACE)) i++;
      continue;
    }
    if (want <= 3 ? !inClass(have, want) : <u32>fold(<u8>have) != want) return false;
    i++;
  }
  if (len < PHRASE_MAX && has(load<u8>(i - 1), ALNUM) && has(at(i), ALNUM)) return false;
  return found(p, i, type);
}
