// The decoders of the views: each reads one window and writes one text. They know nothing of gates or order.
//
// Bound: every decoder reads its input once, left to right, and writes no more bytes than it reads; base64 and
// hex are decoded to fewer. None writes past `to + len of input`.
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { eq, within } from "../vectors";

// Leetspeak by byte from 0x20 to 0x7f; `.` keeps the byte.
const LEET = memory.data<u8>([
  0x20, 0x69, 0x22, 0x23, 0x73, 0x25, 0x26, 0x27, 0x63, 0x29, 0x2a, 0x74, 0x2c, 0x2d, 0x2e, 0x2f, 0x6f, 0x69,
  0x7a, 0x65, 0x61, 0x73, 0x67, 0x74, 0x62, 0x67, 0x3a, 0x3b, 0x63, 0x3d, 0x3e, 0x3f, 0x61,
]);

function isLetter(byte: u32): bool {
  return byte - 97 < 26;
}

function isDigit(byte: u32): bool {
  return byte - 48 < 10;
}

function isVowel(byte: u32): bool {
  return byte == 0x61 || byte == 0x65 || byte == 0x69 || byte == 0x6f || byte == 0x75;
}

/**
 * Leetspeak read as letters: 0 o, 1 i or l, 3 e, 4 a, 5 s, 7 t, @ a, $ s, ! i, | l … A sign counts only before a
 * letter or digit, a bracket or plus only between two. `1` is i if some disguised word has an l of its own; else `1`
 * is l before another l or y, after a vowel (unless n or d follows) and in `p1e`, `b1e`.
 */
export function decodeLeet(from: Slice, to: usize): i32 {
  const ptr = ptrOf(from);
  const len = lenOf(from);
  const hasL = keepsL(ptr, len);
  let before: u32 = 32;
  for (let i = 0; i < len; i++) {
    if (ASC_FEATURE_SIMD) {
      const plain = copyPlain(ptr + i, to + i, len - i);
      i += plain;
      if (i == len) break;
      if (plain > 0) before = load<u8>(ptr + i - 1);
    }
    const byte: u32 = load<u8>(ptr + i);
    const next: u32 = i + 1 < len ? load<u8>(ptr + i + 1) : 32;
    let letter = byte;
    if (byte == 0x31 && hasL && next != 0x31) letter = 0x69;
    else if (byte == 0x31 || byte == 0x7c) {
      const doubled = next == byte || (i > 0 && load<u8>(ptr + i - 1) == byte && before == 0x6c);
      const long = next == 0x6c || next == 0x79 || (isVowel(before) && next != 0x6e && next != 0x64);
      const ending = (before == 0x70 || before == 0x62) && (next == 0x65 || next == 0x33);
      letter = doubled || long || ending ? 0x6c : 0x69;
    } else if (isDigit(byte) || byte == 0x40) letter = load<u8>(LEET + (byte - 32));
    else if (
      (byte == 0x21 ||
        byte == 0x24 ||
        ((byte == 0x28 || byte == 0x2b || byte == 0x3c) && isLetter(before))) &&
      (isLetter(next) || isDigit(next))
    ) {
      letter = load<u8>(LEET + (byte - 32));
    }
    store<u8>(to + i, <u8>letter);
    before = letter;
  }
  return len;
}

/** Copies blocks up to the first byte that leetspeak might mean otherwise; returns how many bytes are before it. */
function copyPlain(from: usize, to: usize, len: i32): i32 {
  let at = 0;
  for (; at + 16 <= len; at += 16) {
    const block = v128.load(from + at);
    const pairs = v128.or(
      v128.or(eq(block, 0x21), eq(block, 0x24)),
      v128.or(eq(block, 0x28), eq(block, 0x2b)),
    );
    const others = v128.or(v128.or(eq(block, 0x3c), eq(block, 0x40)), eq(block, 0x7c));
    const signs: u32 = i8x16.bitmask(v128.or(within(block, 48, 10), v128.or(pairs, others)));
    v128.store(to + at, block);
    if (signs) return at + ctz(signs);
  }
  return at;
}

