// The classifier: how much does a text look like an attack on the model that reads it? A linear model over
// hashed n-grams of normalised text (normalise.ts) and of its decoded views (views.ts); each is scored by itself
// and the highest score counts. Linear, because one addition per n-gram is what 32 KB in 100 µs allows.
//
// Features: at every byte the next 4 bytes; at every word its first bytes (6, or 12 when not ASCII: about six letters, so
// that endings do not matter), and these with the word before and the word before that. With the next 7 bytes, too, it found
// no more and cost half as much again.
// Each hashes to one of 2^BITS int8 weights, 128 KB. With half as many, twenty languages stood in each other's way; twice as many found little more
// and cost 20 µs of 300 in Envoy, as caches hold other things, too.
//
//   text    │ 64 │ 64 │ 64 │ 64 │ …  blocks; each has one sum of weights
//           └──── window: WINDOW_BLOCKS blocks, moved on by one block ────┘
//
// A window's logit is gain × sum / √(bytes + SMOOTH) + bias; the text's is the highest of its windows, so an attack
// inside a long document is not averaged away. sidecar/pack/train.ts made the numbers.
//
// Of every 64 bytes, and of the 64 that begin in the middle of these, it also says whether they have a trace of an attack, as a whole
// or by one word: there the rules look (traces.ts).
//
// Pack, little-endian:
//
//    0 magic "WEIRCLS1"   8 version u32   12 BITS u32   16 gain f32   20 bias i32   24 threshold i32   28 zero u32
//   32 SHA-256 of corpus and data      64 weights i8 × 2^BITS
//
// Logits are fixed-point, LOGIT_ONE to one. Bounds: one pass, at most 1 + 3/2 additions per byte, no allocation;
// nothing outside the text is read (its last bytes are copied to a padded buffer).
import { reserve } from "../memory";
import { lenOf, ptrOf, Slice } from "../slice";
import { bitsFrom, copyFew, fillFew, within } from "../vectors";
import { addTrace, clearTraces, traceAll } from "./traces";

/** log2 of the number of weights. */
export const BITS: u64 = 17;
export const BLOCK: i32 = 64;
/** Blocks of one window: 256 bytes; windows of 640 found fewer multilingual attacks and jailbreaks. */
export const WINDOW_BLOCKS: i32 = 4;
/** Added to a window's length under the root, so that three words do not score like a page. */
export const SMOOTH: i32 = 32;
/** The logit 1.0. */
export const LOGIT_ONE: i32 = 256;
/** Logits are clamped to ±LOGIT_MAX. */
export const LOGIT_MAX: i32 = 16 * LOGIT_ONE;
/** Size of a pack in bytes. */
export const PACK_BYTES: i32 = 64 + (1 << (<i32>BITS));
export const PACK_VERSION: u32 = 2;

const MAGIC: u64 = 0x31534c4352494557; // "WEIRCLS1"
const SHIFT: u64 = 64 - BITS;
// Odd multipliers, one per feature family (from XXH64's primes and the golden ratio).
const K_GRAM: u64 = 0x9e3779b185ebca87;
const K_LETTERS: u64 = 0xc2b2ae3d27d4eb4f;
const K_WORD: u64 = 0x165667b19e3779f9;
const K_PAIR: u64 = 0x27d4eb2f165667c5;
const K_SKIP: u64 = 0x85ebca77c2b2ae63;

const FRACTION: i64 = 16;

/** At a fixed address, which a load adds by itself: one instruction less for each feature. */
const weights: usize = memory.data(1 << (<i32>BITS), 64);
/** gain / √(n + SMOOTH) in 1 / (LOGIT_ONE × 2^FRACTION) for n = 0 … WINDOW_BLOCKS × BLOCK. */
const gains = reserve((WINDOW_BLOCKS * BLOCK + 1) << 2);
/** Logistic function of the logits −LOGIT_MAX … LOGIT_MAX in steps of 1/16, in 1/1000. */
const CURVE_STEP: i32 = 16;
const PROBABILITY_MAX: i32 = 1000;
const curve = reserve((((2 * LOGIT_MAX) / CURVE_STEP + 1) << 1) + 2);
/** Sums of the last blocks. */
const ring = reserve(WINDOW_BLOCKS << 2);
/** The end of a text and spaces after it. */
const TAIL: i32 = 384;
const tail = reserve(TAIL);

