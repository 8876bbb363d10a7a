// The gates of views-gate.ts, 64 bytes at a time. For each group cheap vectors say whether a gate may open in it; only then
// are the exact counts of its four blocks made, with the rules of views-gate-marks.ts. So the answer is that of the
// pass over bytes, and ordinary text pays for little more than looking up its letters.
//
//  letters    a byte to its class, a number below 16; letters that make a digraph have neighbouring ones
//  turned     the classes weigh +4 (r g n b v) or −7 (e t a o i); the sum of 48 bytes is positive only where rot13 may be
//  mirrored   the step from class to class is −STEP in ht gn dn uo; most groups have none
//  spaced     letters of a group as 64 bits, of which three are alone
//  the rest   no digit, sign or byte beyond ASCII in the group; in each block a letter that is no hexadecimal digit
//
// Bound: each byte is classified once, a block counted at most once for each gate, and with up to three blocks before it.
import { reserve } from "../memory";
import { eq, fillFew, highNibbles, padded, within } from "../vectors";
import {
  begins,
  GATE_CODES,
  GATE_LEET,
  GATE_REVERSED,
  GATE_ROT13,
  isCode,
  isLeet,
  isMirrored,
  isTurned,
  loneWide,
  oddsIn,
  opened,
} from "./views-gate-marks";

const GROUP: i32 = 64;

const lastGroup = reserve(GROUP);
/** Steps from class to class of the group before and the group in hand, in turns. */
const steps = reserve(2 * GROUP);

// Classes. d has the class of g, but for its weight, which a set top bit makes 0; doubled, they are the same.
const T: i8 = 2;
const H: i8 = 3;
const N: i8 = 5;
const G: i8 = 6;
const D: i8 = G | -128;
const O: i8 = 8;
const U: i8 = 9;
/** e, a, i */
const E: i8 = 11;
/** r, b, v */
const R: i8 = 13;
/** Every other letter. */
const X: i8 = 15;
/** From the first letter of a digraph to its second, in doubled classes; back in its mirror. */
const STEP: i8 = 2;

// Sets of other bytes, products of low and high nibbles: digits and the signs of leetspeak `@`, `$` `!`, `|`; `%` `&`, `\`; `<` `>`, `*`.
const ODD: i8 = 15;
const ESCAPES: i8 = 48;
const BACKSLASH: i8 = 32;
const ANGLES: i8 = 64;
const STAR: i8 = -128;
const MARKS: i8 = ANGLES | STAR;

