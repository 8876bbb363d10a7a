// Skips what no rule can begin in: of each place where a piece may begin, the first bytes are looked up in bit tables of
// the pack (sidecar/pack/prefix.ts), and what these let pass in the tables of the keys themselves (sidecar/pack/keys.ts),
// so that of ordinary text the automaton reads a few words only.
//
//   block       │t│e│l│l│ │m│e│ │<│|│s│…   64 bytes
//   words        1 1 1 1 0 1 1 0 0 0 1     letters, digits, `_` and bytes beyond ASCII
//   candidates   1 0 0 0 0 1 0 0 1 0 1     first bytes of words, also of those behind `\n`, and bytes of `inside`
//   hits         1 0 0 0 0 0 0 0 1 0 0     those that the bit tables know: one bit for pieces that begin a pattern,
//                                          one for all pieces
//
// A block's hits are kept while the automaton reads on, so no byte is classified twice.
//
// Bounds: each candidate costs one look-up in the bits, each hit one among the keys (KEY_PROBES slots); nothing at or
// after the text's end is read (its last bytes are copied to a padded buffer).
import { reserve } from "../memory";
import { bitsFrom, highNibbles, padded, within } from "../vectors";

export const LONG_HASH_BITS: i32 = 16;
export const SHORT_HASH_BITS: i32 = 14;
/** Bytes of the bit tables: two bits for each hash. */
const LONG_BYTES: usize = 16384;
export const PREFIX_BYTES: i32 = 16384 + 4096;
/** Bytes of the set of bytes that pieces begin with inside words. */
export const INSIDE_BYTES: i32 = 32;
/** The set `inside` as `writeRows` writes it. */
export const ROWS_BYTES: i32 = 32;
/** In how many slots of a table of keys, from its place on, a key may be. */
export const KEY_PROBES: usize = 32;

/** A slot of a table of keys. */
@unmanaged
export class Key {
  /** The bytes, and above them how many: LONG_KIND, or the length of the word. */
  bytes: u64;
  /** The automaton's state behind it, or STEP_BY_STEP. */
  state: u32;
  /** The groups of the pieces that begin so, as bits; 0: the slot is free. */
  groups: u32;
}

/** A key's state when the automaton must read the key itself. */
export const STEP_BY_STEP: u32 = 0xffffffff;
/** The group of pieces that begin a pattern. */
export const FIRST: u32 = 1;
/** The bit of a hash that says that a piece may begin so, of whatever group. */
const ANY_PIECE: u32 = 2;
const LONG_KEY: u32 = 6;
const LONG_KIND: u64 = (<u64>7) << 48;
const BACKSLASH: u8 = 0x5c;
const BLOCK: usize = 64;
/** A block reads so many bytes from its start. */
const BLOCK_READS: usize = BLOCK + 16;

/** By bytes of the first word, up to 4: the bytes of the short key. */
const HEADS = memory.data<u32>([0xffff, 0xff, 0xffff, 0xffffff, 0xffffffff]);

let bits: usize = 0;
let inside: usize = 0;
// `inside` as two tables by low nibble: bit r of entry n says that byte (r << 4 | n), or with r + 8, is in the set.
const lowRows = reserve(ROWS_BYTES);
const highRows = lowRows + 16;
/** The end of a text and zeros behind it. */
const lastBytes = reserve(BLOCK_READS);
let longKeys: usize = 0;
let longShift: u32 = 0;
let shortKeys: usize = 0;
let shortShift: u32 = 0;

/** Blocks and candidates looked at; rules.ts sets it back. */
export let seekSteps: i32 = 0;
/** The automaton's state behind the key that `seek` stopped at, if a word begins with it, or STEP_BY_STEP; and its bytes. */
export let seekState: u32 = STEP_BY_STEP;
export let seekLength: usize = 0;

// The block in hand: where it lies in the text and ends, where its bytes are read, and what is known of them.
let blockStart: usize = 0;
let blockEnd: usize = 0;
let blockBytes: usize = 0;
let words: u64 = 0;
let wordsAhead: u64 = 0;
let firstHits: u64 = 0;
let allHits: u64 = 0;

/** A new text. */
export function beginSeek(): void {
  seekSteps = 0;
  blockEnd = 0;
}

/** Takes the bit tables at `prefixes`, the byte set at `insideSet`, and that set as rows. */
export function setPrefixes(prefixes: usize, insideSet: usize, rows: usize): void {
  bits = prefixes;
  inside = insideSet;
  memory.copy(lowRows, rows, ROWS_BYTES);
}

