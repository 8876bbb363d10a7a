// The rule engine: one pass of an automaton over normalised text finds the pieces of all rules; a rule whose
// pieces have gaps between them is joined here, from where each piece last ended. So a gap costs one number to
// remember, not a product of automaton states, and time is linear whatever the rules are.
//
//   begin(trust); for (main view, decoded views ...) { classify(view); match(view) }   then read found, score
//
// The pack's layout is in sidecar/pack/rules-pack.ts, the comb's in comb.ts. rules-table.ts checks every offset and index in
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
// Most text is never read by the automaton. The curated rules look only where the classifier, which has read the text
// before, found traces (traces.ts); the policy's own rules look everywhere. And while no piece is in hand, rules-seek.ts
// skips to the next place where a rule may begin, or go on with a piece that was found before.
//
// Bounds: one step per byte and one per rule that uses a reported piece; memory RULES_MAX bits and SLOTS_MAX
// positions.
import { reserve } from "../memory";
import { endOf, lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import { within } from "../vectors";
import { DENIAL_STEPS, isDenied, isDeniedBehind } from "./denial";
import { addPlace, clearPlaces } from "./rules-places";
import {
  beginSeek,
  endsSentence,
  FIRST,
  INSIDE_BYTES,
  isWordByte,
  mayBegin,
  seek,
  seekLength,
  seekSteps,
  seekState,
  setKeys,
  setPrefixes,
  STEP_BY_STEP,
} from "./rules-seek";
import {
  AT_KEYS,
  CAN_SEEK,
  CAN_SKIP,
  checkRules,
  HEAD,
  HEADER,
  REPORT,
  RULE_TABLE_BYTES,
  RULES_MAX,
  RuleTable,
  SLOTS_MAX,
} from "./rules-table";
import { stretchCount, stretchFrom, stretchTo } from "./traces";

export { checkRules, RULE_TABLE_BYTES, RULES_MAX };
/** The number of the first of the policy's own rules. */
export const OWN_RULES: i32 = RULES_MAX;
/** Trust of a span, and the bit of a rule's flags that says it applies there. */
export const SPAN_TRUSTED: u32 = 2;
export const SPAN_UNTRUSTED: u32 = 4;

const FLAG_BLOCK: u32 = 1;
/** The last of the categories override, extraction and hijack, as the pack numbers them. */
const LAST_ORDER: u32 = 2;

const FOUND_BYTES: usize = (2 * RULES_MAX) >> 3;
const foundBits = reserve(FOUND_BYTES);
const curated = reserve(RULE_TABLE_BYTES);
/** A bit for each slot of the curated pack: whether its piece begins a pattern. */
const firstSlots = reserve(SLOTS_MAX >> 3);
let own: usize = 0;
// Where a piece last ended, and where before that, as places. Places go on from text to text, so that what an earlier text
// left here, or another pack, lies behind the text in hand and need not be cleared.
const ends = reserve(SLOTS_MAX << 3);
const PLACES_MAX: u32 = 1 << 30;
/** The place before the first byte of the text in hand. */
let passed: u32 = 0;
/** The place that was last asked about, which many rules ask in a row, and whether the verb there is denied. */
let asked: u32 = 0;
let denied: bool = false;

/** Rules found since `begin`. */
export let found: i32 = 0;
/** The first rule found that blocks on its own, or -1. */
export let blocking: i32 = -1;
/** The first of the policy's own rules found that only reports, or -1. */
export let reporting: i32 = -1;
/** Sum of the scores of the rules found. */
export let score: i32 = 0;
/** The rule found whose score is the highest, the first of several, or -1. */
export let strongest: i32 = -1;
export let strongestScore: i32 = 0;
/** Work since `begin`: bytes or blocks read, and uses of pieces looked at. */
export let steps: i32 = 0;

let base: u32 = 0;
let ruleCount: u32 = 0;
let startState: u32 = 0;
let idleState: u32 = 0;
let flags: u32 = 0;
let classes: usize = 0;
let defaults: usize = 0;
let entries: usize = 0;
let reports: usize = 0;
let lists: usize = 0;
let uses: usize = 0;
let rules: usize = 0;
let trust: u32 = SPAN_TRUSTED;
let textStart: usize = 0;
let textEnd: usize = 0;
/** Up to here a piece found earlier may be followed by another. */
let watch: usize = 0;
/** The groups that these pieces are in, and FIRST. */
let follow: u32 = FIRST;

/** Takes the curated pack at `ptr`, which must stay there. False, and the pack in use stays, if anything in it is off. */
export function loadRules(ptr: usize, len: i32): bool {
  if (!checkRules(ptr, len, curated, 0)) return false;
  use(curated);
  noteFirsts(uses, load<u16>(ptr, 32));
  begin(SPAN_TRUSTED);
  return true;
}

/** Notes the slots of the pieces that begin a pattern, of `count` uses at `at`. */
function noteFirsts(at: usize, count: u32): void {
  memory.fill(firstSlots, 0, SLOTS_MAX >> 3);
  for (const last = at + <usize>count * 12; at < last; at += 12) {
    const slot: u32 = load<u16>(at, 2);
    if (load<u8>(at, 5) != 255 || slot == 0xffff) continue;
    const byte = firstSlots + (slot >> 3);
    store<u8>(byte, load<u8>(byte) | <u8>((<u32>1) << (slot & 7)));
  }
}

/** From here on texts are also read by the pack whose table is at `table` (see `checkRules`); 0: by none. */
export function setOwnRules(table: usize): void {
  own = table;
}

/** It is this table's turn. */
function use(table: usize): void {
  const from = changetype<RuleTable>(table);
  const pack = from.pack;
  base = from.base;
  ruleCount = from.ruleCount;
  startState = from.startState;
  idleState = from.idleState;
  flags = from.flags;
  classes = pack + HEADER;
  setPrefixes(classes + 256 + INSIDE_BYTES, classes + 256, from.rows);
  setKeys(pack + AT_KEYS, from.longBits, pack + from.atShortKeys, from.shortBits);
  defaults = pack + HEAD;
  entries = pack + from.atEntries;
  reports = pack + from.atReports;
  lists = pack + from.atLists;
  uses = pack + from.atUses;
  rules = pack + from.atRules;
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
  if (found) memory.fill(foundBits, 0, FOUND_BYTES);
  found = 0;
  blocking = -1;
  reporting = -1;
  score = 0;
  strongest = -1;
  strongestScore = 0;
  steps = 0;
  trust = spanTrust;
}

/**
 * Finds rules in one normalised text (a view), in addition to those found since `begin`: curated ones in its stretches
 * (traces.ts), own ones everywhere. Returns `found`.
 */
export function match(text: Slice): i32 {
  clearPlaces();
  for (let i = 0; i < stretchCount; i++) search(text, stretchFrom(i), min(stretchTo(i), lenOf(text)));
  if (own) {
    use(own);
    search(text, 0, lenOf(text));
    use(curated);
  }
  return found;
}

/** Finds rules in the text from offset `first` to `last`. */
function search(text: Slice, first: i32, last: i32): void {
  if (ruleCount == 0) return;
  textStart = ptrOf(text);
  textEnd = endOf(text);
  let at = textStart + first;
  const end = textStart + last;
  watch = at;
  follow = FIRST;
  const table = entries;
  const rows = defaults;
  const classOf = classes;
  const idle = idleState;
  const fresh = startState;
  const skip = (flags & CAN_SKIP) != 0;
  const seeks = (flags & CAN_SEEK) != 0;
  let state = stateAt(at);
  let work = 0;
  beginSeek();
  while (at < end) {
    if (state == idle || state == fresh) {
      if (seeks) {
        at = seek(textStart, at, end, watch, follow);
        if (at == end) break;
        state = stateAt(at);
        if (state == fresh && seekState != STEP_BY_STEP && at + seekLength <= end) {
          state = seekState;
          at += seekLength;
          if (state & 2) report(state, at);
          if (at == end) break;
          if (state == fresh || state == idle) continue;
        }
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
    if (state & 2) report(state, at);
  }
  steps += work + seekSteps;
  passed += <u32>(end - textStart) + 1;
  if (passed < PLACES_MAX) return;
  memory.fill(ends, 0, SLOTS_MAX << 3);
  passed = 0;
  asked = 0;
}

/** The state before the byte at `at` with no piece in hand. */
function stateAt(at: usize): u32 {
  return mayBegin(textStart, at) ? startState : idleState;
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
function report(state: u32, at: usize): void {
  const tooth = load<u32>(entries + ((<usize>(state >> 2) + REPORT) << 2));
  if ((tooth & 0xff) != REPORT + 1) return;
  let index = lists + ((<usize>load<u32>(reports + ((<usize>(tooth >> 8)) << 2))) << 1);
  const count: u32 = load<u16>(index);
  const now = <u32>(at - textStart) + 1 + passed;
  const edge = at >= textEnd || !isWordByte(load<u8>(at));
  steps += count;
  for (const last = index + ((<usize>count) << 1); index < last; ) {
    index += 2;
    const use = uses + <usize>load<u16>(index) * 12;
    if (isPending(use) && (edge || (load<u16>(use, 10) & 1) == 0)) take(use, now, at);
  }
}

/** Whether a use is a rule's first piece, or the one before it has been found. Most uses are neither. */
function isPending(use: usize): bool {
  return load<u8>(use, 5) == 255 || load<u32>(ends + ((<usize>load<u16>(use, 2) - 1) << 3)) > passed;
}

function take(use: usize, now: u32, at: usize): void {
  const slot = <usize>load<u16>(use, 2);
  const words: u32 = load<u8>(use, 5);
  const next: u32 = load<u8>(use, 4);
  if (words != 255) {
    const before = ends + ((slot - 1) << 3);
    // The latest end may lie within this piece (`del` in `prompt del sistema`); then the one before it counts.
    if (!leads(use, load<u32>(before), now, words) && !leads(use, load<u32>(before, 4), now, words)) return;
  } else if (next == 0 && isDeniable(use) && isDeniedAt(now)) return;
  if (next == 0) {
    if (!isDeniable(use) || !isDeniedBehind(textStart, at, textEnd))
      hit(load<u16>(use), <i32>(now - passed) - 1);
    return;
  }
  const own = ends + (slot << 3);
  const latest = load<u32>(own);
  if (latest == now) return;
  if (words != 255 || !isCrowded(use, load<u32>(own, 4), now) || !isDeniedAt(latest))
    store<u32>(own, latest, 4);
  store<u32>(own, now);
  if (at > watch) follow = FIRST;
  follow |= 1 << next;
  watch = max(watch, at + (load<u16>(use, 10) >> 1));
}

/** Whether the rule orders what may be denied (denial.ts): a curated one of what to ignore, to show or to be. */
function isDeniable(use: usize): bool {
  return base == 0 && load<u8>(rules + ((<usize>load<u16>(use)) << 3), 5) <= LAST_ORDER;
}

/** Whether the piece that ends at `now` goes on with that which ended at `before`: no verb that is denied begins a rule. */
function leads(use: usize, before: u32, now: u32, words: u32): bool {
  if (!follows(use, before, now, words)) return false;
  return !isDeniable(use) || !isFirst(<u32>load<u16>(use, 2) - 1) || !isDeniedAt(before);
}

/** Whether the end before the latest is still in reach of `now`: a verb that is denied takes no other's place. */
function isCrowded(use: usize, before: u32, now: u32): bool {
  return before > passed && now - before <= <u32>load<u16>(use, 10) >> 1 && isDeniable(use);
}

/** Whether the verb of the piece that ended at the place `end` is denied. Asked where a rule goes on, which few pieces come to. */
function isDeniedAt(end: u32): bool {
  if (end == asked) return denied;
  steps += DENIAL_STEPS;
  asked = end;
  denied = isDenied(textStart, textStart + (end - passed) - 1, textEnd);
  return denied;
}

/** Whether the slot is that of a piece of the curated pack which begins a pattern. */
function isFirst(slot: u32): bool {
  return (load<u8>(firstSlots + (slot >> 3)) & ((<u32>1) << (slot & 7))) != 0;
}

/** Whether the piece that ends at `now` stands in reach of an end before it. */
function follows(use: usize, before: u32, now: u32, words: u32): bool {
  if (before <= passed || now - before > <u32>load<u16>(use, 6) + 1) return false;
  if (now - before + 1 < <u32>load<u16>(use, 8)) return false;
  return spaces(before, now, words) <= words;
}

/**
 * Spaces between two ends (as kept: places), counted up to `most` + 1 and never outside the text; more than
 * `most` if a sentence ends there (`.`, `!` or `?` and a space), since a rule speaks of one sentence.
 */
function spaces(before: u32, now: u32, most: u32): u32 {
  let count: u32 = 0;
  let at = textStart + (before - passed) - 1;
  const stop = textStart + (now - passed) - 2;
  if (ASC_FEATURE_SIMD) {
    // The byte before each is read too: a piece has ended there.
    for (; at + 16 <= stop && count <= most; at += 16) {
      const blanks = i8x16.eq(v128.load(at), i8x16.splat(32));
      const bits: u32 = i8x16.bitmask(blanks);
      if (bits == 0) continue;
      if (v128.any_true(v128.and(blanks, sentenceEnds(v128.load(at - 1))))) return most + 1;
      count += <u32>popcnt(bits);
    }
  }
  let last: u32 = load<u8>(at - 1);
  for (; at < stop && count <= most; at++) {
    const byte: u32 = load<u8>(at);
    if (byte == 32) {
      if (endsSentence(last)) return most + 1;
      count++;
    }
    last = byte;
  }
  return count;
}

/** The bytes of a block that `endsSentence`. */
function sentenceEnds(block: v128): v128 {
  const dot = i8x16.eq(block, i8x16.splat(0x2e));
  return v128.or(dot, v128.or(i8x16.eq(block, i8x16.splat(0x21)), i8x16.eq(block, i8x16.splat(0x3f))));
}

function hit(index: u32, end: i32): void {
  const at = rules + ((<usize>index) << 3);
  const flags: u32 = load<u8>(at, 7);
  if ((flags & trust) == 0) return;
  const rule = base + index;
  if (base == 0) addPlace(end, <i32>index, <i32>load<u8>(at, 6));
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
  if (flags & FLAG_BLOCK) {
    if (blocking < 0) blocking = <i32>rule;
  } else if (base != 0 && reporting < 0) reporting = <i32>rule;
}
