// The rule engine: one pass of an automaton over normalised text finds the pieces of all rules; a rule whose
// pieces have gaps between them is joined here, from where each piece last ended. So a gap costs one number to
// remember, not a product of automaton states, and time is linear whatever the rules are.
//
//   for (views...) { begin(trust) once; match(main view); match(decoded view) ... }   then read found, score
//
// The pack's layout is in sidecar/pack/rules.ts, the comb's in dfa.ts. `loadRules` checks every offset and index in
// it once, so that matching needs no checks; a pack that does not pass is refused and the old one stays.
//
// Semantics of a gap: the piece before is one of the latest two of its kind that ended; between that end and the end of
// this piece lie at most `words` spaces and `bytes` bytes (each counts this piece too) and no end of a sentence,
// and the pieces do not overlap.
//
// Most text is never read by the automaton: while no piece is in hand and none was found that another could follow,
// rules-seek.ts skips to the next place where a rule may begin.
//
// Bounds: one step per byte and one per rule that uses a reported piece; memory RULES_MAX bits and SLOTS_MAX
// positions.
import { reserve } from "../memory";
import { endOf, NONE, ptrOf, Slice, slice } from "../slice";
import {
  clearSeekSteps,
  INSIDE_BYTES,
  isWordByte,
  PREFIX_BYTES,
  SEEK_AHEAD,
  seek,
  seekSteps,
  setPrefixes,
} from "./rules-seek";

export const RULES_MAX: i32 = 1024;
/** Pieces of rules with gaps. */
export const SLOTS_MAX: i32 = 8192;
/** Trust of a span, and the bit of a rule's flags that says it applies there. */
export const SPAN_TRUSTED: u32 = 2;
export const SPAN_UNTRUSTED: u32 = 4;

const FLAG_BLOCK: u32 = 1;
const MAGIC: u32 = 0x4c555257;
const VERSION: u32 = 2;
const HEADER: u32 = 52;
/** Classes and prefixes. */
const HEAD: u32 = HEADER + 256 + <u32>INSIDE_BYTES + 2 * <u32>PREFIX_BYTES;
/** The tooth of a state that holds the number of its report. */
const REPORT: u32 = 254;
const CAN_SKIP: u32 = 1;
const CAN_SEEK: u32 = 2;
const NO_SLOT: u32 = 0xffff;

const foundBits = reserve(RULES_MAX >> 3);
// Where a piece last ended, and where before that: offset + 1 in the text each, 0 for never.
const ends = reserve(SLOTS_MAX << 3);
let endsUsed: bool = false;

/** Rules found since `begin`. */
export let found: i32 = 0;
/** The first rule found that blocks on its own, or -1. */
export let blocking: i32 = -1;
/** Sum of the scores of the rules found. */
export let score: i32 = 0;
/** The rule found whose score is the highest, the first of several, or -1. */
export let strongest: i32 = -1;
export let strongestScore: i32 = 0;
/** Work since `begin`: bytes or blocks read, and uses of pieces looked at. */
export let steps: i32 = 0;

let pack: usize = 0;
let ruleCount: u32 = 0;
let slotCount: u32 = 0;
let startState: u32 = 0;
let idleState: u32 = 0;
let flags: u32 = 0;
let classes: usize = 0;
let defaults: usize = 0;
let entries: usize = 0;
let reports: usize = 0;
let reportPieces: usize = 0;
let pieces: usize = 0;
let uses: usize = 0;
let rules: usize = 0;
let trust: u32 = SPAN_TRUSTED;
let textStart: usize = 0;
/** Up to here a piece found earlier may be followed by another. */
let watch: usize = 0;

