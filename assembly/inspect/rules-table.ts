// A rules pack, checked: where its sections lie. Every offset and index in it is looked at once here, so that matching
// (rules.ts) needs no checks; a pack that does not pass is refused.
//
// The pack's layout is in sidecar/pack/rules-pack.ts, the comb's in comb.ts.
import {
  INSIDE_BYTES,
  Key,
  KEY_PROBES,
  LONG_HASH_BITS,
  PREFIX_BYTES,
  ROWS_BYTES,
  SHORT_HASH_BITS,
  STEP_BY_STEP,
  writeRows,
} from "./rules-seek";

export const RULES_MAX: i32 = 1024;
/** Pieces of rules with gaps. */
export const SLOTS_MAX: i32 = 8192;

const MAGIC: u32 = 0x4c555257;
const VERSION: u32 = 3;

/** How a pack begins. */
@unmanaged
class Header {
  magic: u32;
  version: u32;
  size: u32;
  // The hash of what it was made of, which nobody asks for.
  private source0: u32;
  private source1: u32;
  private source2: u32;
  private source3: u32;
  ruleCount: u16;
  longBits: u8;
  shortBits: u8;
  useCount: u16;
  reportCount: u16;
  entryCount: u32;
  startState: u32;
  idleState: u32;
  flags: u32;
}

/** One piece at one place of one rule. */
@unmanaged
export class Use {
  rule: u16;
  /** Where its end is remembered; NO_SLOT: nowhere. */
  slot: u16;
  /** The group of the pieces that may follow it; 0: with it the rule is found. */
  next: u8;
  /** Spaces that may lie between the end of the piece before and this one's; BEGINS: it begins a pattern. */
  words: u8;
  /** Bytes that may. */
  bytes: u16;
  /** The piece's shortest. */
  least: u16;
  private reachAndEdge: u16;

  get begins(): bool {
    return this.words == BEGINS;
  }
  /** How many bytes on it matters that this piece was found. */
  get reach(): u32 {
    return <u32>this.reachAndEdge >> 1;
  }
  /** Whether a word must end with it. */
  get endsWord(): bool {
    return (this.reachAndEdge & 1) != 0;
  }
}

@unmanaged
export class Rule {
  /** Where in the pack its name stands. */
  idAt: u32;
  idLength: u8;
  /** Index into `categories` of sidecar/pack/rules.ts. */
  category: u8;
  score: u8;
  /** FLAG_BLOCK and the spans that it applies to (rules.ts). */
  flags: u8;
}

export const HEADER: u32 = <u32>offsetof<Header>();
/** Classes and prefixes. */
export const HEAD: u32 = HEADER + 256 + <u32>INSIDE_BYTES + <u32>PREFIX_BYTES;
/** Where the tables of keys begin. */
export const AT_KEYS: u32 = HEAD + 2048;
/** The tooth of a state that holds the number of its report. */
export const REPORT: u32 = 254;
export const CAN_SKIP: u32 = 1;
export const CAN_SEEK: u32 = 2;
const NO_SLOT: u32 = 0xffff;
const BEGINS: u32 = 255;
/** Groups of pieces are bits of a word. */
const GROUPS: u32 = 32;

/** What matching needs of a pack that was checked. */
@unmanaged
export class RuleTable {
  pack: usize;
  /** The number of its first rule. */
  base: u32;
  ruleCount: u32;
  useCount: u32;
  startState: u32;
  idleState: u32;
  flags: u32;
  longBits: u32;
  shortBits: u32;
  atShortKeys: u32;
  atEntries: u32;
  atReports: u32;
  atLists: u32;
  atUses: u32;
  atRules: u32;
  // followed by ROWS_BYTES of rules-seek.ts
  get rows(): usize {
    return changetype<usize>(this) + offsetof<RuleTable>();
  }
}

/** Bytes of a RuleTable, a multiple of 16. */
export const RULE_TABLE_BYTES: usize = (offsetof<RuleTable>() + <usize>ROWS_BYTES + 15) & ~15;

/**
 * Checks the pack at `ptr`, which must stay there, and writes what matching needs of it to `table` (RULE_TABLE_BYTES);
 * false, with nothing written, if anything in it is off. `first` is the number of its first rule: 0 or OWN_RULES.
 */
