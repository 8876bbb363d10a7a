// A keyed 128-bit hash of a text, fast enough to ask about the whole of a conversation on every turn: NH compresses
// each KiB to 32 bytes, and SipHash-2-4-128 makes the hash of what is left.
//
//   text   │ 1024 │ 1024 │ … │ rest, padded with zeros to 32 │          at most 64 bytes: as they are
//              ▼      ▼                ▼
//            NH 32  NH 32    …       NH 32
//              └──────┴──── words ─────┴──▶  SipHash-2-4-128( tag │ length │ words )
//
// Why it is safe against someone who chooses the texts, knows this file, and not the key:
//  - NH is RFC 4418's (UMAC) with 32-bit words, four passes and the key shifted by 16 bytes for each. Two different
//    blocks of one length have the same NH with probability 2^-128 over the key, proved and without any assumption
//    (Black et al., "UMAC", CRYPTO 1999, theorems 1 and 2). Adiantum trusts the same construction with disks.
//  - Length and tag are words of their own, so texts of different lengths or tags are different SipHash messages;
//    equal hashes are then a collision of SipHash, a PRF, whose 128-bit output makes that 2^-128 a pair too.
//  - Nobody sees a hash. What can be seen is at most whether two were equal, by the time that a request takes.
//    So q tries against n remembered texts succeed with probability q·n·2^-128, plus the chance to tell SipHash
//    under an unknown key from chance.
// The NH key is SipHash's output in counter mode under the same 128-bit secret, with messages of one word, which
// no hash ever is. A plain SipHash-2-4 of everything ran at 1.1 GB/s where this runs at several.
//
// Bounds: one pass; reads nothing outside the text (its last part is copied to a padded buffer); 1.1 KiB of key.
import { reserve } from "../memory";
import { lenOf, ptrOf, Slice } from "../slice";

/** Bytes of text that one NH compresses. */
export const NH_BLOCK: i32 = 1024;
const PASSES: i32 = 4;
const GROUP: i32 = 32;
/** Up to this length NH would not make a text shorter. */
const SHORT: i32 = 64;
const KEY_BYTES: i32 = NH_BLOCK + (PASSES - 1) * 16;

const nhKey = reserve(KEY_BYTES);
const padded = reserve(GROUP);

let k0: u64 = 0;
let k1: u64 = 0;
let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;
let words: u64 = 0;

/** The hash made last. */
export let hashLow: u64 = 0;
export let hashHigh: u64 = 0;

/** Takes the secret: 128 random bits that only this process knows. */
export function keyHash(low: u64, high: u64): void {
  k0 = low;
  k1 = high;
  for (let i = 0; i < KEY_BYTES; i += 16) {
    begin();
    absorb(<u64>i);
    finish();
    store<u64>(nhKey + <usize>i, hashLow);
    store<u64>(nhKey + <usize>i, hashHigh, 8);
  }
}

/** Hashes `text` under `tag` (two words that say what else must be equal) into `hashLow` and `hashHigh`. */
export function hashText(text: Slice, tag: u32, tag2: u64): void {
  const len = lenOf(text);
  let at = ptrOf(text);
  const end = at + <usize>len;
  begin();
  absorb(((<u64>tag) << 32) | <u64>(<u32>len));
  absorb(tag2);
  if (len <= SHORT) {
    for (; at + 8 <= end; at += 8) absorb(load<u64>(at));
    if (at < end) absorb(lastWord(ptrOf(text), end, <u64>(end - at)));
    finish();
    return;
  }
  for (; at + NH_BLOCK <= end; at += NH_BLOCK) {
    nhStart();
    nh(at, nhKey, NH_BLOCK);
    nhEnd();
  }
  if (at < end) {
    nhStart();
    const rest = <i32>(end - at);
    const whole = rest & ~(GROUP - 1);
    nh(at, nhKey, whole);
    if (whole < rest) {
      pad(at + <usize>whole, end);
      nh(padded, nhKey + <usize>whole, GROUP);
    }
    nhEnd();
  }
  finish();
}

/** The last `count` (1 … 7) bytes of the text from `start` to `end`, and zeros behind them. */
function lastWord(start: usize, end: usize, count: u64): u64 {
  if (end - start >= 8) return load<u64>(end - 8) >> (64 - (count << 3));
  let word: u64 = 0;
  for (let at = end; at > end - <usize>count; ) word = (word << 8) | <u64>load<u8>(--at);
  return word;
}