/** Whether a word with digits has an l: then 1 does not stand for it. */
function keepsL(ptr: usize, len: i32): bool {
  let word = 0;
  for (let i = 0; i < len; i++) {
    const byte: u32 = load<u8>(ptr + i);
    if (isDigit(byte)) word |= 1;
    else if (byte == 0x6c) word |= 2;
    else if (!isLetter(byte)) word = 0;
    if (word == 3) return true;
  }
  return false;
}

/** Every ASCII letter turned by 13 places. */
export function decodeRot13(from: Slice, to: usize): i32 {
  const ptr = ptrOf(from);
  const len = lenOf(from);
  let i = 0;
  if (ASC_FEATURE_SIMD) {
    for (; i + 16 <= len; i += 16) {
      const block = v128.load(ptr + i);
      const on = v128.and(within(block, 97, 13), i8x16.splat(13));
      const back = v128.and(within(block, 110, 13), i8x16.splat(13));
      v128.store(to + i, i8x16.sub(i8x16.add(block, on), back));
    }
  }
  for (; i < len; i++) {
    const byte: u32 = load<u8>(ptr + i);
    store<u8>(to + i, <u8>(isLetter(byte) ? (byte < 110 ? byte + 13 : byte - 13) : byte));
  }
  return len;
}

/** The characters of the window from last to first. */
export function decodeReversed(from: Slice, to: usize): i32 {
  reverseInto(ptrOf(from), lenOf(from), to);
  return lenOf(from);
}

/** Every word reversed, the words in their places. */
export function decodeReversedWords(from: Slice, to: usize): i32 {
  const ptr = ptrOf(from);
  const len = lenOf(from);
  let start = 0;
  for (let i = 0; i <= len; i++) {
    if (i < len && load<u8>(ptr + i) != 32) continue;
    reverseInto(ptr + start, i - start, to + start);
    if (i < len) store<u8>(to + i, 32);
    start = i + 1;
  }
  return len;
}

function reverseInto(ptr: usize, len: i32, to: usize): void {
  let at = 0;
  while (at < len) {
    let width = 1;
    while (at + width < len && (load<u8>(ptr + at + width) & 0xc0) == 0x80) width++;
    memory.copy(to + (len - at - width), ptr + at, width);
    at += width;
  }
}

/**
 * Single letters at equal distance joined to words: `i g n o r e`, `i.g.n`, `i - g - n`. The separator is
 * whatever stands between the first two letters (1 to 3 bytes, no letter or digit) and must stay the same;
 * at least 3 letters, or 2 right
 * after another run. Two spaces, or any other separator, end the word.
 */
export function decodeSpaced(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let at = ptrOf(from);
  const start = at;
  let out = to;
  let joining = false;
  while (at < end) {
    const width = letterWidth(at, end);
    const alone = width > 0 && (at == start || !isWordByte(load<u8>(at - 1)));
    const gap = alone ? gapWidth(at + width, end) : 0;
    if (gap == 0 || runLength(at, width, gap, end) < (joining ? 2 : 3)) {
      const byte = load<u8>(at++);
      if (width > 0) joining = false;
      if (byte != 32 || out == to || load<u8>(out - 1) != 32) store<u8>(out++, byte);
      continue;
    }
    const separator = at + width;
    joining = true;
    while (true) {
      const w = letterWidth(at, end);
      memory.copy(out, at, w);
      out += w;
      at += w;
      if (!joins(at, separator, gap, end)) break;
      at += gap;
    }
  }
  return <i32>(out - to);
}

function isWordByte(byte: u32): bool {
  return isLetter(byte) || isDigit(byte) || byte >= 0x80;
}

/** Bytes of the single character at `at`, if it is a letter, a digit or beyond ASCII; else 0. */
function letterWidth(at: usize, end: usize): usize {
  const byte: u32 = load<u8>(at);
  if (!isWordByte(byte)) return 0;
  let width: usize = 1;
  if (byte >= 0x80) while (at + width < end && (load<u8>(at + width) & 0xc0) == 0x80) width++;
  return width;
}