/** The gates that `len` bytes of normalised text at `from` open. */
export function gatesOfBlocks(from: usize, len: i32): u32 {
  const zero = i8x16.splat(0);
  let open: u32 = 0;
  let spaced = 0;
  let forward = zero;
  let backward = 0;
  let escapes = 0;
  let escapeSeen = false;
  // Of the group before: classes (doubled) and weights of its last blocks, its counts, a byte for each block, and its letters.
  let last = zero;
  let weight2 = zero;
  let weight3 = zero;
  let odds: u32 = 0;
  let wrongs: u32 = 0;
  let highs: u32 = 0;
  let letters: u64 = 0;
  let lone: u64 = 0;
  let marks: u64 = 0;
  let marksBehind = 0;
  let marksBefore = 0;
  let turn: usize = 0;
  fillFew(steps, 0, 2 * GROUP);
  for (let at = 0; at < len; at += GROUP) {
    const left = len - at;
    // Zeros are in no set.
    const source = left < GROUP ? padded(lastGroup, from + at, <usize>left, GROUP) : from + at;
    const a = v128.load(source);
    const b = v128.load(source, 16);
    const c = v128.load(source, 32);
    const d = v128.load(source, 48);
    const classA = classes(a);
    const classB = classes(b);
    const classC = classes(c);
    const classD = classes(d);

    // rot13
    const weightA = weights(classA);
    const weightB = weights(classB);
    const weightC = weights(classC);
    const weightD = weights(classD);
    const ab = i8x16.add(weightA, weightB);
    const cd = i8x16.add(weightC, weightD);
    const sums = sumsOfFour(
      i8x16.add(i8x16.add(weight2, weight3), weightA),
      i8x16.add(weight3, ab),
      i8x16.add(ab, weightC),
      i8x16.add(weightB, cd),
    );
    if (!(open & GATE_ROT13) && v128.any_true(i16x8.gt_s(sums, zero))) {
      const plain = (plainIn(weight2) << 8) | plainIn(weight3);
      const rot = (rotIn(weight2) << 8) | rotIn(weight3);
      const plainB = (plain << 16) | (plainIn(weightA) << 8) | plainIn(weightB);
      const rotB = (rot << 16) | (rotIn(weightA) << 8) | rotIn(weightB);
      const plainD = (plainB << 16) | (plainIn(weightC) << 8) | plainIn(weightD);
      const rotD = (rotB << 16) | (rotIn(weightC) << 8) | rotIn(weightD);
      const turned =
        isTurned(plainB >> 8, rotB >> 8) ||
        (left > 16 && isTurned(plainB, rotB)) ||
        (left > 32 && isTurned(plainD >> 8, rotD >> 8)) ||
        (left > 48 && isTurned(plainD, rotD));
      if (turned) open |= GATE_ROT13;
    }
    weight2 = weightC;
    weight3 = weightD;

    // reversed
    const twiceA = i8x16.add(classA, classA);
    const twiceB = i8x16.add(classB, classB);
    const twiceC = i8x16.add(classC, classC);
    const twiceD = i8x16.add(classD, classD);
    const stepA = i8x16.sub(twiceA, shifted(last, twiceA));
    const stepB = i8x16.sub(twiceB, shifted(twiceA, twiceB));
    const stepC = i8x16.sub(twiceC, shifted(twiceB, twiceC));
    const stepD = i8x16.sub(twiceD, shifted(twiceC, twiceD));
    last = twiceD;
    turn ^= GROUP;
    v128.store(steps + turn, stepA);
    v128.store(steps + turn, stepB, 16);
    v128.store(steps + turn, stepC, 32);
    v128.store(steps + turn, stepD, 48);
    // Lanes are 0 or −1: of four blocks a byte holds the sum, of all a word of two bytes' sums.
    const right = i8x16.add(
      i8x16.add(eq(stepA, STEP), eq(stepB, STEP)),
      i8x16.add(eq(stepC, STEP), eq(stepD, STEP)),
    );
    forward = i16x8.add(forward, i16x8.extadd_pairwise_i8x16_s(right));
    const wrong = v128.or(
      v128.or(eq(stepA, -STEP), eq(stepB, -STEP)),
      v128.or(eq(stepC, -STEP), eq(stepD, -STEP)),
    );
    if (v128.any_true(wrong)) {
      const before = wrongs;
      wrongs = countsAt(steps + turn, -STEP);
      const count = sumOf(wrongs);
      backward += count;
      if (count + sumOf(before) >= 3 && mirrors(turn, before, wrongs, left)) open |= GATE_REVERSED;
    } else if (wrongs) {
      if (sumOf(wrongs) >= 3 && mirrors(turn, wrongs, 0, left)) open |= GATE_REVERSED;
      wrongs = 0;
    }

    // spaced
    const lettersBefore = letters;
    letters = ~(
      <u64>i8x16.bitmask(eq(classA, 0)) |
      ((<u64>i8x16.bitmask(eq(classB, 0))) << 16) |
      ((<u64>i8x16.bitmask(eq(classC, 0))) << 32) |
      ((<u64>i8x16.bitmask(eq(classD, 0))) << 48)
    );
    // Bit i is the byte before byte i: only of that one is the next known.
    const loneBefore = lone;
    const now = (letters << 1) | (lettersBefore >> 63);
    lone = now & ~((letters << 2) | (lettersBefore >> 62)) & ~letters;
    if (<i32>popcnt(lone) + <i32>popcnt(loneBefore >> 56) >= 3) {
      spaced += <i32>popcnt(thirds(loneBefore, lone) & known(left));
    }
    const high = v128.or(v128.or(a, b), v128.or(c, d));
    if (<u32>i8x16.bitmask(high) | highs) {
      const highA: u32 = i8x16.bitmask(a);
      const highB: u32 = i8x16.bitmask(b);
      const highC: u32 = i8x16.bitmask(c);
      const highD: u32 = i8x16.bitmask(d);
      spaced += loneWide(highs, highA);
      if (left > 16) spaced += loneWide(highA, highB);
      if (left > 32) spaced += loneWide(highB, highC);
      if (left > 48) spaced += loneWide(highC, highD);
      highs = highD;
    }

    // leet, escapes
    const signA = signs(a);
    const signB = signs(b);
    const signC = signs(c);
    const signD = signs(d);
    const sign = v128.or(v128.or(signA, signB), v128.or(signC, signD));
    const oddsBefore = odds;
    odds = 0;
    marksBefore += <i32>(letters & (marks >> 63));
    marks = 0;
    if (v128.any_true(sign)) {
      if (!(open & GATE_LEET) && v128.any_true(v128.and(sign, i8x16.splat(ODD)))) {
        const oddA = oddsIn(<u32>letters & 0xffff, some(signA, ODD));
        const oddB = oddsIn(<u32>(letters >> 16) & 0xffff, some(signB, ODD));
        const oddC = oddsIn(<u32>(letters >> 32) & 0xffff, some(signC, ODD));
        const oddD = oddsIn(<u32>(letters >> 48), some(signD, ODD));
        odds = (oddA << 24) | (oddB << 16) | (oddC << 8) | oddD;
        const leet =
          isLeet((oddsBefore << 8) | oddA) ||
          isLeet((oddsBefore << 16) | (odds >> 16)) ||
          isLeet((oddsBefore << 24) | (odds >> 8)) ||
          isLeet(odds);
        if (leet) open |= GATE_LEET;
      }
      if (v128.any_true(v128.and(sign, i8x16.splat(ESCAPES)))) {
        const found = allOf(signA, signB, signC, signD, ESCAPES);
        escapes += <i32>popcnt(found);
        escapeSeen = escapeSeen || anyBegins(from + at, left, found);
      }
      if (v128.any_true(v128.and(sign, i8x16.splat(MARKS)))) {
        marks = allOf(signA, signB, signC, signD, MARKS);
        marksBehind += <i32>popcnt(marks & now);
        marksBefore += <i32>popcnt(letters & (marks << 1));
      }
    }

    // codes
    if (left >= 16 && !(open & GATE_CODES) && v128.any_true(i32x4.eq(beyondHex(a, b, c, d), zero))) {
      const code =
        isCodeBlock(a) ||
        (left >= 32 && isCodeBlock(b)) ||
        (left >= 48 && isCodeBlock(c)) ||
        (left >= GROUP && isCodeBlock(d));
      if (code) open |= GATE_CODES;
    }
  }
  const escaped = escapeSeen ? escapes : 0;
  return opened(open, spaced, -total(forward), backward, escaped, min(marksBehind, marksBefore));
}