/** 64 bytes with a higher logit than this have a trace of an attack: the threshold is further above it than rules can add. */
export const TRACE: i32 = -LOGIT_ONE / 4;
/** A word whose weight, with the two before it, times the pack's gain is more than this is a trace, too, however harmless the 64 bytes
 *  around it are: a short command before a harmless request. 1.4 made four blocks in five traces, 3.1 hardly any. */
const WORD_TRACE: f64 = 2.27;
/** The weight of such a word. */
export let wordTrace: i32 = 0;
/** In texts up to this length, in blocks, the rules look everywhere. */
const TRACED_MAX: i32 = 2;
/** The sum of 64 bytes with a trace. */
let traceSum: i32 = 0;

/** Half a window with a higher logit than this is looked at closer. */
const SUSPECT: i32 = (3 * LOGIT_ONE) / 2;
/** Such places that are kept. */
const SUSPECTS_MAX: i32 = 1024;
const suspects = reserve(SUSPECTS_MAX << 2);
/** The sum of two blocks that is suspicious. */
let suspectSum: i32 = 0;
/** Suspicious places that the text scored last has, in order, SUSPECTS_MAX at most. */
export let suspectCount: i32 = 0;

let bias: i32 = 0;
let ready: bool = false;
/** The threshold that the pack was made with, as a logit. */
export let threshold: i32 = 0;

/** Takes a pack over; false, leaving the one before in place, if it is not a pack of this version. */
export function loadPack(ptr: usize, len: i32): bool {
  if (len != PACK_BYTES || load<u64>(ptr) != MAGIC) return false;
  if (load<u32>(ptr + 8) != PACK_VERSION || load<u32>(ptr + 12) != <u32>BITS) return false;
  const gain = <f64>reinterpret<f32>(load<u32>(ptr + 16));
  // Also refuses NaN; the bound keeps every product below inside i64.
  if (!(gain > 0 && gain < 1e6)) return false;
  memory.copy(weights, ptr + 64, 1 << (<i32>BITS));
  for (let n = 0; n <= WINDOW_BLOCKS * BLOCK; n++) {
    const unit = <f64>(LOGIT_ONE * (1 << (<i32>FRACTION)));
    store<i32>(gains + ((<usize>n) << 2), <i32>min((gain * unit) / sqrt(<f64>(n + SMOOTH)), 2147483000.0));
  }
  bias = <i32>load<u32>(ptr + 20);
  bias = clamp(bias);
  threshold = clamp(<i32>load<u32>(ptr + 24));
  for (let i = 0; i <= (2 * LOGIT_MAX) / CURVE_STEP; i++) {
    const logit = <f64>(i * CURVE_STEP - LOGIT_MAX) / <f64>LOGIT_ONE;
    store<u16>(curve + ((<usize>i) << 1), <u16>(<f64>PROBABILITY_MAX / (1.0 + Math.exp(-logit)) + 0.5));
  }
  suspectSum = sumFor(SUSPECT, 2 * BLOCK);
  traceSum = sumFor(TRACE, BLOCK);
  wordTrace = <i32>min(WORD_TRACE / gain, 1000.0);
  ready = true;
  return true;
}