function gapWidth(at: usize, end: usize): usize {
  let width: usize = 0;
  while (width < 4 && at + width < end && !isWordByte(load<u8>(at + width))) width++;
  if (width == 0 || width > 3 || at + width >= end) return 0;
  // Two spaces end a word, whatever else does not.
  return width == 2 && load<u16>(at) == 0x2020 ? 0 : width;
}

/** Whether the separator stands at `at`, one lone letter follows it, and the separator is not longer there. */
function joins(at: usize, separator: usize, gap: usize, end: usize): bool {
  if (at + gap >= end || memory.compare(at, separator, gap) != 0) return false;
  const width = letterWidth(at + gap, end);
  if (width == 0) return false;
  const after = at + gap + width;
  return after >= end || !isWordByte(load<u8>(after));
}

/** How many letters the run has, counted up to 3. */
function runLength(at: usize, width: usize, gap: usize, end: usize): i32 {
  const separator = at + width;
  let count = 1;
  let next = separator;
  while (count < 3 && joins(next, separator, gap, end)) {
    count++;
    next += gap;
    next += letterWidth(next, end);
  }
  return count;
}

/** Percent-encoding, numeric and the five basic named HTML entities, and `\xNN`, `\uNNNN`. */
export function decodeEscapes(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let at = ptrOf(from);
  let out = to;
  while (at < end) {
    const byte: u32 = load<u8>(at);
    const left = <i32>(end - at);
    let code: i32 = -1;
    let width: usize = 0;
    if (byte == 0x25 && left >= 3) {
      code = hexValue(at + 1, 2);
      width = 3;
      if (code >= 0) {
        // A percent escape is one byte of UTF-8, not a code point.
        store<u8>(out++, <u8>code);
        at += width;
        continue;
      }
    } else if (byte == 0x5c && left >= 4 && load<u8>(at + 1) == 0x78) {
      code = hexValue(at + 2, 2);
      width = 4;
    } else if (byte == 0x5c && left >= 6 && load<u8>(at + 1) == 0x75) {
      code = hexValue(at + 2, 4);
      width = 6;
    } else if (byte == 0x26 && left >= 4) {
      let stop = at + 1;
      while (stop < end && stop < at + 10 && load<u8>(stop) != 0x3b) stop++;
      if (stop < end && load<u8>(stop) == 0x3b) {
        code = entity(at + 1, <i32>(stop - at - 1));
        width = stop + 1 - at;
      }
    }
    if (code < 0 || (code & 0xfffff800) == 0xd800) {
      store<u8>(out++, <u8>byte);
      at++;
      continue;
    }
    out = putCode(out, <u32>code);
    at += width;
  }
  return <i32>(out - to);
}

function entity(name: usize, len: i32): i32 {
  if (len < 2) return -1;
  if (load<u8>(name) == 0x23) {
    if ((load<u8>(name + 1) | 32) == 0x78) return len <= 7 ? hexValue(name + 2, len - 2) : -1;
    let value = 0;
    for (let i = 1; i < len; i++) {
      const digit: u32 = load<u8>(name + i);
      if (!isDigit(digit)) return -1;
      value = value * 10 + <i32>(digit - 48);
      if (value > 0xffff) return -1;
    }
    return value;
  }
  const two = <u32>load<u16>(name);
  if (len == 2) return two == 0x746c ? 0x3c : two == 0x7467 ? 0x3e : -1;
  if (len == 3 && two == 0x6d61) return 0x26;
  if (len == 4 && two == 0x7571) return 0x22;
  if (len == 4 && two == 0x626e) return 0x20;
  return -1;
}