/** The class of each letter; 0 for any other byte. */
function classes(block: v128): v128 {
  const upToO = i8x16(0, E, R, X, D, E, X, G, H, E, X, X, X, X, N, O);
  const fromP = i8x16(X, X, R, X, T, U, R, X, X, X, X, 0, 0, 0, 0, 0);
  return v128.or(
    i8x16.swizzle(upToO, v128.xor(block, i8x16.splat(0x60))),
    i8x16.swizzle(fromP, v128.xor(block, i8x16.splat(0x70))),
  );
}

function weights(classes: v128): v128 {
  return i8x16.swizzle(i8x16(0, 0, -7, 0, 0, 4, 4, 0, -7, 0, 0, -7, 0, 4, 0, 0), classes);
}

function plainIn(weights: v128): u32 {
  return popcnt(i8x16.bitmask(weights));
}

function rotIn(weights: v128): u32 {
  return popcnt(i8x16.bitmask(i8x16.gt_s(weights, i8x16.splat(0))));
}

/** The sum of the bytes of each of four blocks, as words, twice. */
function sumsOfFour(a: v128, b: v128, c: v128, d: v128): v128 {
  const wordsA = i16x8.extadd_pairwise_i8x16_s(a);
  const wordsB = i16x8.extadd_pairwise_i8x16_s(b);
  const wordsC = i16x8.extadd_pairwise_i8x16_s(c);
  const wordsD = i16x8.extadd_pairwise_i8x16_s(d);
  const ab = i16x8.add(
    v128.shuffle<i16>(wordsA, wordsB, 0, 8, 1, 9, 2, 10, 3, 11),
    v128.shuffle<i16>(wordsA, wordsB, 4, 12, 5, 13, 6, 14, 7, 15),
  );
  const cd = i16x8.add(
    v128.shuffle<i16>(wordsC, wordsD, 0, 8, 1, 9, 2, 10, 3, 11),
    v128.shuffle<i16>(wordsC, wordsD, 4, 12, 5, 13, 6, 14, 7, 15),
  );
  const all = i16x8.add(v128.shuffle<i32>(ab, cd, 0, 4, 1, 5), v128.shuffle<i32>(ab, cd, 2, 6, 3, 7));
  return i16x8.add(all, v128.shuffle<i32>(all, all, 2, 3, 0, 1));
}

/** The sum of the eight words, which are not positive. */
function total(words: v128): i32 {
  const sums = i32x4.dot_i16x8_s(words, i16x8.splat(1));
  return (
    i32x4.extract_lane(sums, 0) +
    i32x4.extract_lane(sums, 1) +
    i32x4.extract_lane(sums, 2) +
    i32x4.extract_lane(sums, 3)
  );
}

/** A block moved on by one byte, with the last byte of the one before it. */
function shifted(before: v128, block: v128): v128 {
  return i8x16.shuffle(before, block, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30);
}