/** Takes the tables of keys, of 2^bits places each. */
export function setKeys(long: usize, longBits: u32, short: usize, shortBits: u32): void {
  longKeys = long;
  longShift = <u32>LONG_HASH_BITS - longBits;
  shortKeys = short;
  shortShift = <u32>SHORT_HASH_BITS - shortBits;
}

/** Writes the byte set at `insideSet` to `to` as the two tables by low nibble. */
export function writeRows(insideSet: usize, to: usize): void {
  for (let nibble: u32 = 0; nibble < 16; nibble++) {
    let rows: u32 = 0;
    for (let row: u32 = 0; row < 16; row++) {
      rows |= (<u32>((load<u16>(insideSet + (row << 1)) >> <u16>nibble) & 1)) << row;
    }
    store<u8>(to + nibble, <u8>rows);
    store<u8>(to + 16 + nibble, <u8>(rows >> 8));
  }
}

export function isWordByte(byte: u32): bool {
  return byte >= 0x80 || byte - 97 < 26 || byte - 48 < 10 || byte == 0x5f;
}

/** `n`, `r` or `t`: behind a backslash, white space that nobody has undone, as in JSON that a text has in a string of its own. */
function isBlankLetter(byte: u32): bool {
  return byte == 0x6e || byte == 0x72 || byte == 0x74;
}

/** Whether a word may begin at `at`. */
export function mayBegin(start: usize, at: usize): bool {
  if (at == start || !isWordByte(load<u8>(at - 1))) return true;
  return at - start > 1 && load<u8>(at - 2) == BACKSLASH && isBlankLetter(load<u8>(at - 1));
}

/** `.`, `!` or `?`. */
export function endsSentence(byte: u32): bool {
  return byte == 0x2e || byte == 0x21 || byte == 0x3f;
}

/**
 * The first place from `at` on where a first piece may begin, or one of the groups `follow` if it is before `watch`; `end`
 * if there is none. `start`: of the text.
 */
export function seek(start: usize, at: usize, end: usize, watch: usize, follow: u32): usize {
  while (at < end) {
    if (at >= blockEnd) scan(start, at, end);
    let hits = firstHits;
    if (watch > at) {
      const watched = watch - blockStart;
      hits |= watched < BLOCK ? allHits & (((<u64>1) << (<u64>watched)) - 1) : allHits;
    }
    const passed = <u64>(at - blockStart);
    for (hits = (hits >> passed) << passed; hits; hits &= hits - 1) {
      const place = <u32>ctz(hits);
      if (isKey(place, blockStart + place < watch ? follow : FIRST)) return blockStart + place;
    }
    at = blockEnd;
  }
  return end;
}

/** Finds the hits of the block that begins at `at`. */
function scan(start: usize, at: usize, end: usize): void {
  blockStart = at;
  blockEnd = min(at + BLOCK, end);
  blockBytes = at + BLOCK_READS > end ? padded(lastBytes, at, end - at, BLOCK_READS) : at;
  const carry: u64 = u64(!mayBegin(start, at));
  let anywhere: u64 = 0;
  let backslashes: u64 = 0;
  if (ASC_FEATURE_SIMD) {
    words = 0;
    for (let i: u64 = 0; i < 64; i += 16) {
      const block = v128.load(blockBytes + <usize>i);
      words |= (<u64>wordBits(block)) << i;
      anywhere |= (<u64>insideBits(block)) << i;
      backslashes |= (<u64>i8x16.bitmask(i8x16.eq(block, i8x16.splat(BACKSLASH)))) << i;
    }
    wordsAhead = <u64>wordBits(v128.load(blockBytes, 64));
  } else {
    words = 0;
    wordsAhead = 0;
    for (let i: u64 = 0; i < 64; i++) {
      const byte: u32 = load<u8>(blockBytes + <usize>i);
      words |= (<u64>isWordByte(byte)) << i;
      anywhere |= (<u64>((load<u8>(inside + (byte >> 3)) >> <u8>(byte & 7)) & 1)) << i;
      backslashes |= u64(byte == BACKSLASH) << i;
    }
    for (let i: u64 = 0; i < 4; i++)
      wordsAhead |= (<u64>isWordByte(load<u8>(blockBytes + <usize>i, 64))) << i;
  }
  let candidates = (words & ~((words << 1) | carry)) | anywhere;
  if (at > start && load<u8>(at - 1) == BACKSLASH && mayBegin(start, at + 1)) candidates |= words & 2;
  for (; backslashes; backslashes &= backslashes - 1) {
    const behind = ctz(backslashes) + 2;
    if (behind < 64 && isBlankLetter(load<u8>(blockBytes + <usize>behind - 1)))
      candidates |= words & ((<u64>1) << behind);
  }
  if (end - at < BLOCK) candidates &= ((<u64>1) << (<u64>(end - at))) - 1;
  seekSteps += 4 + <i32>popcnt(candidates);
  let first: u64 = 0;
  let all: u64 = 0;
  // In locals: globals are read anew for each candidate.
  const source = blockBytes;
  const near = words;
  const ahead = wordsAhead;
  const long = bits;
  const short = bits + LONG_BYTES;
  for (; candidates; candidates &= candidates - 1) {
    const place = ctz(candidates);
    const bytes = load<u64>(source + <usize>place);
    const head = headOf(bytes, wordLength(place, near, ahead));
    const known = twoBits(long, longHash(bytes)) | twoBits(short, shortHash(head));
    first |= (<u64>(known & 1)) << place;
    all |= (<u64>((known >> 1) & 1)) << place;
  }
  firstHits = first;
  allHits = all;
}

