// Quotations in a piece of normalised text: what is quoted is talked about more often than meant. A quotation begins
// with a quotation mark after a space or bracket and at least INTRODUCED bytes of other text, and ends with the same
// kind of mark before a space, a sign or the end. The marks of JSON quote nothing, neither a key's (a colon follows) nor
// those of a key's value: so come the results of tools. What is to be
// said ("say …", "reply with …") is part of the order, not talked about.
//
// Bounds: one pass over at most TEXT_MAX bytes.
import { reserve } from "../memory";
import { is, Slice, slice } from "../slice";
import { eq, fillFew } from "../vectors";

export const TEXT_MAX: i32 = 512;
/** Bytes before a quotation that can introduce it. */
const INTRODUCED: i32 = 3;
/** Shorter ones are names and words. */
const QUOTED_MIN: i32 = 12;
/** Spaces and brackets between a key, its colon and its value. */
const VALUE_GAP: i32 = 3;

const marks = reserve(TEXT_MAX);

/** Marks the bytes that are quoted in the `len` bytes at `ptr` (TEXT_MAX at most); their number. */
export function findQuotations(ptr: usize, len: i32): i32 {
  fillFew(marks, 0, len);
  let quoted = 0;
  let inJson = false;
  let i = INTRODUCED;
  while (i < len) {
    if (ASC_FEATURE_SIMD && i + 16 <= len) {
      const marks = openings(v128.load(ptr + i));
      if (marks == 0) {
        i += 16;
        continue;
      }
      i += ctz(marks);
    }
    const kind = opening(ptr, i, len);
    const size = kind < 0x80 ? 1 : kind > 0xffff ? 3 : 2;
    if (kind == 0 || !opens(load<u8>(ptr + i - 1)) || isOrdered(wordBefore(ptr, i))) {
      i++;
      continue;
    }
    inJson = inJson || isValue(ptr, i);
    if (inJson && isItem(ptr, i)) {
      i++;
      continue;
    }
    const from = i + size;
    const end = closing(ptr, from, len, kind);
    if (end - from < QUOTED_MIN) {
      i = from;
      continue;
    }
    memory.fill(marks + from, 1, end - from);
    quoted += end - from;
    i = end + size;
  }
  return quoted;
}

/** Whether byte `i` of the text in hand is quoted. */
export function isQuoted(i: i32): bool {
  return load<u8>(marks + i) != 0;
}

/** The bytes of a block that `opening` has to look at. */
function openings(block: v128): u32 {
  const quotes = v128.or(v128.or(eq(block, 0x22), eq(block, 0x27)), eq(block, 0x60));
  return <u32>i8x16.bitmask(v128.or(quotes, v128.or(eq(block, <i8>0xc2), eq(block, <i8>0xe3))));
}

/** The mark that ends a quotation which begins at `i`, as a number of its bytes; 0 if none begins. */
function opening(ptr: usize, i: i32, len: i32): u32 {
  const byte: u32 = load<u8>(ptr + i);
  if (byte == 0x22 || byte == 0x27 || byte == 0x60) return byte;
  if (byte == 0xc2 && i + 1 < len && load<u8>(ptr + i + 1) == 0xab) return 0xc2bb; // « »
  if (byte == 0xe3 && i + 2 < len && load<u8>(ptr + i + 1) == 0x80 && load<u8>(ptr + i + 2) == 0x8c)
    return 0xe3808d; // 「 」
  return 0;
}

/** Whether a quotation may follow this byte. */
function opens(byte: u32): bool {
  return byte == 0x20 || byte == 0x28 || byte == 0x3a || byte == 0x5b || byte >= 0x80;
}

/** Whether a key's mark and a colon stand before offset `i`: it begins a value of JSON, or of the list that is one. */
function isValue(ptr: usize, i: i32): bool {
  const colon = skipBack(ptr, i - 1);
  if (colon < 0 || load<u8>(ptr + colon) != 0x3a) return false;
  const mark = skipBack(ptr, colon - 1);
  return mark >= 0 && load<u8>(ptr + mark) == 0x22;
}

/** Whether offset `i` stands where JSON has a value, in a list or behind a key. */
function isItem(ptr: usize, i: i32): bool {
  const at = skipBack(ptr, i - 1);
  return at < 0 || load<u8>(ptr + at) == 0x2c || load<u8>(ptr + at) == 0x3a;
}

/** Goes back from offset `at` over at most VALUE_GAP spaces and brackets; where that leads, which may be before the start. */
function skipBack(ptr: usize, at: i32): i32 {
  const least = max(at - VALUE_GAP, -1);
  while (at > least && (load<u8>(ptr + at) == 0x20 || load<u8>(ptr + at) == 0x5b)) at--;
  return at;
}

/** The word before offset `i`, with at most two signs and spaces between. */
function wordBefore(ptr: usize, i: i32): Slice {
  let end = i;
  while (end > 0 && end > i - 3 && !isLetter(load<u8>(ptr + end - 1))) end--;
  let from = end;
  while (from > 0 && isLetter(load<u8>(ptr + from - 1))) from--;
  return slice(ptr + from, end - from);
}

function isLetter(byte: u32): bool {
  return byte - 97 < 26;
}

/** Whether what stands after this word is to be said. */
function isOrdered(word: Slice): bool {
  return (
    is(word, "say") ||
    is(word, "print") ||
    is(word, "output") ||
    is(word, "write") ||
    is(word, "reply") ||
    is(word, "respond") ||
    is(word, "answer") ||
    is(word, "with") ||
    is(word, "only") ||
    is(word, "exactly") ||
    is(word, "saying")
  );
}

/** Where the quotation that began before `from` ends with mark `kind`; `from` if it does not. */
function closing(ptr: usize, from: i32, len: i32, kind: u32): i32 {
  for (let i = from; i < len; i++) {
    const byte: u32 = load<u8>(ptr + i);
    if (kind < 0x80) {
      if (byte != kind) continue;
      const next: u32 = i + 1 < len ? load<u8>(ptr + i + 1) : 32;
      const letter = (next | 32) - 97 < 26 || next - 48 < 10;
      if (next != 0x3a && !letter) return i;
    } else if (kind == 0xc2bb) {
      if (byte == 0xc2 && i + 1 < len && load<u8>(ptr + i + 1) == 0xbb) return i;
    } else if (
      byte == 0xe3 &&
      i + 2 < len &&
      load<u8>(ptr + i + 1) == 0x80 &&
      load<u8>(ptr + i + 2) == 0x8d
    ) {
      return i;
    }
  }
  return from;
}
