// Normalised text: what the rules, the decoded views and the classifier read. Different spellings of one text
// become the same bytes: JSON escapes decoded, compatibility forms and case folded, characters put together of their
// parts (compose.ts), marks and invisible characters dropped, runs of white space and symbols one space (none at the
// ends), lookalike letters read as Latin.
//
// Lookalikes are decided word by word (a word: letters and digits with nothing else between), because `сор`
// is a Russian word and `сору` a disguised English one:
//  - a word with Latin letters and others is Latin if every other letter is a lookalike, or if at least half
//    of its letters are Latin. So `іgnоrе` is `ignore`; `usb-кабель` are two words and stay;
//  - a word of three or more letters without any Latin is Latin only if no letter can be told from Latin by
//    eye, and the letter before the word is not of another script. Russian amid Russian stays Russian.
//
// Which code point folds to what is sidecar/pack/regex-fold.ts; normalise-table.gen.ts is made of it.
//
// Bounds: output ≤ input in bytes; each input byte is looked at once, each output byte moved at most once
// more, and a word that mixes scripts looks back at most WORD_MAX bytes, once. A word over WORD_MAX lookalikes
// is decided in parts. Normalising again changes nothing (words under that bound).
//
//   fast path, 16 bytes:  [plain ASCII ...... ]│special│        special: control, escape, second space, ≥ 0x80
//                          stored lower-cased   └─ handled one by one until plain ASCII again
import { reserve } from "../memory";
import { endOf, ptrOf, Slice, slice } from "../slice";
import { within } from "../vectors";
import { characterAt, forgetSyllable, isHangulLetter, joinLetter, joinPart } from "./compose";
import { escapeWidth, unescape } from "./escapes";
import { FOLDS, PAGES, RECORDS } from "./normalise-table.gen";

/** Letters of one word that are decided together, and how far back its start is looked for, in bytes. */
export const WORD_MAX: i32 = 64;
/** Bytes of text kept that were written in tag characters or variation selectors. */
export const SMUGGLED_MAX: i32 = 4096;

// What the last call of `normalise` met, which tells what views (views.ts) the text may have.
/** Letters that stand on their heads, as ɐ and ɥ; those that look like others then (n and u, d and p) are not among them. */
export let turnedLetters: i32 = 0;
/** Backspaces. */
export let backspaces: i32 = 0;
/** Work done: 16-byte blocks and single characters. Tests hold it against the input's length. */
export let steps: i32 = 0;

const BACKSPACE: u32 = 8;

// Letters on their heads from U+0250 on, as bits: ɐ ɥ ɯ ɹ ʇ ʍ ʎ and, in the second 64, ʞ.
const TURNED: u32 = 0x250;
const TURNED_FIRST: u64 = 0x6080020080200001;
const TURNED_SECOND: u64 = 0x4000;
const TURNED_E: u32 = 0x1dd;

const KIND_INVISIBLE: u32 = 1;
const KIND_SPACE: u32 = 2;
const KIND_MARK: u32 = 4;
const KIND_ALPHABET: u32 = 8;
const KIND_NARROW: u32 = 16;
/** In a record: the text is the second part of a pair. */
const JOINS: u64 = 1 << 24;

const smuggledText = reserve(SMUGGLED_MAX);
let smuggledLen: i32 = 0;
/** There was no room for the rest of the text. */
let truncated: bool = false;
/** Bits of the byte in hand that invisible characters carry, how many, and where the text was when the last one came. */
let bits: u32 = 0;
let bitCount: i32 = 0;
let bitsAt: usize = 0;

/** Text that invisible characters carried in the last input (raw bytes, at most SMUGGLED_MAX). */
export function smuggled(): Slice {
  return slice(smuggledText, smuggledLen);
}

/** A letter of the word in hand that looks like a Latin one. */
@unmanaged
class Lookalike {
  /** Where it was written, and how many bytes it has. */
  at: usize;
  width: u8;
  latin: u8;
}

function lookalike(i: i32): Lookalike {
  return changetype<Lookalike>(letters + ((<usize>i) << 3));
}

// The word in hand: its lookalikes, and how many of its letters are Latin, of other alphabets, and of these not to be told from
// Latin by eye.
const letters = reserve(WORD_MAX << 3);
let letterCount: i32 = 0;
let inWord: bool = false;
let wordStart: usize = 0;
let latin: i32 = 0;
let others: i32 = 0;
let narrow: i32 = 0;