/** Bytes of the word at `place` of a block, counted up to 4; `near` and `ahead`: bytes of words there and behind it. */
function wordLength(place: u64, near: u64, ahead: u64): u32 {
  return ctz(~(<u32>bitsFrom(near, ahead, place)) | 16);
}

function headOf(bytes: u64, length: u32): u32 {
  return <u32>bytes & load<u32>(HEADS + ((<usize>length) << 2));
}

function longHash(bytes: u64): usize {
  return <usize>(((bytes & 0xffffffffffff) * 0x9e3779b185ebca87) >> 48);
}

function shortHash(head: u32): usize {
  return <usize>((head * 0x9e3779b1) >> 18);
}

/** The bits of a hash: 1 for pieces that begin a pattern, 2 for all; and others above. */
function twoBits(table: usize, hash: usize): u32 {
  return <u32>load<u8>(table + (hash >> 2)) >> <u32>((hash & 3) << 1);
}

/** Whether a piece of one of the groups may begin at `place` of the block; sets `seekState` and `seekLength` if so. */
function isKey(place: u32, groups: u32): bool {
  const bytes = load<u64>(blockBytes + <usize>place);
  // A hit is mostly of one bit table, and little of the tables of keys is in the processor's cache.
  const long = longHash(bytes);
  if (
    twoBits(bits, long) & ANY_PIECE &&
    hasKey(longKeys + (long >> longShift) * offsetof<Key>(), (bytes & 0xffffffffffff) | LONG_KIND, groups)
  ) {
    seekLength = LONG_KEY;
    return true;
  }
  const length = wordLength(place, words, wordsAhead);
  const head = headOf(bytes, length);
  const short = shortHash(head);
  seekLength = length;
  return (
    (twoBits(bits + LONG_BYTES, short) & ANY_PIECE) != 0 &&
    hasKey(shortKeys + (short >> shortShift) * offsetof<Key>(), <u64>head | ((<u64>length) << 48), groups)
  );
}

/** Whether the key of these `bytes`, whose place in its table is `at`, begins a piece of one of the groups; sets `seekState` if so. */
function hasKey(at: usize, bytes: u64, groups: u32): bool {
  for (const last = at + KEY_PROBES * offsetof<Key>(); at < last; at += offsetof<Key>()) {
    const key = changetype<Key>(at);
    if (key.groups == 0) return false;
    if (key.bytes != bytes) continue;
    seekState = key.state;
    return (key.groups & groups) != 0;
  }
  return false;
}

function wordBits(block: v128): u32 {
  const letter = within(block, 97, 26);
  const digit = within(block, 48, 10);
  const rest = v128.or(block, i8x16.eq(block, i8x16.splat(0x5f)));
  return <u32>i8x16.bitmask(v128.or(v128.or(letter, digit), rest));
}

/** The bytes of `inside`. */
function insideBits(block: v128): u32 {
  const nibble = v128.and(block, i8x16.splat(15));
  const row = v128.bitselect(
    i8x16.swizzle(v128.load(highRows), nibble),
    i8x16.swizzle(v128.load(lowRows), nibble),
    i8x16.lt_s(block, i8x16.splat(0)),
  );
  const bitOf = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const hits = v128.and(row, i8x16.swizzle(bitOf, highNibbles(block)));
  return 0xffff & ~(<u32>i8x16.bitmask(i8x16.eq(hits, i8x16.splat(0))));
}