function hexValue(ptr: usize, len: i32): i32 {
  if (len < 1 || len > 4) return -1;
  let value = 0;
  for (let i = 0; i < len; i++) {
    const digit = hexDigit(load<u8>(ptr + i));
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

function hexDigit(byte: u32): i32 {
  if (isDigit(byte)) return <i32>byte - 48;
  const folded = byte | 32;
  return folded - 97 < 6 ? <i32>folded - 87 : -1;
}

/** UTF-8 of a code point below 0x10000; never longer than its escape. */
function putCode(out: usize, code: u32): usize {
  if (code < 0x80) {
    store<u8>(out, <u8>code);
    return out + 1;
  }
  if (code < 0x800) {
    store<u8>(out, <u8>(0xc0 | (code >> 6)));
    store<u8>(out + 1, <u8>(0x80 | (code & 63)));
    return out + 2;
  }
  store<u8>(out, <u8>(0xe0 | (code >> 12)));
  store<u8>(out + 1, <u8>(0x80 | ((code >> 6) & 63)));
  store<u8>(out + 2, <u8>(0x80 | (code & 63)));
  return out + 3;
}

// Morse by path from the root, dot = 2n, dash = 2n + 1, starting at 1: letters and digits up to five signs.
const MORSE = memory.data<u8>([
  0, 0, 0x65, 0x74, 0x69, 0x61, 0x6e, 0x6d, 0x73, 0x75, 0x72, 0x77, 0x64, 0x6b, 0x67, 0x6f, 0x68, 0x76, 0x66,
  0, 0x6c, 0, 0x70, 0x6a, 0x62, 0x78, 0x63, 0x79, 0x7a, 0x71, 0, 0,
]);

/**
 * Characters spelled as numbers: bytes in hexadecimal (`69 67`), in binary (`01101001`) or decimal (`105 103`),
 * and Morse (`.. --. / -.`). At least 5 of a kind in a row; everything else is dropped. Returns the length.
 */
export function decodeCodes(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let at = ptrOf(from);
  let out = to;
  let run = 0;
  let kindBefore = 0;
  let runStart = out;
  while (at < end) {
    let stop = at;
    while (stop < end && load<u8>(stop) != 32 && load<u8>(stop) != 0x2c) stop++;
    const len = <i32>(stop - at);
    let kind = 0;
    let code: i32 = -1;
    const first: u32 = len > 0 ? load<u8>(at) : 0;
    if (len > 0 && len <= 5 && (first == 0x2e || first == 0x2d)) {
      code = morse(at, len);
      kind = 1;
    } else if (len == 1 && first == 0x2f) {
      code = 32;
      kind = 1;
    } else if (len == 8) {
      code = binary(at);
      kind = 2;
    } else if (len == 2 || len == 3 || (len == 4 && first == 0x30)) {
      // Two digits are hexadecimal unless the run began in decimal; three are decimal; four are 0xNN.
      kind = len == 3 || (kindBefore == 4 && run > 0) ? 4 : 3;
      code = kind == 4 ? decimal(at, len) : hexValue(len == 4 ? at + 2 : at, 2);
    }
    if (len > 0) {
      if (code < 32 || code > 126) kind = 0;
      if (kind == 0 || kind != kindBefore) {
        out = run >= 5 ? out : runStart;
        if (run >= 5) store<u8>(out++, 32);
        runStart = out;
        run = 0;
      }
      if (kind) {
        // One byte of output for a code and its separator, so a closing space always fits.
        store<u8>(out++, <u8>code);
        run++;
      }
      kindBefore = kind;
    }
    at = stop + 1;
  }
  if (run < 5) out = runStart;
  return <i32>(out - to);
}

function morse(at: usize, len: i32): i32 {
  let node = 1;
  for (let i = 0; i < len; i++) {
    const byte: u32 = load<u8>(at + i);
    if (byte != 0x2e && byte != 0x2d) return -1;
    node = node * 2 + i32(byte == 0x2d);
  }
  if (node >= 32) return -1;
  const letter = <i32>load<u8>(MORSE + node);
  return letter ? letter : -1;
}

function binary(at: usize): i32 {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const bit = <u32>load<u8>(at + i) - 48;
    if (bit > 1) return -1;
    value = (value << 1) | <i32>bit;
  }
  return value;
}

function decimal(at: usize, len: i32): i32 {
  let value = 0;
  for (let i = 0; i < len; i++) {
    const digit: u32 = load<u8>(at + i);
    if (!isDigit(digit)) return -1;
    value = value * 10 + <i32>(digit - 48);
  }
  return value;
}