// In the gapped form two or more white-space characters stay two spaces: the decoded view of spaced letters
// (views.ts) needs them to tell words apart.
let gapped: bool = false;
/** A backspace takes back the character before it, and is no space. */
let erasing: bool = false;
/** Characters in a row of which nothing was written, and where the text was then: backspaces take these back first. */
let unwritten: i32 = 0;
let unwrittenAt: usize = 0;

let base: usize = 0;
let out: usize = 0;
let limit: usize = 0;

/**
 * Writes the normal form of `raw` at `to`, at most `max` bytes, and returns its length. `escaped`: `raw` is the
 * inside of a JSON string. Valid UTF-8 in gives valid UTF-8 out; lone surrogates and bad bytes become U+FFFD,
 * or `?` where that would not fit. What does not fit in `max` is left out.
 */
export function normalise(raw: Slice, escaped: bool, to: usize, max: i32): i32 {
  truncated = false;
  turnedLetters = 0;
  backspaces = 0;
  steps = 0;
  smuggledLen = 0;
  bitCount = 0;
  unwritten = 0;
  inWord = false;
  forgetSyllable();
  base = to;
  out = to;
  limit = to + <usize>(<u32>max);
  let from = ptrOf(raw);
  const end = endOf(raw);
  let blocks = 0;
  // Blocks do not count the spaces that they leave out.
  if (ASC_FEATURE_SIMD && !erasing) {
    const escape: v128 = i8x16.splat(escaped ? 0x5c : 0);
    let at = to;
    let spaced: u32 = 1;
    while (from + 16 <= end && at + 16 <= limit) {
      blocks++;
      const block = v128.load(from);
      // Special: < 0x20 as signed, which ≥ 0x80 is too.
      const upper = within(block, 65, 26);
      v128.store(at, v128.or(block, v128.and(upper, i8x16.splat(32))));
      const blanks: u32 = i8x16.bitmask(i8x16.eq(block, i8x16.splat(32)));
      const other = v128.or(
        v128.or(i8x16.lt_s(block, i8x16.splat(32)), i8x16.eq(block, i8x16.splat(127))),
        i8x16.eq(block, escape),
      );
      const special: u32 = i8x16.bitmask(other) | (blanks & ((blanks << 1) | spaced));
      if (special == 0) {
        from += 16;
        at += 16;
        spaced = blanks >> 15;
        continue;
      }
      const plain = ctz(special);
      from += plain;
      at += plain;
      // The most common by far are done here: indentation, and the escapes of a line feed, a quote and a backslash.
      if (load<u8>(from) == 32) {
        from += ctz(~(blanks >> plain));
        if (gapped && isLone(at, to)) store<u8>(at++, 32);
        spaced = 1;
        continue;
      }
      if (escaped && plain < 15) {
        const pair = load<u16>(from);
        if (pair == 0x6e5c) {
          from += 2;
          if (at > to && (load<u8>(at - 1) != 32 || (gapped && isLone(at, to)))) store<u8>(at++, 32);
          spaced = 1;
          continue;
        }
        if (pair == 0x225c || pair == 0x5c5c) {
          from += 2;
          store<u8>(at++, <u8>(pair >> 8));
          spaced = 0;
          continue;
        }
      }
      out = at;
      from = single(from, end, escaped);
      at = out;
      if (truncated) break;
      spaced = at == to ? 1 : <u32>(load<u8>(at - 1) == 32);
    }
    out = at;
  }
  while (from < end && !truncated) {
    from = single(from, end, escaped);
  }
  endWord();
  while (out > to && load<u8>(out - 1) == 32) out--;
  steps += blocks;
  return <i32>(out - to);
}

/** Whether the text from `start` to `at` ends in one space and not in two. */
function isLone(at: usize, start: usize): bool {
  return at - start > 1 && load<u8>(at - 1) == 32 && load<u8>(at - 2) != 32;
}

/** Like `normalise`, but two or more white-space characters become two spaces. */
export function normaliseGapped(raw: Slice, escaped: bool, to: usize, max: i32): i32 {
  gapped = true;
  const len = normalise(raw, escaped, to, max);
  gapped = false;
  return len;
}

/** Like `normalise`, but a backspace takes back the character before it. */
export function normaliseErasing(raw: Slice, escaped: bool, to: usize, max: i32): i32 {
  erasing = true;
  const len = normalise(raw, escaped, to, max);
  erasing = false;
  return len;
}

