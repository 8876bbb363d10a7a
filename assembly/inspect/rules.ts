// The rule engine: one pass of an automaton over normalised text finds the pieces of all rules; a rule whose
// pieces have gaps between them is joined here, from where each piece last ended. So a gap costs one number to
// remember, not a product of automaton states, and time is linear whatever the rules are.
//
//   for (views...) { begin(trust) once; match(main view); match(decoded view) ... }   then read found, score
//
// The pack's layout is in sidecar/pack/rules.ts, the comb's in dfa.ts. `checkRules` checks every offset and index in
// it once, so that matching needs no checks; a pack that does not pass is refused and the old one stays.
//
// Two packs read each text: the curated one, and the own rules of the policy in hand, if it has any (`setOwnRules`). What
// matching needs of a pack is kept beside it (RuleTable) and taken into this module's variables when it is its turn.
// Rules of the second pack have the numbers from OWN_RULES on.
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
  ROWS_BYTES,
  SEEK_AHEAD,
  seek,
  seekSteps,
  setPrefixes,
  writeRows,
} from "./rules-seek";
import { within } from "../vectors";

export const RULES_MAX: i32 = 1024;
/** The number of the first of the policy's own rules. */
export const OWN_RULES: i32 = RULES_MAX;
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

/** What matching needs of a pack that was checked. */
@unmanaged
class RuleTable {
  pack: usize;
  /** The number of its first rule. */
  base: u32;
  ruleCount: u32;
  slotCount: u32;
  startState: u32;
  idleState: u32;
  flags: u32;
  atEntries: u32;
  atReports: u32;
  atReportPieces: u32;
  atPieces: u32;
  atUses: u32;
  atRules: u32;
  // followed by ROWS_BYTES of rules-seek.ts
  get rows(): usize {
    return changetype<usize>(this) + offsetof<RuleTable>();
  }
}

/** Bytes of a RuleTable, a multiple of 16. */
export const RULE_TABLE_BYTES: usize = (offsetof<RuleTable>() + <usize>ROWS_BYTES + 15) & ~15;

const FOUND_BYTES: usize = (2 * RULES_MAX) >> 3;
const foundBits = reserve(FOUND_BYTES);
const curated = reserve(RULE_TABLE_BYTES);
let own: usize = 0;
// Where a piece last ended, and where before that: offset + 1 in the text each, 0 for never.
const ends = reserve(SLOTS_MAX << 3);
let endsUsed: bool = false;

/** Rules found since `begin`. */
export let found: i32 = 0;
/** The first rule found that blocks on its own, or -1. */
export let blocking: i32 = -1;
/** The first of the policy's own rules found that only reports, or -1. */
export let reporting: i32 = -1;
/** Sum of the scores of the rules found. */
export let score: i32 = 0;
/** Work since `begin`: bytes or blocks read, and uses of pieces looked at. */
export let steps: i32 = 0;

let base: u32 = 0;
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

/** Takes the curated pack at `ptr`, which must stay there. False, and the pack in use stays, if anything in it is off. */
export function loadRules(ptr: usize, len: i32): bool {
  if (!checkRules(ptr, len, curated, 0)) return false;
  use(curated);
  endsUsed = true;
  begin(SPAN_TRUSTED);
  return true;
}

/** From here on texts are also read by the pack whose table is at `table` (see `checkRules`); 0: by none. */
export function setOwnRules(table: usize): void {
  own = table;
}

/**
 * Checks the pack at `ptr`, which must stay there, and writes what matching needs of it to `table` (RULE_TABLE_BYTES);
 * false, with nothing written, if anything in it is off. `first` is the number of its first rule: 0 or OWN_RULES.
 */
export function checkRules(ptr: usize, len: i32, table: usize, first: i32): bool {
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

  const out = changetype<RuleTable>(table);
  out.pack = ptr;
  out.base = <u32>first;
  out.ruleCount = nRules;
  out.slotCount = slots;
  out.startState = start;
  out.idleState = idle;
  out.flags = load<u32>(ptr, 48);
  out.atEntries = atEntries;
  out.atReports = atReports;
  out.atReportPieces = atCount + 4;
  out.atPieces = atPieces;
  out.atUses = atUses;
  out.atRules = atRules;
  writeRows(ptr + HEADER + 256, out.rows);
  return true;
}

