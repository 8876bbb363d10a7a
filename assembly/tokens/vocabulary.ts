// The vocabulary in use: a view of one pack that scripts/build-vocabulary.ts made (its header comment draws the
// layout). A token is its rank. Questions that it answers: is this run of bytes a token, which is the longest
// token here, and how was a token merged.
//
// Bounds: a walk takes one step for each byte and at most the longest token's length (128); it reads text below
// `to` and units of the trie only. The pack comes with the module, so its contents are trusted.
import { CL100K_VOCABULARY, O200K_VOCABULARY, packAt } from "../packs";
import { same } from "../same";
import { useClasses } from "./classes";

export const O200K: i32 = 0;
export const CL100K: i32 = 1;
/** No exact vocabulary: only an estimate can be had. */
export const ESTIMATE: i32 = 2;

const MAGIC: u32 = 0x434f5657;
const VERSION: u32 = 1;
const NO_EDGE: u32 = 0x80000000;
const LEAF: u32 = 0x40000000;
const HAS_VALUE: u32 = 0x20000000;
const BASE: u32 = 0x1fffff;
const RANK: u32 = 0x3ffff;

let inUse: i32 = O200K;
let trie: usize = 0;
let root: u32 = 0;
let records: usize = 0;
let stems: usize = 0;

/** Whether exact counts of `encoding` can be had in this build. */
export function hasVocabulary(encoding: i32): bool {
  const pack = packOf(encoding);
  return pack != 0 && load<u32>(pack) == MAGIC && load<u32>(pack, 4) == VERSION;
}

/** Makes `encoding` the vocabulary in use; false when its pack is not attached. */
export function useVocabulary(encoding: i32): bool {
  if (!hasVocabulary(encoding)) return false;
  inUse = encoding;
  const pack = packOf(encoding);
  trie = pack + load<u32>(pack, 16);
  root = (load<u32>(trie) >> 8) & BASE;
  records = pack + load<u32>(pack, 20);
  stems = pack + load<u32>(pack, 24);
  useClasses(pack + load<u32>(pack, 28), pack + load<u32>(pack, 32));
  return true;
}

/** Which encoding's vocabulary is in use. */
export function vocabularyInUse(): i32 {
  return inUse;
}

function packOf(encoding: i32): usize {
  if (encoding == O200K) return packAt(O200K_VOCABULARY);
  return encoding == CL100K ? packAt(CL100K_VOCABULARY) : 0;
}

/** Whether the bytes from `from` to `to` (at least one) are a token. */
export function isToken(from: usize, to: usize): bool {
  return tokenOf(from, to) >= 0;
}

/** The token that is exactly the bytes from `from` to `to` (at least one), or -1. */
export function tokenOf(from: usize, to: usize): i32 {
  return walk(root, from, to);
}

/** The token that is `token` and the bytes from `from` to `to` (at least one) behind it, or -1. */
export function extend(token: i32, from: usize, to: usize): i32 {
  const base = load<u32>(stems + ((<usize>token) << 2));
  return base ? walk(base, from, to) : -1;
}

function walk(base: u32, from: usize, to: usize): i32 {
  const units = trie;
  let unit: u32 = 0;
  let p = from;
  do {
    const byte = <u32>load<u8>(p);
    unit = load<u32>(units + ((base ^ byte) << 2));
    if ((unit & (NO_EDGE | 0xff)) != byte) return -1;
    base = (unit >> 8) & BASE;
    p++;
  } while (p < to && !(unit & LEAF));
  if (p < to) return -1;
  if (unit & LEAF) return <i32>base;
  if (unit & HAS_VALUE) return <i32>(load<u32>(units + ((base ^ 256) << 2)) & BASE);
  return -1;
}

/** Where `longestToken` walked last, how many bytes it read (0: nothing is kept), and what it found. */
let walkedAt: usize = 0;
let walkedBytes: i32 = 0;
let walkedTo: i32 = 0;

/** To be called when the text behind the last walk may have changed. */
export function forgetWalk(): void {
  walkedBytes = 0;
}

/**
 * The longest token at `from` < `to` that ends by `to` and that merging can make. Where the bytes are those of the last walk,
 * as in a long run of one character, they are compared and not walked again: a twentieth of the work.
 */
export function longestToken(from: usize, to: usize): i32 {
  if (walkedBytes && from + walkedBytes <= to && same(from, walkedAt, walkedBytes)) return walkedTo;
  const units = trie;
  let base = root;
  let token: i32 = 0;
  let p = from;
  let ended = false;
  while (p < to && !ended) {
    const byte = <u32>load<u8>(p++);
    const unit = load<u32>(units + ((base ^ byte) << 2));
    ended = (unit & (NO_EDGE | 0xff)) != byte;
    if (ended) break;
    base = (unit >> 8) & BASE;
    ended = (unit & LEAF) != 0;
    if (ended) token = <i32>base;
    else if (unit & HAS_VALUE) token = <i32>(load<u32>(units + ((base ^ 256) << 2)) & BASE);
  }
  while (isWholeOnly(token)) token = prefixOf(token);
  walkedAt = from;
  // A walk that the end of the text stopped might go on where more follows.
  walkedBytes = ended ? <i32>(p - from) : 0;
  walkedTo = token;
  return token;
}

function recordOf(token: i32): u64 {
  return load<u64>(records + ((<usize>token) << 3));
}

export function isWholeOnly(token: i32): bool {
  return <i64>recordOf(token) < 0;
}

/** Bytes of `token`. */
export function tokenLength(token: i32): i32 {
  return <i32>((recordOf(token) >> 54) & 0xff);
}

/** The longest shorter token that `token` starts with and that merging can make; itself when there is none. */
export function prefixOf(token: i32): i32 {
  return <i32>(<u32>(recordOf(token) >> 36) & RANK);
}

/** The left one of the two tokens that were merged to `token`; itself for a single byte. */
export function leftOf(token: i32): i32 {
  return <i32>(<u32>recordOf(token) & RANK);
}

export function rightOf(token: i32): i32 {
  return <i32>(<u32>(recordOf(token) >> 18) & RANK);
}
