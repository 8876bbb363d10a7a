// What the raw inside of a JSON string stands for. Everything here expects text that the scanner accepted, so
// escapes are whole and surrogates come in pairs; on other text it still stays inside the slice.
//
// Decoded text is never longer than the raw text: an escape of 2, 6 or 12 bytes gives at most 1, 3 or 4.
import { endOf, is, lenOf, ptrOf, Slice } from "../slice";
import { hex4 } from "./chars";

/** Where `decodeNext` goes on, after it has answered. */
let cursor: usize = 0;

/** Unescapes `raw` to UTF-8 at `to`, at most `max` bytes; the length, or -1 when it does not fit. */
export function decode(raw: Slice, to: usize, max: i32): i32 {
  let p = ptrOf(raw);
  const end = endOf(raw);
  const first = to;
  const limit = to + max;
  while (p < end) {
    const from = p;
    p = findBackslash(p, end);
    const run = p - from;
    if (run > limit - to) return -1;
    memory.copy(to, from, run);
    to += run;
    if (p >= end) break;
    const point = unescape(p, end);
    p = cursor;
    if (utf8Size(point) > <i32>(limit - to)) return -1;
    to += putUtf8(to, point);
  }
  return <i32>(to - first);
}

/** Whether `raw` stands for the ASCII literal `text`. */
export function equalsDecoded(raw: Slice, escaped: bool, text: string): bool {
  if (!escaped) return is(raw, text);
  const len = text.length;
  const from = changetype<usize>(text);
  let p = ptrOf(raw);
  const end = endOf(raw);
  for (let i = 0; i < len; i++) {
    if (p >= end) return false;
    let c: u32 = load<u8>(p);
    if (c == 92) {
      c = unescape(p, end);
      p = cursor;
    } else p++;
    if (c != <u32>load<u16>(from + ((<usize>i) << 1))) return false;
  }
  return p == end;
}

/** Whether two raw strings stand for the same text. */
export function sameText(a: Slice, aEscaped: bool, b: Slice, bEscaped: bool): bool {
  if (!aEscaped && !bEscaped)
    return lenOf(a) == lenOf(b) && memory.compare(ptrOf(a), ptrOf(b), lenOf(a)) == 0;
  const left = Decoded.A.of(a, aEscaped);
  const right = Decoded.B.of(b, bEscaped);
  while (true) {
    const c = left.next();
    if (c != right.next()) return false;
    if (c < 0) return true;
  }
}

/** Length of the decoded text in bytes. */
export function decodedLength(raw: Slice): i32 {
  let p = ptrOf(raw);
  const end = endOf(raw);
  let len = 0;
  while (true) {
    const from = p;
    p = findBackslash(p, end);
    len += <i32>(p - from);
    if (p >= end) return len;
    len += utf8Size(unescape(p, end));
    p = cursor;
  }
}

/** Length of the decoded text in Unicode code points. */
export function codePoints(raw: Slice, escaped: bool): i32 {
  let p = ptrOf(raw);
  const end = endOf(raw);
  let count = 0;
  while (p < end) {
    const c: u32 = load<u8>(p);
    if (c == 92 && escaped) {
      unescape(p, end);
      p = cursor;
      count++;
    } else {
      if ((c & 0xc0) != 0x80) count++;
      p++;
    }
  }
  return count;
}

/** Gives the decoded bytes of a raw string one by one, so that keys compare and hash without a copy. */
export class Decoded {
  static readonly A: Decoded = new Decoded();
  static readonly B: Decoded = new Decoded();

  private p: usize = 0;
  private end: usize = 0;
  private escaped: bool = false;
  /** Bytes of the current character that are still to come, lowest first. */
  private rest: u32 = 0;

  of(raw: Slice, escaped: bool): Decoded {
    this.p = ptrOf(raw);
    this.end = endOf(raw);
    this.escaped = escaped;
    this.rest = 0;
    return this;
  }

  /** The next byte, or -1 at the end. */
  next(): i32 {
    const rest = this.rest;
    if (rest) {
      this.rest = rest >> 8;
      return <i32>(rest & 0xff);
    }
    const p = this.p;
    if (p >= this.end) return -1;
    const c: u32 = load<u8>(p);
    if (c != 92 || !this.escaped) {
      this.p = p + 1;
      return c;
    }
    const point = unescape(p, this.end);
    this.p = cursor;
    if (point < 128) return point;
    const bytes = utf8Word(point);
    this.rest = bytes >> 8;
    return <i32>(bytes & 0xff);
  }
}

/** The first backslash in [p, end), or `end`. */
export function findBackslash(p: usize, end: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= end) {
      const mask = i8x16.bitmask(i8x16.eq(v128.load(p), i8x16.splat(92)));
      if (mask) return p + ctz(mask);
      p += 16;
    }
  } else {
    while (p + 8 <= end) {
      const v = load<u64>(p) ^ 0x5c5c5c5c5c5c5c5c;
      const mask = (v - 0x0101010101010101) & ~v & 0x8080808080808080;
      if (mask) return p + <usize>(ctz(mask) >> 3);
      p += 8;
    }
  }
  while (p < end && load<u8>(p) != 92) p++;
  return p;
}

/** The code point of the escape at `p`; what follows it is at `escapeEnd()`. A broken escape gives U+FFFD. */
export function unescape(p: usize, end: usize): u32 {
  if (p + 2 > end) {
    cursor = end;
    return 0xfffd;
  }
  const c: u32 = load<u8>(p, 1);
  cursor = p + 2;
  switch (c) {
    case 98:
      return 8;
    case 102:
      return 12;
    case 110:
      return 10;
    case 114:
      return 13;
    case 116:
      return 9;
    case 117:
      break;
    default:
      return c;
  }
  const unit = p + 6 <= end ? hex4(p + 2) : -1;
  if (unit < 0) return 0xfffd;
  cursor = p + 6;
  if ((unit & 0xf800) != 0xd800) return unit;
  const low = p + 12 <= end && load<u16>(p, 6) == 0x755c ? hex4(p + 8) : -1;
  if ((unit & 0xfc00) != 0xd800 || low < 0 || (low & 0xfc00) != 0xdc00) return 0xfffd;
  cursor = p + 12;
  return 0x10000 + (((unit & 0x3ff) << 10) | (low & 0x3ff));
}

/** Where the escape ended that `unescape` read last. */
export function escapeEnd(): usize {
  return cursor;
}

export function utf8Size(point: u32): i32 {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/** The UTF-8 bytes of `point`, first byte lowest. */
function utf8Word(point: u32): u32 {
  if (point < 0x80) return point;
  if (point < 0x800) return 0x80c0 | (point >> 6) | ((point & 63) << 8);
  if (point < 0x10000) return 0x8080e0 | (point >> 12) | (((point >> 6) & 63) << 8) | ((point & 63) << 16);
  return (
    0x808080f0 |
    (point >> 18) |
    (((point >> 12) & 63) << 8) |
    (((point >> 6) & 63) << 16) |
    ((point & 63) << 24)
  );
}

/** Writes `point` as UTF-8 and returns its size. */
export function putUtf8(to: usize, point: u32): i32 {
  const size = utf8Size(point);
  let bytes = utf8Word(point);
  for (let i = 0; i < size; i++) {
    store<u8>(to + i, <u8>bytes);
    bytes >>= 8;
  }
  return size;
}