export function checkRules(ptr: usize, len: i32, table: usize, first: i32): bool {
  const size = <u32>len;
  if (len < <i32>AT_KEYS + 4) return false;
  const head = changetype<Header>(ptr);
  if (head.magic != MAGIC || head.version != VERSION || head.size != size) return false;
  const ruleCount: u32 = head.ruleCount;
  const useCount: u32 = head.useCount;
  const reportCount: u32 = head.reportCount;
  const entryCount = head.entryCount;
  if (ruleCount > <u32>RULES_MAX || entryCount > 1 << 18 || entryCount < 256) return false;
  const longBits: u32 = head.longBits;
  const shortBits: u32 = head.shortBits;
  if (longBits - 1 >= <u32>LONG_HASH_BITS || shortBits - 1 >= <u32>SHORT_HASH_BITS) return false;
  const atShortKeys = AT_KEYS + keysBytes(longBits);
  const atEntries = atShortKeys + keysBytes(shortBits);
  const atReports = atEntries + entryCount * 4;
  const atCount = atReports + reportCount * 4;
  if (atCount + 4 > size) return false;
  const reported = load<u32>(ptr + atCount);
  const atLists = atCount + 4;
  if (reported > 1 << 20) return false;
  const atUses = (atLists + reported * 2 + 3) & ~3;
  const atRules = atUses + useCount * <u32>offsetof<Use>();
  if (atRules + ruleCount * <u32>offsetof<Rule>() > size) return false;

  if (!stateFits(head.startState, entryCount) || !stateFits(head.idleState, entryCount)) return false;
  for (let i: u32 = 0; i < 256; i++) if (load<u8>(ptr + HEADER + i) >= REPORT) return false;
  for (let i: u32 = 0; i < 512; i++) {
    if (!stateFits(load<u32>(ptr + HEAD + i * 4), entryCount)) return false;
  }
  for (let at = AT_KEYS; at < atEntries; at += <u32>offsetof<Key>()) {
    const state = changetype<Key>(ptr + at).state;
    if (state != STEP_BY_STEP && !stateFits(state, entryCount)) return false;
  }
  for (let i: u32 = 0; i < entryCount; i++) {
    const entry = load<u32>(ptr + atEntries + i * 4);
    if ((entry & 0xff) == REPORT + 1 ? entry >> 8 >= reportCount : !stateFits(entry >> 8, entryCount))
      return false;
  }
  for (let i: u32 = 0; i < reportCount; i++) {
    const first = load<u32>(ptr + atReports + i * 4);
    if (first >= reported) return false;
    const count: u32 = load<u16>(ptr + atLists + first * 2);
    if (first + 1 + count > reported) return false;
    for (let j: u32 = 1; j <= count; j++)
      if (<u32>load<u16>(ptr + atLists + (first + j) * 2) >= useCount) return false;
  }
  for (let i: u32 = 0; i < useCount; i++) {
    if (!useFits(changetype<Use>(ptr + atUses + i * <u32>offsetof<Use>()), ruleCount)) return false;
  }
  for (let i: u32 = 0; i < ruleCount; i++) {
    const rule = changetype<Rule>(ptr + atRules + i * <u32>offsetof<Rule>());
    if (rule.idAt > size || rule.idAt + <u32>rule.idLength > size) return false;
  }

  const out = changetype<RuleTable>(table);
  out.pack = ptr;
  out.base = <u32>first;
  out.ruleCount = ruleCount;
  out.useCount = useCount;
  out.startState = head.startState;
  out.idleState = head.idleState;
  out.flags = head.flags;
  out.longBits = longBits;
  out.shortBits = shortBits;
  out.atShortKeys = atShortKeys;
  out.atEntries = atEntries;
  out.atReports = atReports;
  out.atLists = atLists;
  out.atUses = atUses;
  out.atRules = atRules;
  writeRows(ptr + HEADER + 256, out.rows);
  return true;
}

/** A use of a piece that must follow another has that one's slot right before its own. */
function useFits(use: Use, ruleCount: u32): bool {
  if (<u32>use.rule >= ruleCount || <u32>use.next >= GROUPS) return false;
  if (<u32>use.slot == NO_SLOT) return use.begins && use.next == 0;
  return <u32>use.slot < <u32>SLOTS_MAX && (use.slot != 0 || use.begins);
}

/** Bytes of a table of keys. */
function keysBytes(bits: u32): u32 {
  return ((1 << bits) + <u32>KEY_PROBES - 1) * <u32>offsetof<Key>();
}

/** A state's teeth lie within the comb for any class. */
function stateFits(state: u32, count: u32): bool {
  return (state >> 2) + 256 <= count;
}