/** Handles the character at `from`, and on to the next one that starts plain ASCII outside a mixed word. */
function single(from: usize, end: usize, escaped: bool): usize {
  do {
    steps++;
    const lead: u32 = load<u8>(from);
    let code = lead;
    let width: usize = 1;
    if (lead >= 0x80) {
      // Width and code point by lead byte; what is cut short or not UTF-8 is one bad byte.
      code = 0xfffd;
      const left = <i32>(end - from);
      if (lead >= 0xf0) {
        if (left >= 4 && lead < 0xf5) {
          code = ((lead & 7) << 18) | (tail(from + 1) << 12) | (tail(from + 2) << 6) | tail(from + 3);
          width = 4;
          if (code > 0x10ffff) code = 0xfffd;
        }
      } else if (lead >= 0xe0) {
        if (left >= 3) {
          code = ((lead & 15) << 12) | (tail(from + 1) << 6) | tail(from + 2);
          width = 3;
          if ((code & 0xf800) == 0xd800) code = 0xfffd;
        }
      } else if (lead >= 0xc2 && left >= 2) {
        code = ((lead & 31) << 6) | tail(from + 1);
        width = 2;
      }
    } else if (lead == 0x5c && escaped) {
      width = escapeWidth(from, end);
      code = unescape(from, width);
    }
    // Room for the widest fold; only a `max` below the input's length can run out of it.
    if (out + 4 > limit && out + width > limit) {
      truncated = true;
      break;
    }
    emit(code, width);
    from += width;
  } while (from < end && (inWord || load<u8>(from) >= 0x80));
  return from;
}

function tail(ptr: usize): u32 {
  return load<u8>(ptr) & 0x3f;
}

/** Writes the fold of one code point that took `width` bytes of input. */
function emit(code: u32, width: usize): void {
  if (code < 128) {
    if (code <= 32 || code == 127) return code == BACKSPACE ? backspace() : space();
    const isLetter = (code | 32) - 97 < 26;
    if (inWord) {
      if (isLetter) latin++;
      else if (code - 48 >= 10) endWord();
    }
    store<u8>(out++, <u8>(code - 65 < 26 ? code | 32 : code));
    return;
  }
  if (code >= 0x20000) {
    if (code >= 0xe0000 && code < 0xe1000) return smuggle(code);
    endWord();
    return keep(code, width);
  }
  if (isHangulLetter(code)) {
    endWord();
    const end = joinLetter(code, base, out);
    if (end == out) leaveOut();
    else if (end) out = end;
    if (end) return;
  }
  const page = <u32>load<u8>(PAGES + (code >> 7));
  const place = RECORDS + ((<usize>load<u16>(FOLDS + (((page << 7) | (code & 127)) << 1))) << 3);
  const record = load<u64>(place);
  const kind = <u32>(record & 0xff);
  if (kind & KIND_MARK) return;
  if (kind & KIND_INVISIBLE) {
    carry(code);
    return leaveOut();
  }
  if (kind & KIND_SPACE) return space();
  const len = <usize>((record >> 8) & 0xff);
  if (record & JOINS) {
    endWord();
    if (joinPart(len == 0 ? code : characterAt(place + 4), base, out)) return leaveOut();
  }
  turnedLetters += i32(isTurned(code));
  if (kind & KIND_ALPHABET) {
    letter();
    const at = out;
    if (len == 0) keep(code, width);
    else putFold(record, len);
    others++;
    const look = <u8>(record >> 16);
    if (look == 0) return;
    if (kind & KIND_NARROW) narrow++;
    const entry = lookalike(letterCount++);
    entry.at = at;
    entry.width = <u8>(out - at);
    entry.latin = look;
    return;
  }
  if (len == 0) {
    endWord();
    return keep(code, width);
  }
  const first: u32 = <u32>((record >> 32) & 0xff);
  if (inWord) {
    if (first - 97 < 26) latin += <i32>len;
    else if (first - 48 >= 10) endWord();
  }
  // A fold may hold a space (such as U+FC5E); two in a row never come of it, as none stands at an end.
  putFold(record, len);
}

/** Writes the text of a fold; four bytes at once where there is room for them. */
function putFold(record: u64, len: usize): void {
  if (out + 4 <= limit) store<u32>(out, <u32>(record >> 32));
  else for (let i: usize = 0; i < len; i++) store<u8>(out + i, <u8>(record >> (32 + (i << 3))));
  out += len;
}

function space(): void {
  endWord();
  if (out == base) return;
  if (load<u8>(out - 1) != 32 || (gapped && load<u8>(out - 2) != 32)) store<u8>(out++, 32);
  else leaveOut();
}

