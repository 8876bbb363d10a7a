// What this worker knows of texts it has seen before. A chat resends its whole history with every turn; a text that
// was inspected and counted once is known again by its hash, so a turn costs what is new in it.
//
//   table: 2,048 sets, chosen by the hash, of 4 entries of 32 bytes = 256 KiB
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
// The hashes of the spans of the body in hand are kept, so that judging and counting hash only once.
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

/** In an entry's `rule`: it only reports. */
const REPORTS: u16 = 0x8000;
/** The logit of an entry that was counted but not judged. */
const UNJUDGED: i32 = -32768;

/** Look-ups for judging that found the text, that did not, and texts given up for others, since the start. */
export let memoHits: u64 = 0;
export let memoMisses: u64 = 0;
export let memoEvictions: u64 = 0;

/** What is known of one text. All zero: a free entry. */
@unmanaged
export class MemoEntry {
  /** The text's hash. */
  low: u64;
  high: u64;
  private logitKept: i16;
  /** 1 and the number of a rule, or 0. */
  private rule: u16;
  /** The body in which it was met last, by `clock`. */
  met: u32;
  /** 1 and the text's tokens by o200k_base, and by cl100k_base; 0: not counted. */
  private o200k: u32;
  private cl100k: u32;

  get isFree(): bool {
    return (this.low | this.high) == 0;
  }

  /** The entry becomes that of a new text. */
  clear(low: u64, high: u64): void {
    this.low = low;
    this.high = high;
    this.logitKept = <i16>UNJUDGED;
    this.rule = 0;
    this.met = clock;
    this.o200k = 0;
    this.cl100k = 0;
  }

  /** Whether the text was judged before; counts a hit or a miss. */
  isJudged(): bool {
    const judged = this.logitKept != <i16>UNJUDGED;
    if (judged) memoHits++;
    else memoMisses++;
    return judged;
  }

  get logit(): i32 {
    return this.logitKept;
  }

  /** The rule that blocks the text, or -1. */
  get blocking(): i32 {
    return this.rule & REPORTS ? -1 : <i32>this.rule - 1;
  }

  /** The policy's own rule that only reports and was found in a text that no rule blocks, or -1. */
  get reporting(): i32 {
    return this.rule & REPORTS ? <i32>(this.rule & ~REPORTS) - 1 : -1;
  }

  /** Keeps what the text was found to be: a logit of ±LOGIT_MAX, and rules below 2^15 - 1 or -1. */
  judge(logit: i32, blocking: i32, reporting: i32): void {
    this.logitKept = <i16>logit;
    this.rule = blocking < 0 && reporting >= 0 ? <u16>(reporting + 1) | REPORTS : <u16>(blocking + 1);
  }

  /** The text's tokens in `encoding` (0: o200k_base, 1: cl100k_base), or -1 when they were not counted. */
  tokens(encoding: i32): i32 {
    return <i32>((encoding ? this.cl100k : this.o200k) - 1);
  }

  count(encoding: i32, tokens: i32): void {
    if (encoding) this.cl100k = <u32>tokens + 1;
    else this.o200k = <u32>tokens + 1;
  }
}

/** The hash of a span of the body in hand. */
@unmanaged
class Hash {
  low: u64;
  high: u64;
}

let table: usize = 0;
let hashes: usize = 0;
/** One byte for each span: whether its hash is known. */
let known: usize = 0;
let version: u64 = 0;
let clock: u32 = 0;

/** Reserves the table. `low` and `high` are random bits that leave this process never; later keys are ignored. */
export function configureMemo(low: u64, high: u64): void {
  if (table) return;
  keyHash(low, high);
  table = reserve(<usize>MEMO_ENTRIES * offsetof<MemoEntry>());
  hashes = reserve(<usize>SPANS_MAX * offsetof<Hash>());
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
 * The entry of the text that is span `span` of the body in hand, perhaps new and empty; null without a
 * memo. Valid until the next call.
 */
export function memoOf(span: i32, raw: Slice, escaped: bool, trust: i32): MemoEntry | null {
  if (!table) return null;
  const hash = changetype<Hash>(hashes + <usize>span * offsetof<Hash>());
  if (!load<u8>(known + <usize>span)) {
    hashText(raw, <u32>trust | ((<u32>escaped) << 2), version);
    hash.low = hashLow;
    hash.high = hashHigh;
    store<u8>(known + <usize>span, 1);
  }
  return find(hash.low, hash.high);
}

/** The entry of a text of the body in hand that is none of its spans, as `memoOf`. */
export function memoOfOther(raw: Slice, escaped: bool, trust: i32): MemoEntry | null {
  if (!table) return null;
  hashText(raw, <u32>trust | ((<u32>escaped) << 2), version);
  return find(hashLow, hashHigh);
}

/** The entry of a hash; the oldest of its set is given up for a new one. */
function find(low: u64, high: u64): MemoEntry {
  const first = <i32>(low & (SETS - 1)) * WAYS;
  let oldest = entryAt(first);
  let age: u32 = 0;
  for (let i = first; i < first + WAYS; i++) {
    const entry = entryAt(i);
    if (entry.low == low && entry.high == high) {
      entry.met = clock;
      return entry;
    }
    // A free entry is older than any other.
    const idle = entry.isFree ? u32.MAX_VALUE : min(clock - entry.met, u32.MAX_VALUE - 1);
    if (idle >= age) {
      oldest = entry;
      age = idle;
    }
  }
  if (!oldest.isFree) memoEvictions++;
  oldest.clear(low, high);
  return oldest;
}

function entryAt(i: i32): MemoEntry {
  return changetype<MemoEntry>(table + <usize>i * offsetof<MemoEntry>());
}