/** Takes the pack at `ptr`, which must stay there. False, and the pack in use stays, if anything in it is off. */
export function loadRules(ptr: usize, len: i32): bool {
  const size = <u32>len;
  if (len < <i32>HEAD + 2048 + 4) return false;
  if (load<u32>(ptr) != MAGIC || load<u32>(ptr, 4) != VERSION || load<u32>(ptr, 8) != size) return false;
  const nRules: u32 = load<u16>(ptr, 28);
  const nPieces: u32 = load<u16>(ptr, 30);
  const nUses: u32 = load<u16>(ptr, 32);
  const nReports: u32 = load<u16>(ptr, 34);
  const nEntries = load<u32>(ptr, 36);
  if (nRules > <u32>RULES_MAX || nEntries > 1 << 18 || nEntries < 256) return false;
  const atEntries = HEAD + 2048;
  const atReports = atEntries + nEntries * 4;
  const atCount = atReports + nReports * 4;
  if (atCount + 4 > size) return false;
  const nReported = load<u32>(ptr + atCount);
  if (nReported > 1 << 20) return false;
  const atPieces = (atCount + 4 + nReported * 2 + 3) & ~3;
  const atUses = atPieces + nPieces * 4;
  const atRules = atUses + nUses * 12;
  if (atRules + nRules * 8 > size) return false;

  const start = load<u32>(ptr, 40);
  const idle = load<u32>(ptr, 44);
  if (!stateFits(start, nEntries) || !stateFits(idle, nEntries)) return false;
  for (let i: u32 = 0; i < 256; i++) if (load<u8>(ptr + HEADER + i) >= REPORT) return false;
  for (let i: u32 = 0; i < 512; i++) {
    if (!stateFits(load<u32>(ptr + HEAD + i * 4), nEntries)) return false;
  }
  for (let i: u32 = 0; i < nEntries; i++) {
    const entry = load<u32>(ptr + atEntries + i * 4);
    if ((entry & 0xff) == REPORT + 1 ? entry >> 8 >= nReports : !stateFits(entry >> 8, nEntries))
      return false;
  }
  for (let i: u32 = 0; i < nReports; i++) {
    const at = ptr + atReports + i * 4;
    if (<u32>load<u16>(at) + <u32>load<u16>(at, 2) > nReported) return false;
  }
  for (let i: u32 = 0; i < nReported; i++)
    if (<u32>load<u16>(ptr + atCount + 4 + i * 2) >= nPieces) return false;
  for (let i: u32 = 0; i < nPieces; i++) {
    const at = ptr + atPieces + i * 4;
    if (<u32>load<u16>(at) + <u32>load<u16>(at, 2) > nUses) return false;
  }
  let slots: u32 = 0;
  for (let i: u32 = 0; i < nUses; i++) {
    const at = ptr + atUses + i * 12;
    const slot: u32 = load<u16>(at, 2);
    if (<u32>load<u16>(at) >= nRules) return false;
    const first = load<u8>(at, 5) == 255;
    if (slot == NO_SLOT ? !first || load<u8>(at, 4) == 0 : slot >= <u32>SLOTS_MAX || (slot == 0 && !first))
      return false;
    if (slot != NO_SLOT) slots = max(slots, slot + 1);
  }
  for (let i: u32 = 0; i < nRules; i++) {
    const at = ptr + atRules + i * 8;
    if (load<u32>(at) > size || load<u32>(at) + <u32>load<u8>(at, 4) > size) return false;
  }

  pack = ptr;
  ruleCount = nRules;
  slotCount = slots;
  startState = start;
  idleState = idle;
  flags = load<u32>(ptr, 48);
  classes = ptr + HEADER;
  setPrefixes(classes + 256 + INSIDE_BYTES, classes + 256);
  defaults = ptr + HEAD;
  entries = ptr + atEntries;
  reports = ptr + atReports;
  reportPieces = ptr + atCount + 4;
  pieces = ptr + atPieces;
  uses = ptr + atUses;
  rules = ptr + atRules;
  endsUsed = true;
  begin(SPAN_TRUSTED);
  return true;
}

/** A state's teeth lie within the comb for any class. */
function stateFits(state: u32, count: u32): bool {
  return (state >> 2) + 256 <= count;
}

export function rulesLoaded(): i32 {
  return <i32>ruleCount;
}

export function ruleId(rule: i32): Slice {
  if (<u32>rule >= ruleCount) return NONE;
  const at = rules + ((<usize>rule) << 3);
  return slice(pack + load<u32>(at), load<u8>(at, 4));
}

/** Index into `categories` of sidecar/pack/rules.ts. */
export function ruleCategory(rule: i32): i32 {
  return <u32>rule < ruleCount ? <i32>load<u8>(rules + ((<usize>rule) << 3), 5) : -1;
}

export function isFound(rule: i32): bool {
  return <u32>rule < ruleCount && (load<u8>(foundBits + (rule >> 3)) & (1 << (rule & 7))) != 0;
}

/** Forgets what was found; `spanTrust` is SPAN_TRUSTED or SPAN_UNTRUSTED. */
export function begin(spanTrust: u32): void {
  memory.fill(foundBits, 0, RULES_MAX >> 3);
  found = 0;
  blocking = -1;
  score = 0;
  strongest = -1;
  strongestScore = 0;
  steps = 0;
  clearSeekSteps();
  trust = spanTrust;
}

/** Finds rules in one normalised text (a view), in addition to those found since `begin`. Returns `found`. */
export function match(text: Slice): i32 {
  if (ruleCount == 0) return 0;
  if (endsUsed) {
    memory.fill(ends, 0, (<usize>slotCount) << 3);
    endsUsed = false;
  }
  let at = ptrOf(text);
  const end = endOf(text);
  textStart = at;
  watch = at;
  const table = entries;
  const rows = defaults;
  const classOf = classes;
  const idle = idleState;
  const fresh = startState;
  const skip = (flags & CAN_SKIP) != 0;
  const last = end - textStart >= SEEK_AHEAD && flags & CAN_SEEK ? end - SEEK_AHEAD : 0;
  let state = fresh;
  let work = -seekSteps;
  while (at < end) {
    if (state == idle || state == fresh) {
      if (at <= last) {
        at = seek(at, end, watch, state == idle);
        state = at > textStart && isWordByte(load<u8>(at - 1)) ? idle : fresh;
      } else if (ASC_FEATURE_SIMD && state == idle && skip) {
        at = wordEnd(at, end);
        if (at == end) break;
      }
    }
    work++;
    const c = <usize>load<u8>(classOf + load<u8>(at));
    const entry = load<u32>(table + ((<usize>(state >> 2) + c) << 2));
    state =
      (entry & 0xff) == <u32>c + 1 ? entry >> 8 : load<u32>(rows + (((<usize>(state & 1)) << 10) | (c << 2)));
    at++;
    if (state & 2) report(state, at, end);
  }
  steps += work + seekSteps;
  return found;
}

