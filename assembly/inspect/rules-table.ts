// A rules pack, checked: where its sections lie. Every offset and index in it is looked at once here, so that matching
// (rules.ts) needs no checks; a pack that does not pass is refused.
//
// The pack's layout is in sidecar/pack/rules-pack.ts, the comb's in comb.ts.
import {
  INSIDE_BYTES,
  KEY_BYTES,
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
export const HEADER: u32 = 52;
/** Classes and prefixes. */
export const HEAD: u32 = HEADER + 256 + <u32>INSIDE_BYTES + <u32>PREFIX_BYTES;
/** Where the tables of keys begin. */
export const AT_KEYS: u32 = HEAD + 2048;
/** The tooth of a state that holds the number of its report. */
export const REPORT: u32 = 254;
export const CAN_SKIP: u32 = 1;
export const CAN_SEEK: u32 = 2;
export const NO_SLOT: u32 = 0xffff;

/** What matching needs of a pack that was checked. */
@unmanaged
export class RuleTable {
  pack: usize;
  /** The number of its first rule. */
  base: u32;
  ruleCount: u32;
  slotCount: u32;
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
  if (len < <i32>HEAD + 2048 + 4) return false;
  if (load<u32>(ptr) != MAGIC || load<u32>(ptr, 4) != VERSION || load<u32>(ptr, 8) != size) return false;
  const nRules: u32 = load<u16>(ptr, 28);
  const nUses: u32 = load<u16>(ptr, 32);
  const nReports: u32 = load<u16>(ptr, 34);
  const nEntries = load<u32>(ptr, 36);
  if (nRules > <u32>RULES_MAX || nEntries > 1 << 18 || nEntries < 256) return false;
  const longBits: u32 = load<u8>(ptr, 30);
  const shortBits: u32 = load<u8>(ptr, 31);
  if (longBits - 1 >= <u32>LONG_HASH_BITS || shortBits - 1 >= <u32>SHORT_HASH_BITS) return false;
  const atShortKeys = AT_KEYS + keysBytes(longBits);
  const atEntries = atShortKeys + keysBytes(shortBits);
  const atReports = atEntries + nEntries * 4;
  const atCount = atReports + nReports * 4;
  if (atCount + 4 > size) return false;
  const nReported = load<u32>(ptr + atCount);
  const atLists = atCount + 4;
  if (nReported > 1 << 20) return false;
  const atUses = (atLists + nReported * 2 + 3) & ~3;
  const atRules = atUses + nUses * 12;
  if (atRules + nRules * 8 > size) return false;

  const start = load<u32>(ptr, 40);
  const idle = load<u32>(ptr, 44);
  if (!stateFits(start, nEntries) || !stateFits(idle, nEntries)) return false;
  for (let i: u32 = 0; i < 256; i++) if (load<u8>(ptr + HEADER + i) >= REPORT) return false;
  for (let i: u32 = 0; i < 512; i++) {
    if (!stateFits(load<u32>(ptr + HEAD + i * 4), nEntries)) return false;
  }
  for (let at = AT_KEYS; at < atEntries; at += <u32>KEY_BYTES) {
    const state = load<u32>(ptr + at, 8);
    if (state != STEP_BY_STEP && !stateFits(state, nEntries)) return false;
  }
  for (let i: u32 = 0; i < nEntries; i++) {
    const entry = load<u32>(ptr + atEntries + i * 4);
    if ((entry & 0xff) == REPORT + 1 ? entry >> 8 >= nReports : !stateFits(entry >> 8, nEntries))
      return false;
  }
  for (let i: u32 = 0; i < nReports; i++) {
    const first = load<u32>(ptr + atReports + i * 4);
    if (first >= nReported) return false;
    const count: u32 = load<u16>(ptr + atLists + first * 2);
    if (first + 1 + count > nReported) return false;
    for (let j: u32 = 1; j <= count; j++)
      if (<u32>load<u16>(ptr + atLists + (first + j) * 2) >= nUses) return false;
  }
  let slots: u32 = 0;
  for (let i: u32 = 0; i < nUses; i++) {
    const at = ptr + atUses + i * 12;
    const slot: u32 = load<u16>(at, 2);
    if (<u32>load<u16>(at) >= nRules) return false;
    const first = load<u8>(at, 5) == 255;
    if (load<u8>(at, 4) > 31) return false;
    if (slot == NO_SLOT ? !first || load<u8>(at, 4) != 0 : slot >= <u32>SLOTS_MAX || (slot == 0 && !first))
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

/** Bytes of a table of keys. */
function keysBytes(bits: u32): u32 {
  return ((1 << bits) + <u32>KEY_PROBES - 1) * <u32>KEY_BYTES;
}

/** A state's teeth lie within the comb for any class. */
function stateFits(state: u32, count: u32): bool {
  return (state >> 2) + 256 <= count;
}