/** The logit of `text` (normalised, or a view), LOGIT_ONE to one; −LOGIT_MAX when empty or without a pack. */
export function score(text: Slice): i32 {
  const len = lenOf(text);
  suspectCount = 0;
  clearTraces();
  const blocks = (len + BLOCK - 1) >> 6;
  if (!ready || blocks <= TRACED_MAX) traceAll(blocks);
  if (!ready || len <= 0) return -LOGIT_MAX;
  // Blocks read where they are: a block reads up to 64 + 64 + 16 bytes from its start.
  const direct = len >= 144 ? ((len - 144) >> 6) + 1 : 0;
  const rest = len - (direct << 6);
  copyFew(tail, ptrOf(text) + (direct << 6), <usize>rest);
  fillFew(tail + rest, 32, 160);
  fillFew(ring, 0, (<usize>WINDOW_BLOCKS) << 2);
  let at = direct > 0 ? ptrOf(text) : tail;
  let mask = wordMask(at);
  let carry: u64 = 0;
  let before: u64 = 0;
  let before2: u64 = 0;
  let windowSum = 0;
  let sumBefore = 0;
  let secondBefore = 0;
  let best = -LOGIT_MAX;
  for (let block = 0; block < blocks; block++) {
    const ahead = block + 1 == direct ? tail : at + 64;
    const maskAhead = wordMask(ahead);
    let sum = grams(at);
    // Of the second half of the block.
    let second = grams(at + 32);
    sum += second;
    let heaviest = 0;
    let starts = mask & ~((mask << 1) | carry);
    carry = mask >> 63;
    while (starts) {
      const bit = ctz(starts);
      starts &= starts - 1;
      const word = wordKey(at + <usize>bit, wordRun(mask, maskAhead, bit));
      const weight =
        <i32>load<i8>(slotWord(word), weights) +
        <i32>load<i8>(slotPair(before, word), weights) +
        <i32>load<i8>(slotSkip(before2, word), weights);
      sum += weight;
      heaviest = max(heaviest, weight);
      second += weight & -(<i32>(bit >> 5));
      before2 = before;
      before = word;
    }
    if (sum + sumBefore > suspectSum) suspect(block << 6);
    if (max(sum, secondBefore + sum - second) > traceSum || heaviest > wordTrace) addTrace(block, blocks);
    secondBefore = second;
    sumBefore = sum;
    const cell = ring + ((<usize>block % WINDOW_BLOCKS) << 2);
    windowSum += sum - load<i32>(cell);
    store<i32>(cell, sum);
    if (block + 1 >= WINDOW_BLOCKS || block + 1 == blocks) {
      const from = max(block + 1 - WINDOW_BLOCKS, 0) << 6;
      best = max(best, logitOf(windowSum, min((block + 1) << 6, len) - from));
    }
    mask = maskAhead;
    at = ahead;
  }
  return best;
}

/** The logit of at most a window's `bytes` whose weights add up to `sum`. */
export function logitOf(sum: i32, bytes: i32): i32 {
  const gain = <i64>load<i32>(gains + ((<usize>bytes) << 2));
  return clamp(<i32>max(min((gain * <i64>sum) >> FRACTION, 1 << 20), -(1 << 20)) + bias);
}

/** Whether no higher logit has a higher `probability`. */
export function isCertain(logit: i32): bool {
  return probability(logit) == PROBABILITY_MAX;
}

/** The least sum whose logit for `bytes` is above `logit`, or about that. */
export function sumFor(logit: i32, bytes: i32): i32 {
  const gain = <i64>max(load<i32>(gains + ((<usize>bytes) << 2)), 1);
  return <i32>max(min(((<i64>(logit - bias)) << FRACTION) / gain, i32.MAX_VALUE), i32.MIN_VALUE);
}

/** The weight of a feature. */
export function weightOf(slot: usize): i32 {
  return <i32>load<i8>(slot, weights);
}

function suspect(at: i32): void {
  if (suspectCount == SUSPECTS_MAX) return;
  store<i32>(suspects + ((<usize>suspectCount) << 2), at);
  suspectCount++;
}