/** How many of each of the four blocks at `group` are `byte`, the first in the highest byte. */
function countsAt(group: usize, byte: i8): u32 {
  let counts: u32 = 0;
  for (let i = 0; i < GROUP; i += 16) {
    counts = (counts << 8) | <u32>popcnt(i8x16.bitmask(eq(v128.load(group + i), byte)));
  }
  return counts;
}

/** The sum of four bytes, of which none is over 16. */
function sumOf(counts: u32): i32 {
  return (counts * 0x01010101) >> 24;
}

/** Whether one of the blocks that `left` bytes fill or begin is mirrored, given the mirrored digraphs of both groups. */
function mirrors(turn: usize, wrongsBefore: u32, wrongs: u32, left: i32): bool {
  const rights = ((<u64>countsAt(steps + (turn ^ GROUP), STEP)) << 32) | <u64>countsAt(steps + turn, STEP);
  const all = ((<u64>wrongsBefore) << 32) | <u64>wrongs;
  for (let block = 0; block < 4 && block << 4 < left; block++) {
    const shift = <u64>(24 - (block << 3));
    if (isMirrored(<u32>(rights >> shift), <u32>(all >> shift))) return true;
  }
  return false;
}

/** Those of `lone` that are the third of three at equal distance 2, 3 or 4; `before` are the 64 before. */
function thirds(before: u64, lone: u64): u64 {
  const two = (lone << 2) | (before >> 62);
  const three = (lone << 3) | (before >> 61);
  const four = (lone << 4) | (before >> 60);
  const six = (lone << 6) | (before >> 58);
  const eight = (lone << 8) | (before >> 56);
  return lone & ((two & four) | (three & six) | (four & eight));
}

/** The bytes of which the next is known: all but the last of the block that `left` bytes end in. */
function known(left: i32): u64 {
  return left > 48 ? ~(<u64>0) : ((<u64>1) << (<u64>((left + 15) & ~15))) - 1;
}

/** For each byte its sets, bits of ODD, ESCAPES and MARKS. */
function signs(block: v128): v128 {
  const low = i8x16(3, 5, 1, 1, 5, 17, 17, 1, 1, 1, STAR, 0, 8 | BACKSLASH | ANGLES, 0, ANGLES, 0);
  const high = i8x16(0, 0, 4 | 16 | STAR, 1 | ANGLES, 2, BACKSLASH, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0);
  return v128.and(
    i8x16.swizzle(low, v128.and(block, i8x16.splat(15))),
    i8x16.swizzle(high, highNibbles(block)),
  );
}

/** The bytes that have some of `bits`. */
function some(set: v128, bits: i8): u32 {
  return 0xffff & ~(<u32>i8x16.bitmask(eq(v128.and(set, i8x16.splat(bits)), 0)));
}

/** The bytes of four blocks that have some of `bits`. */
function allOf(a: v128, b: v128, c: v128, d: v128, bits: i8): u64 {
  return (
    <u64>some(a, bits) |
    ((<u64>some(b, bits)) << 16) |
    ((<u64>some(c, bits)) << 32) |
    ((<u64>some(d, bits)) << 48)
  );
}

/** Whether one of the signs `found` in a group begins an escape as decodeEscapes knows them; `left` bytes are there. */
function anyBegins(group: usize, left: i32, found: u64): bool {
  for (let sign = found; sign; sign &= sign - 1) {
    const i = <i32>ctz(sign);
    if (i + 1 < left && begins(load<u8>(group + i), load<u8>(group + i + 1))) return true;
  }
  return false;
}

/** For each of four blocks four bytes, of which one is not zero if the block has a letter after f, or `{`, `|`, `}`, `~`. */
function beyondHex(a: v128, b: v128, c: v128, d: v128): v128 {
  const f = i8x16.splat(0x66);
  return i8x16.narrow_i16x8_s(
    i8x16.narrow_i16x8_s(i8x16.gt_s(a, f), i8x16.gt_s(b, f)),
    i8x16.narrow_i16x8_s(i8x16.gt_s(c, f), i8x16.gt_s(d, f)),
  );
}

function isCodeBlock(block: v128): bool {
  const gap: u32 = i8x16.bitmask(v128.or(eq(block, 0x20), eq(block, 0x2c)));
  const hex: u32 = i8x16.bitmask(v128.or(within(block, 48, 10), within(block, 97, 6)));
  const dots: u32 = i8x16.bitmask(v128.or(v128.or(eq(block, 0x2e), eq(block, 0x2d)), eq(block, 0x2f)));
  return isCode(hex, dots, gap);
}