/** It is this table's turn. */
function use(table: usize): void {
  // Ends belong to the pack that was in use.
  if (endsUsed) memory.fill(ends, 0, (<usize>slotCount) << 3);
  endsUsed = false;
  const from = changetype<RuleTable>(table);
  const pack = from.pack;
  base = from.base;
  ruleCount = from.ruleCount;
  slotCount = from.slotCount;
  startState = from.startState;
  idleState = from.idleState;
  flags = from.flags;
  classes = pack + HEADER;
  setPrefixes(classes + 256 + INSIDE_BYTES, classes + 256, from.rows);
  defaults = pack + HEAD;
  entries = pack + from.atEntries;
  reports = pack + from.atReports;
  reportPieces = pack + from.atReportPieces;
  pieces = pack + from.atPieces;
  uses = pack + from.atUses;
  rules = pack + from.atRules;
}

/** A state's teeth lie within the comb for any class. */
function stateFits(state: u32, count: u32): bool {
  return (state >> 2) + 256 <= count;
}

/** Rules of the curated pack. */
export function rulesLoaded(): i32 {
  return changetype<RuleTable>(curated).ruleCount;
}

/** Where the rule stands in its pack; 0 when there is no such rule. */
function entryOf(rule: i32): usize {
  const table = changetype<RuleTable>(rule >= OWN_RULES ? own : curated);
  if (rule < 0 || changetype<usize>(table) == 0 || <u32>rule - table.base >= table.ruleCount) return 0;
  return table.pack + table.atRules + ((<usize>rule - <usize>table.base) << 3);
}

export function ruleId(rule: i32): Slice {
  const at = entryOf(rule);
  if (!at) return NONE;
  const pack = changetype<RuleTable>(rule >= OWN_RULES ? own : curated).pack;
  return slice(pack + load<u32>(at), load<u8>(at, 4));
}

/** Index into `categories` of sidecar/pack/rules.ts. */
export function ruleCategory(rule: i32): i32 {
  const at = entryOf(rule);
  return at ? <i32>load<u8>(at, 5) : -1;
}

export function isFound(rule: i32): bool {
  return entryOf(rule) != 0 && (load<u8>(foundBits + (rule >> 3)) & (1 << (rule & 7))) != 0;
}

/** Forgets what was found; `spanTrust` is SPAN_TRUSTED or SPAN_UNTRUSTED. */
export function begin(spanTrust: u32): void {
  memory.fill(foundBits, 0, FOUND_BYTES);
  found = 0;
  blocking = -1;
  reporting = -1;
  score = 0;
  steps = 0;
  clearSeekSteps();
  trust = spanTrust;
}

/** Finds rules in one normalised text (a view), in addition to those found since `begin`. Returns `found`. */
export function match(text: Slice): i32 {
  search(text);
  if (own) {
    use(own);
    search(text);
    use(curated);
  }
  return found;
}

function search(text: Slice): void {
  if (ruleCount == 0) return;
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
}

/** The first byte from `at` on that is no lower-case letter or digit, or where fewer than 16 are left. */
function wordEnd(at: usize, end: usize): usize {
  while (at + 16 <= end) {
    const block = v128.load(at);
    const inner = v128.or(within(block, 97, 26), within(block, 48, 10));
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
    const n: u32 = load<u16>(piece, 2);
    steps += n;
    for (const last = use + n * 12; use < last; use += 12) {
      if (isPending(use) && (edge || (load<u16>(use, 10) & 1) == 0)) take(use, now, at);
    }
  }
}

/** Whether a use is a rule's first piece, or the one before it has been found. Most uses are neither. */
function isPending(use: usize): bool {
  return load<u8>(use, 5) == 255 || load<u32>(ends + ((<usize>load<u16>(use, 2) - 1) << 3)) != 0;
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

function hit(index: u32): void {
  const at = rules + ((<usize>index) << 3);
  const flags: u32 = load<u8>(at, 7);
  if ((flags & trust) == 0) return;
  const rule = base + index;
  const byte = foundBits + (rule >> 3);
  const bit = <u8>((<u32>1) << (rule & 7));
  if (load<u8>(byte) & bit) return;
  store<u8>(byte, load<u8>(byte) | bit);
  found++;
  score += <i32>load<u8>(at, 6);
  if (flags & FLAG_BLOCK) {
    if (blocking < 0) blocking = <i32>rule;
  } else if (base != 0 && reporting < 0) reporting = <i32>rule;
}