function leaveOut(): void {
  if (unwrittenAt != out) unwritten = 0;
  unwrittenAt = out;
  unwritten++;
}

function isTurned(code: u32): bool {
  const i: u64 = code - TURNED;
  if (i >= 128) return code == TURNED_E;
  return (((i < 64 ? TURNED_FIRST : TURNED_SECOND) >> (i & 63)) & 1) != 0;
}

function backspace(): void {
  backspaces++;
  if (!erasing) return space();
  endWord();
  if (unwritten > 0 && unwrittenAt == out) {
    unwritten--;
    return;
  }
  while (out > base && (load<u8>(--out) & 0xc0) == 0x80);
}

/** Two invisible characters, one for each bit, carry bytes from their highest bit on; what is visible in between begins a new one. */
function carry(code: u32): void {
  const zero = code == 0x2062 || code == 0x200b;
  if (!zero && code != 0x2064 && code != 0x200c) return;
  if (bitsAt != out) bitCount = 0;
  bitsAt = out;
  bits = (bits << 1) | u32(!zero);
  if (++bitCount < 8) return;
  bitCount = 0;
  keepSmuggled(bits & 0xff);
}

/** Tag characters carry ASCII, the supplementary variation selectors bytes from 16 up. */
function smuggle(code: u32): void {
  let byte: u32 = 0;
  if (code < 0xe0080) byte = code & 0x7f;
  else if (code >= 0xe0100 && code < 0xe01f0) byte = code - 0xe0100 + 16;
  keepSmuggled(byte);
}

function keepSmuggled(byte: u32): void {
  if (byte < 32 || smuggledLen == SMUGGLED_MAX) return;
  store<u8>(smuggledText + smuggledLen, <u8>byte);
  smuggledLen++;
}

/** Writes a code point as it is. `width` is what it took in the input, which is less only for bad bytes. */
function keep(code: u32, width: usize): void {
  if (code < 0x800) {
    store<u8>(out, <u8>(0xc0 | (code >> 6)));
    store<u8>(out + 1, <u8>(0x80 | (code & 63)));
    out += 2;
  } else if (code < 0x10000) {
    if (width < 3) {
      store<u8>(out++, 63);
      return;
    }
    store<u8>(out, <u8>(0xe0 | (code >> 12)));
    store<u8>(out + 1, <u8>(0x80 | ((code >> 6) & 63)));
    store<u8>(out + 2, <u8>(0x80 | (code & 63)));
    out += 3;
  } else {
    store<u8>(out, <u8>(0xf0 | (code >> 18)));
    store<u8>(out + 1, <u8>(0x80 | ((code >> 12) & 63)));
    store<u8>(out + 2, <u8>(0x80 | ((code >> 6) & 63)));
    store<u8>(out + 3, <u8>(0x80 | (code & 63)));
    out += 4;
  }
}

/** Takes note that a letter of another alphabet follows; starts its word if it is the first. May move `out`. */
function letter(): void {
  if (inWord && letterCount == WORD_MAX) endWord();
  if (inWord) return;
  inWord = true;
  const at = out;
  letterCount = 0;
  latin = 0;
  others = 0;
  narrow = 0;
  const stop = at - base > <usize>WORD_MAX ? at - <usize>WORD_MAX : base;
  let start = at;
  while (start > stop) {
    const before: u32 = load<u8>(start - 1);
    if (before - 97 < 26) latin++;
    else if (before - 48 >= 10) break;
    start--;
  }
  wordStart = start;
}

/** Decides the word in hand. */
function endWord(): void {
  if (!inWord) return;
  inWord = false;
  if (letterCount == 0) return;
  if (latin > 0) {
    if (letterCount != others && latin < others) return;
  } else if (others < 3 || narrow != others || afterForeign()) return;
  let to = lookalike(0).at;
  for (let i = 0; i < letterCount; i++) {
    const letter = lookalike(i);
    const rest = letter.at + <usize>letter.width;
    store<u8>(to++, letter.latin);
    const next = i + 1 < letterCount ? lookalike(i + 1).at : out;
    memory.copy(to, rest, next - rest);
    to += next - rest;
  }
  out = to;
}

/** Whether the nearest letter before the word (within 32 bytes) is outside ASCII. */
function afterForeign(): bool {
  const stop = wordStart - base > 32 ? wordStart - 32 : base;
  for (let at = wordStart; at > stop; at--) {
    const before: u32 = load<u8>(at - 1);
    if (before >= 0x80) return true;
    if (before - 97 < 26) return false;
  }
  return false;
}