/** The first byte from `at` on that is no lower-case letter or digit, or where fewer than 16 are left. */
function wordEnd(at: usize, end: usize): usize {
  while (at + 16 <= end) {
    const block = v128.load(at);
    const inner = v128.or(
      i8x16.lt_u(i8x16.sub(block, i8x16.splat(97)), i8x16.splat(26)),
      i8x16.lt_u(i8x16.sub(block, i8x16.splat(48)), i8x16.splat(10)),
    );
    const outer: u32 = ~i8x16.bitmask(inner) & 0xffff;
    if (outer) return at + ctz(outer);
    at += 16;
  }
  return at;
}

/** Takes note of the pieces that end at `at`. */
function report(state: u32, at: usize, end: usize): void {
  const tooth = load<u32>(entries + ((<usize>(state >> 2) + REPORT) << 2));
  if ((tooth & 0xff) != REPORT + 1) return;
  const place = reports + ((<usize>(tooth >> 8)) << 2);
  const first: u32 = load<u16>(place);
  const count: u32 = load<u16>(place, 2);
  const now = <u32>(at - textStart) + 1;
  const edge = at >= end || !isWordByte(load<u8>(at));
  // Later pieces first: one that ends here must not take a first piece that ends here too for its own.
  for (let i = count; i > 0; i--) {
    const piece = pieces + ((<usize>load<u16>(reportPieces + ((<usize>(first + i - 1)) << 1))) << 2);
    let use = uses + <usize>load<u16>(piece) * 12;
    for (let n: u32 = load<u16>(piece, 2); n > 0; n--) {
      steps++;
      if (edge || (load<u16>(use, 10) & 1) == 0) take(use, now, at);
      use += 12;
    }
  }
}

function take(use: usize, now: u32, at: usize): void {
  const slot = <usize>load<u16>(use, 2);
  const words: u32 = load<u8>(use, 5);
  if (words != 255) {
    const before = ends + ((slot - 1) << 3);
    // The latest end may lie within this piece (`del` in `prompt del sistema`); then the one before it counts.
    if (!follows(use, load<u32>(before), now, words) && !follows(use, load<u32>(before, 4), now, words))
      return;
  }
  if (load<u8>(use, 4)) return hit(load<u16>(use));
  const own = ends + (slot << 3);
  const latest = load<u32>(own);
  if (latest == now) return;
  store<u32>(own, latest, 4);
  store<u32>(own, now);
  endsUsed = true;
  watch = max(watch, at + (load<u16>(use, 10) >> 1));
}

/** Whether the piece that ends at `now` stands in reach of an end before it. */
function follows(use: usize, before: u32, now: u32, words: u32): bool {
  if (before == 0 || now - before > <u32>load<u16>(use, 6) + 1) return false;
  if (now - before + 1 < <u32>load<u16>(use, 8)) return false;
  return spaces(before, now, words) <= words;
}

/**
 * Spaces between two ends (as kept: offset + 1), counted up to `most` + 1 and never outside the text; more than
 * `most` if a sentence ends there (`.`, `!` or `?` and a space), since a rule speaks of one sentence.
 */
function spaces(before: u32, now: u32, most: u32): u32 {
  let count: u32 = 0;
  const stop = textStart + now - 2;
  let last: u32 = load<u8>(textStart + before - 2);
  for (let at = textStart + before - 1; at < stop && count <= most; at++) {
    const byte: u32 = load<u8>(at);
    if (byte == 32) {
      if (last == 0x2e || last == 0x21 || last == 0x3f) return most + 1;
      count++;
    }
    last = byte;
  }
  return count;
}

function hit(rule: u32): void {
  const at = rules + ((<usize>rule) << 3);
  const flags: u32 = load<u8>(at, 7);
  if ((flags & trust) == 0) return;
  const byte = foundBits + (rule >> 3);
  const bit = <u8>((<u32>1) << (rule & 7));
  if (load<u8>(byte) & bit) return;
  store<u8>(byte, load<u8>(byte) | bit);
  found++;
  const own = <i32>load<u8>(at, 6);
  score += own;
  if (own > strongestScore) {
    strongestScore = own;
    strongest = <i32>rule;
  }
  if (flags & FLAG_BLOCK && blocking < 0) blocking = <i32>rule;
}