/** Copies the less than GROUP bytes to the end of a text of more than 8, with zeros behind them. Bulk copies cost more. */
function pad(from: usize, end: usize): void {
  let to = padded;
  for (; from + 8 <= end; from += 8, to += 8) store<u64>(to, load<u64>(from));
  store<u64>(to, from < end ? lastWord(end - 8, end, <u64>(end - from)) : 0);
  for (to += 8; to < padded + GROUP; to += 8) store<u64>(to, 0);
}

// --------------------------------------------------------------------------------------------------------- NH

let sum0: u64 = 0;
let sum1: u64 = 0;
let sum2: u64 = 0;
let sum3: u64 = 0;

function nhStart(): void {
  sum0 = sum1 = sum2 = sum3 = 0;
}

function nhEnd(): void {
  absorb(sum0);
  absorb(sum1);
  absorb(sum2);
  absorb(sum3);
}

/** Adds `len` bytes (a multiple of GROUP) to the sums; `key` is where the key for the first of them stands. */
function nh(at: usize, key: usize, len: i32): void {
  const end = at + <usize>len;
  if (ASC_FEATURE_SIMD) {
    let a: v128 = i64x2.splat(0);
    let b: v128 = i64x2.splat(0);
    let c: v128 = i64x2.splat(0);
    let d: v128 = i64x2.splat(0);
    for (; at < end; at += GROUP, key += GROUP) {
      const m = v128.load(at);
      const n = v128.load(at, 16);
      const key1 = v128.load(key, 16);
      const key2 = v128.load(key, 32);
      const key3 = v128.load(key, 48);
      a = i64x2.add(a, products(i32x4.add(m, v128.load(key)), i32x4.add(n, key1)));
      b = i64x2.add(b, products(i32x4.add(m, key1), i32x4.add(n, key2)));
      c = i64x2.add(c, products(i32x4.add(m, key2), i32x4.add(n, key3)));
      d = i64x2.add(d, products(i32x4.add(m, key3), i32x4.add(n, v128.load(key, 64))));
    }
    sum0 += halves(a);
    sum1 += halves(b);
    sum2 += halves(c);
    sum3 += halves(d);
  } else {
    for (; at < end; at += GROUP, key += GROUP) {
      sum0 += group(at, key);
      sum1 += group(at, key + 16);
      sum2 += group(at, key + 32);
      sum3 += group(at, key + 48);
    }
  }
}

/** The sums of the products of the 32-bit lanes, two and two. */
function products(a: v128, b: v128): v128 {
  return i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(a, b));
}

function halves(v: v128): u64 {
  return <u64>i64x2.extract_lane(v, 0) + <u64>i64x2.extract_lane(v, 1);
}

/** Scalar twin of one group and pass: Σ (mᵢ + kᵢ)·(mᵢ₊₄ + kᵢ₊₄), sums mod 2^32, products mod 2^64. */
function group(at: usize, key: usize): u64 {
  let sum: u64 = 0;
  for (let i: usize = 0; i < 16; i += 4) {
    const left = load<u32>(at + i) + load<u32>(key + i);
    const right = load<u32>(at + i, 16) + load<u32>(key + i, 16);
    sum += <u64>left * <u64>right;
  }
  return sum;
}

// ---------------------------------------------------------------------- SipHash-2-4-128 (Aumasson and Bernstein)

/** A new message, of whole 64-bit words. */
export function begin(): void {
  v0 = k0 ^ 0x736f6d6570736575;
  v1 = k1 ^ 0x646f72616e646f6d ^ 0xee;
  v2 = k0 ^ 0x6c7967656e657261;
  v3 = k1 ^ 0x7465646279746573;
  words = 0;
}

export function absorb(word: u64): void {
  v3 ^= word;
  rounds(2);
  v0 ^= word;
  words++;
}

/** Leaves the hash of the message in `hashLow` and `hashHigh`. */
export function finish(): void {
  absorb(words << 59);
  v2 ^= 0xee;
  rounds(4);
  hashLow = v0 ^ v1 ^ v2 ^ v3;
  v1 ^= 0xdd;
  rounds(4);
  hashHigh = v0 ^ v1 ^ v2 ^ v3;
}

function rounds(count: i32): void {
  let a = v0;
  let b = v1;
  let c = v2;
  let d = v3;
  for (let i = 0; i < count; i++) {
    a += b;
    c += d;
    b = rotl<u64>(b, 13) ^ a;
    d = rotl<u64>(d, 16) ^ c;
    a = rotl<u64>(a, 32) + d;
    c += b;
    d = rotl<u64>(d, 21) ^ a;
    b = rotl<u64>(b, 17) ^ c;
    c = rotl<u64>(c, 32);
  }
  v0 = a;
  v1 = b;
  v2 = c;
  v3 = d;
}
