// What this worker knows of texts it has seen before. A chat resends its whole history with every turn; a text that
// was inspected and counted once is known again by its hash, so a turn costs what is new in it.
//
//   entry (32 bytes), set = 4 entries, table = 2,048 sets = 256 KiB
//
//    0              8              16         18       20      24          28         32
//   ┌──────────────┬──────────────┬──────────┬────────┬───────┬───────────┬──────────┐
//   │ hash, low    │ hash, high   │ logit    │ rule   │ age   │ o200k     │ cl100k   │
//   │ u64: its low │ u64          │ i16      │ u16    │ u32   │ u32       │ u32      │
//   │ bits: set    │              │          │ + 1    │       │ tokens +1 │ tokens +1│   rule: bit 15 says
//   │              │              │          │        │       │           │          │   that it only reports
//   └──────────────┴──────────────┴──────────┴────────┴───────┴───────────┴──────────┘
//
// The hash (memo-hash.ts) is keyed with a secret of the process and covers the raw bytes, whether they are escaped,
// the trust class and the version of the packs: a new pack or another speaker is another text, and what was
// remembered under the old pack is never asked for again and ages away. Verdicts are not kept, but what they
// are made of: policies differ in their thresholds. Blocked texts are remembered like any other.
//
// A set that is full gives up the entry that was used longest ago. One body can push out at most as many entries as it
// has spans; then the next turn is inspected anew, no more. A hit tells only that this worker has met the text, to
// who can time microseconds.
//
//   spans of the body in hand, 16 bytes each: the hash, so that judging and counting hash only once
//
// Bounds: ENTRIES × 32 B + SPANS_MAX × 17 B, reserved by `configureMemo`; a look-up reads one set.
import { reserve } from "../memory";
import { Slice } from "../slice";
import { hashHigh, hashLow, hashText, keyHash } from "./memo-hash";
import { SPANS_MAX } from "./prompt";

/** Texts remembered by one worker. */
export const MEMO_ENTRIES: i32 = 8192;
const WAYS: i32 = 4;
const SETS: i32 = MEMO_ENTRIES / WAYS;
const ENTRY: usize = 32;

/** In an entry's rule: it only reports. */
const REPORTS: u16 = 0x8000;
/** The logit of an entry that was counted but not judged. */
const UNJUDGED: i32 = -32768;

/** Look-ups for judging that found the text, that did not, and texts given up for others, since the start. */
export let memoHits: u64 = 0;
export let memoMisses: u64 = 0;
export let memoEvictions: u64 = 0;

let table: usize = 0;
let spans: usize = 0;
/** One byte for each span: whether its hash is known. */
let known: usize = 0;
let version: u64 = 0;
let clock: u32 = 0;

/** Reserves the table. `low` and `high` are random bits that leave this process never; later keys are ignored. */
export function configureMemo(low: u64, high: u64): void {
  if (table) return;
  keyHash(low, high);
  table = reserve(<usize>MEMO_ENTRIES * ENTRY);
  spans = reserve((<usize>SPANS_MAX) << 4);
  known = reserve(<usize>SPANS_MAX);
}

/** Says which packs judge from now on: any number that is another for other packs. */
export function setMemoVersion(packs: u64): void {
  version = packs;
}

/** A new body of `count` spans is in hand: what was said about spans by number was about another. */
export function beginMemo(count: i32): void {
  if (!table) return;
  clock++;
  memory.fill(known, 0, count);
}

/**
 * The entry of the text that is span `span` of the body in hand, perhaps new and empty; 0 without a
 * memo. Valid until the next call.
 */
export function memoOf(span: i32, raw: Slice, escaped: bool, trust: i32): usize {
  if (!table) return 0;
  const at = spans + ((<usize>span) << 4);
  if (!load<u8>(known + <usize>span)) {
    hashText(raw, <u32>trust | ((<u32>escaped) << 2), version);
    store<u64>(at, hashLow);
    store<u64>(at, hashHigh, 8);
    store<u8>(known + <usize>span, 1);
  }
  return find(load<u64>(at), load<u64>(at, 8));
}

/** The entry of a text of the body in hand that is none of its spans, as `memoOf`. */
export function memoOfOther(raw: Slice, escaped: bool, trust: i32): usize {
  if (!table) return 0;
  hashText(raw, <u32>trust | ((<u32>escaped) << 2), version);
  return find(hashLow, hashHigh);
}

/** The entry of a hash; the oldest of its set is given up for a new one. */
function find(low: u64, high: u64): usize {
  const set = table + <usize>(low & (SETS - 1)) * (ENTRY * WAYS);
  let oldest = set;
  let age: u32 = 0;
  for (let i = 0; i < WAYS; i++) {
    const entry = set + <usize>i * ENTRY;
    if (load<u64>(entry) == low && load<u64>(entry, 8) == high) {
      store<u32>(entry, clock, 20);
      return entry;
    }
    // A free entry is older than any other.
    const idle = isFree(entry) ? u32.MAX_VALUE : min(clock - load<u32>(entry, 20), u32.MAX_VALUE - 1);
    if (idle >= age) {
      oldest = entry;
      age = idle;
    }
  }
  if (!isFree(oldest)) memoEvictions++;
  store<u64>(oldest, low);
  store<u64>(oldest, high, 8);
  store<i16>(oldest, <i16>UNJUDGED, 16);
  store<u16>(oldest, 0, 18);
  store<u32>(oldest, clock, 20);
  store<u64>(oldest, 0, 24);
  return oldest;
}

function isFree(entry: usize): bool {
  return (load<u64>(entry) | load<u64>(entry, 8)) == 0;
}

/** Whether the text was judged before; counts a hit or a miss. */
export function memoJudged(entry: usize): bool {
  const judged = load<i16>(entry, 16) != <i16>UNJUDGED;
  if (judged) memoHits++;
  else memoMisses++;
  return judged;
}

export function memoLogit(entry: usize): i32 {
  return load<i16>(entry, 16);
}

/** The rule that blocks the text, or -1. */
export function memoRule(entry: usize): i32 {
  const rule = load<u16>(entry, 18);
  return rule & REPORTS ? -1 : <i32>rule - 1;
}

/** The policy's own rule that only reports and was found in a text that no rule blocks, or -1. */
export function memoReport(entry: usize): i32 {
  const rule = load<u16>(entry, 18);
  return rule & REPORTS ? <i32>(rule & ~REPORTS) - 1 : -1;
}

/** Keeps what the text was found to be: a logit of ±LOGIT_MAX, and rules below 2^15 - 1 or -1. */
export function rememberJudgement(entry: usize, logit: i32, rule: i32, reports: i32): void {
  store<i16>(entry, <i16>logit, 16);
  store<u16>(entry, rule < 0 && reports >= 0 ? <u16>(reports + 1) | REPORTS : <u16>(rule + 1), 18);
}

/** The text's tokens in `encoding` (0: o200k_base, 1: cl100k_base), or -1 when they were not counted. */
export function memoTokens(entry: usize, encoding: i32): i32 {
  return <i32>(load<u32>(entry + ((<usize>encoding) << 2), 24) - 1);
}

export function rememberTokens(entry: usize, encoding: i32, tokens: i32): void {
  store<u32>(entry + ((<usize>encoding) << 2), <u32>tokens + 1, 24);
}
