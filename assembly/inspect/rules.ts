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
import { hasBit, setBit } from "../bits";
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
  Rule,
  RULE_TABLE_BYTES,
  RULES_MAX,
  RuleTable,
  SLOTS_MAX,
  Use,
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

/**
 * Where a piece ended, as places. These go on from text to text, so that what an earlier text left here, or another pack, lies
 * behind the text in hand and need not be cleared.
 */
@unmanaged
class Ends {
  latest: u32;
  /** The one before the latest. */
  before: u32;
}

/** By slot. */
const ends = reserve(<usize>SLOTS_MAX * offsetof<Ends>());
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
  noteFirsts(changetype<RuleTable>(curated).useCount);
  begin(SPAN_TRUSTED);
  return true;
}

/** Notes the slots of the pieces that begin a pattern, of `count` uses. */
function noteFirsts(count: u32): void {
  memory.fill(firstSlots, 0, SLOTS_MAX >> 3);
  for (let i: u32 = 0; i < count; i++) {
    const use = useAt(i);
    const slot: u32 = use.slot;
    if (!use.begins || slot >= <u32>SLOTS_MAX) continue;
    setBit(firstSlots, slot);
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

/** The rule of a number, or null. */
function ruleOf(number: i32): Rule | null {
  const table = tableOf(number);
  if (number < 0 || table == null || <u32>number - table.base >= table.ruleCount) return null;
  return changetype<Rule>(
    table.pack + table.atRules + (<usize>number - <usize>table.base) * offsetof<Rule>(),
  );
}

/** The table of the pack that the rule of a number is in; null where there is none. */
function tableOf(number: i32): RuleTable | null {
  return changetype<RuleTable | null>(number >= OWN_RULES ? own : curated);
}

export function ruleId(number: i32): Slice {
  const rule = ruleOf(number);
  return rule == null ? NONE : slice(tableOf(number)!.pack + rule.idAt, rule.idLength);
}

/** Index into `categories` of sidecar/pack/rules.ts. */
export function ruleCategory(number: i32): i32 {
  const rule = ruleOf(number);
  return rule == null ? -1 : <i32>rule.category;
}

export function isFound(rule: i32): bool {
  return ruleOf(rule) != null && hasBit(foundBits, rule);
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
  memory.fill(ends, 0, <usize>SLOTS_MAX * offsetof<Ends>());
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
    const use = useAt(load<u16>(index));
    if (isPending(use) && (edge || !use.endsWord)) take(use, now, at);
  }
}

function useAt(i: u32): Use {
  return changetype<Use>(uses + <usize>i * offsetof<Use>());
}

function ruleAt(i: u32): Rule {
  return changetype<Rule>(rules + <usize>i * offsetof<Rule>());
}

function endsAt(slot: u32): Ends {
  return changetype<Ends>(ends + <usize>slot * offsetof<Ends>());
}

/** Whether a use is a rule's first piece, or the one before it has been found. Most uses are neither. */
function isPending(use: Use): bool {
  return use.begins || endsAt(<u32>use.slot - 1).latest > passed;
}

/** Takes a piece in that ends at `at`, the place `now`. */
function take(use: Use, now: u32, at: usize): void {
  const isLast = use.next == 0;
  if (!use.begins) {
    const before = endsAt(<u32>use.slot - 1);
    // The latest end may lie within this piece (`del` in `prompt del sistema`); then the one before it counts.
    if (!leads(use, before.latest, now) && !leads(use, before.before, now)) return;
  } else if (isLast && isDeniable(use) && isDeniedAt(now)) return;
  if (isLast) {
    if (!isDeniable(use) || !isDeniedBehind(textStart, at, textEnd)) hit(use.rule, <i32>(now - passed) - 1);
    return;
  }
  const own = endsAt(use.slot);
  if (own.latest == now) return;
  if (!use.begins || !isCrowded(use, own.before, now) || !isDeniedAt(own.latest)) own.before = own.latest;
  own.latest = now;
  if (at > watch) follow = FIRST;
  follow |= 1 << (<u32>use.next);
  watch = max(watch, at + use.reach);
}

/** Whether the rule orders what may be denied (denial.ts): a curated one of what to ignore, to show or to be. */
function isDeniable(use: Use): bool {
  return base == 0 && <u32>ruleAt(use.rule).category <= LAST_ORDER;
}

/** Whether the piece that ends at `now` goes on with that which ended at `before`: no verb that is denied begins a rule. */
function leads(use: Use, before: u32, now: u32): bool {
  if (!follows(use, before, now)) return false;
  return !isDeniable(use) || !isFirst(<u32>use.slot - 1) || !isDeniedAt(before);
}

/** Whether the end before the latest is still in reach of `now`: a verb that is denied takes no other's place. */
function isCrowded(use: Use, before: u32, now: u32): bool {
  return before > passed && now - before <= use.reach && isDeniable(use);
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
  return hasBit(firstSlots, slot);
}

/** Whether the piece that ends at `now` stands in reach of an end before it. */
function follows(use: Use, before: u32, now: u32): bool {
  if (before <= passed || now - before > <u32>use.bytes + 1) return false;
  if (now - before + 1 < <u32>use.least) return false;
  return spaces(before, now, use.words) <= <u32>use.words;
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

/** The rule at `index` of the pack was found, and what it found ends at offset `end`. */
function hit(index: u32, end: i32): void {
  const rule = ruleAt(index);
  if ((<u32>rule.flags & trust) == 0) return;
  const number = base + index;
  const own: i32 = rule.score;
  if (base == 0) addPlace(end, <i32>index, own);
  if (hasBit(foundBits, number)) return;
  setBit(foundBits, number);
  found++;
  score += own;
  if (own > strongestScore) {
    strongestScore = own;
    strongest = <i32>number;
  }
  if (<u32>rule.flags & FLAG_BLOCK) {
    if (blocking < 0) blocking = <i32>number;
  } else if (base != 0 && reporting < 0) reporting = <i32>number;
}