/** Where suspicious place `i` is: the middle of two blocks, as an offset in the text. */
export function suspectAt(i: i32): i32 {
  return load<i32>(suspects + ((<usize>i) << 2));
}

/** The probability that a logit stands for, in 1/1000. */
export function probability(logit: i32): i32 {
  return load<u16>(curve + ((<usize>((clamp(logit) + LOGIT_MAX) / CURVE_STEP)) << 1));
}

function clamp(logit: i32): i32 {
  return max(min(logit, LOGIT_MAX), -LOGIT_MAX);
}

/** The sum over the 32 bytes at `at` of the n-grams that begin there; reads 3 bytes more. */
function grams(at: usize): i32 {
  let sum = 0;
  for (const end = at + 32; at < end; at += 4) {
    sum +=
      <i32>load<i8>(slotGram(load<u32>(at)), weights) + <i32>load<i8>(slotGram(load<u32>(at, 1)), weights);
    sum +=
      <i32>load<i8>(slotGram(load<u32>(at, 2)), weights) + <i32>load<i8>(slotGram(load<u32>(at, 3)), weights);
  }
  return sum;
}

/** The weight of 4 bytes. */
export function slotGram(bytes: u32): usize {
  // The upper half of ((bytes << 32) · K_GRAM), shifted: only the lower halves meet there.
  return <usize>((bytes * <u32>K_GRAM) >> <u32>(SHIFT - 32));
}

export function slotWord(word: u64): usize {
  return <usize>((word * K_WORD) >> SHIFT);
}

export function slotPair(before: u64, word: u64): usize {
  return <usize>(((rotl<u64>(before, 23) + word) * K_PAIR) >> SHIFT);
}

export function slotSkip(before: u64, word: u64): usize {
  return <usize>(((rotl<u64>(before, 41) + word) * K_SKIP) >> SHIFT);
}

/** Bytes of the word at `bit` of a block, given the masks of this block and the next; at most 64 are seen. */
export function wordRun(mask: u64, ahead: u64, bit: u64): i32 {
  return <i32>ctz(~bitsFrom(mask, ahead, bit));
}

/** A number for the first letters of the word of `len` bytes at `at`; reads 16 bytes. */
export function wordKey(at: usize, len: i32): u64 {
  const head = load<u64>(at);
  if ((head & 0x80) == 0) {
    const keep: u64 = <u64>min(len, 6);
    return (head & (((<u64>1) << (keep << 3)) - 1)) * K_LETTERS;
  }
  if (len < 8) return (head & (((<u64>1) << ((<u64>len) << 3)) - 1)) * K_LETTERS;
  const keep: u64 = <u64>min(len - 8, 4);
  const next = load<u64>(at, 8) & (((<u64>1) << (keep << 3)) - 1);
  return (head + rotl<u64>(next * K_GRAM, 29)) * K_LETTERS;
}

/** Bit i says that byte i of the 64 at `at` belongs to a word: ASCII letter or digit, or not ASCII. */
export function wordMask(at: usize): u64 {
  if (ASC_FEATURE_SIMD) {
    return (
      <u64>wordBits(v128.load(at)) |
      ((<u64>wordBits(v128.load(at, 16))) << 16) |
      ((<u64>wordBits(v128.load(at, 32))) << 32) |
      ((<u64>wordBits(v128.load(at, 48))) << 48)
    );
  }
  let mask: u64 = 0;
  for (let i: u64 = 0; i < 64; i++) {
    const byte: u32 = load<u8>(at + <usize>i);
    const word = (byte | 32) - 97 < 26 || byte - 48 < 10 || byte >= 0x80;
    mask |= (<u64>word) << i;
  }
  return mask;
}

function wordBits(block: v128): u32 {
  const letter = within(v128.or(block, i8x16.splat(32)), 97, 26);
  const digit = within(block, 48, 10);
  return <u32>i8x16.bitmask(v128.or(v128.or(letter, digit), block));
}
