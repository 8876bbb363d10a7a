// Skips what no rule can begin in: of each place where a piece may begin, the first bytes are looked up in a bit
// set of the pack (sidecar/pack/prefix.ts), so that of ordinary text the automaton reads a few words only.
//
//   block      │t│e│l│l│ │m│e│ │<│|│s│…   16 bytes
//   words       1 1 1 1 0 1 1 0 0 0 1     letters, digits, `_` and bytes beyond ASCII
//   candidates  1 0 0 0 0 1 0 0 1 0 1     first bytes of words, and bytes of `inside`
//
// Bounds: each byte is classified once, each candidate costs one look-up; nothing at or after `end` is read.
import { reserve } from "../memory";
import { highNibbles, within } from "../vectors";

const LONG_BYTES: usize = 8192;
/** Bytes of one bit set (long and short keys), and of the set of bytes that pieces begin with inside words. */
export const PREFIX_BYTES: i32 = 8192 + 2048;
export const INSIDE_BYTES: i32 = 32;
/** The set `inside` as `writeRows` writes it. */
export const ROWS_BYTES: i32 = 32;
/** A seek reads at most so many bytes from where it stands. */
export const SEEK_AHEAD: usize = 32;

let bits: usize = 0;
let all: usize = 0;
let inside: usize = 0;
// `inside` as two tables by low nibble: bit r of entry n says that byte (r << 4 | n), or with r + 8, is in the set.
const lowRows = reserve(ROWS_BYTES);
const highRows = lowRows + 16;
/** Blocks and candidates looked at; rules.ts sets it back. */
export let seekSteps: i32 = 0;

export function clearSeekSteps(): void {
  seekSteps = 0;
}

/** Takes the bit sets at `prefixes` (first pieces, all pieces), the byte set at `insideSet`, and that set as rows. */
export function setPrefixes(prefixes: usize, insideSet: usize, rows: usize): void {
  bits = prefixes;
  all = prefixes + PREFIX_BYTES;
  inside = insideSet;
  memory.copy(lowRows, rows, ROWS_BYTES);
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

/**
 * The first place from `at` on where a first piece may begin, or any piece if it is before `watch`; or where fewer
 * than SEEK_AHEAD bytes are left. `after`: the byte before `at` belongs to a word.
 */
export function seek(at: usize, end: usize, watch: usize, after: bool): usize {
  let carry: u32 = u32(after);
  if (ASC_FEATURE_SIMD) {
    const low = v128.load(lowRows);
    const high = v128.load(highRows);
    const bitOf = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
    if (at + SEEK_AHEAD > end) return at;
    let block = v128.load(at);
    let words: u32 = wordBits(block);
    while (true) {
      const nibble = v128.and(block, i8x16.splat(15));
      const row = v128.bitselect(
        i8x16.swizzle(high, nibble),
        i8x16.swizzle(low, nibble),
        i8x16.lt_s(block, i8x16.splat(0)),
      );
      const hits = v128.and(row, i8x16.swizzle(bitOf, highNibbles(block)));
      const anywhere: u32 = 0xffff & ~(<u32>i8x16.bitmask(i8x16.eq(hits, i8x16.splat(0))));
      const ahead = v128.load(at, 16);
      const wordsAhead: u32 = wordBits(ahead);
      const run = ~(words | (wordsAhead << 16));
      let candidates = (words & ~((words << 1) | carry)) | anywhere;
      seekSteps += 1 + <i32>popcnt(candidates);
      while (candidates) {
        const place = ctz(candidates);
        candidates &= candidates - 1;
        const ptr = at + <usize>place;
        // Bits of `run` from bit 31 on are zero after the shift: a run of 4 is always seen, as 16 + 4 < 32.
        const length = min<u32>(ctz((run >> place) | 16), 4);
        if (known(ptr < watch ? all : bits, load<u64>(ptr), length)) return ptr;
      }
      carry = words >> 15;
      at += 16;
      if (at + SEEK_AHEAD > end) return at;
      block = ahead;
      words = wordsAhead;
    }
  }
  while (at + SEEK_AHEAD <= end) {
    seekSteps++;
    const byte: u32 = load<u8>(at);
    const word: u32 = u32(isWordByte(byte));
    if ((word & ~carry) | ((load<u8>(inside + (byte >> 3)) >> (byte & 7)) & 1)) {
      let length: u32 = 0;
      while (length < 4 && isWordByte(load<u8>(at + length))) length++;
      if (known(at < watch ? all : bits, load<u64>(at), length)) return at;
    }
    carry = word;
    at++;
  }
  return at;
}

/** Whether a piece may begin with these 8 bytes, of which the first `length` (0 to 4) are in a word. */
function known(table: usize, bytes: u64, length: u32): bool {
  const long = <usize>(((bytes & 0xffffffffffff) * 0x9e3779b185ebca87) >> 48);
  const key = <u32>bytes & (length ? <u32>(0xffffffff >> (32 - (length << 3))) : 0xffff);
  const short = <usize>((key * 0x9e3779b1) >> 18);
  const hit: u32 =
    (load<u8>(table + (long >> 3)) >> <u8>(long & 7)) |
    (load<u8>(table + LONG_BYTES + (short >> 3)) >> <u8>(short & 7));
  return (hit & 1) != 0;
}

function wordBits(block: v128): u32 {
  const letter = within(block, 97, 26);
  const digit = within(block, 48, 10);
  const rest = v128.or(block, i8x16.eq(block, i8x16.splat(0x5f)));
  return <u32>i8x16.bitmask(v128.or(v128.or(letter, digit), rest));
}
