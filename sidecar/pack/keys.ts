// The keys of prefix.ts as hash tables of the pack, for what a bit set lets pass: is it really a key, does it begin a piece
// that matters now, and in which state is the automaton behind it? So text that only looks like a rule's first bytes, or
// like a piece whose turn it is not, costs one look-up, and the automaton starts behind a key, not before it.
//
//   slot, 16 bytes   key: its bytes, 48 bits | kind 16 bits │ state u32 │ groups u32, 0: an empty slot
//
// `kind` is LONG_KIND for a long key, for a short one how many of its bytes are in a word. `state` is the automaton's after
// the key's bytes when a word begins with them; STEP_BY_STEP if a piece may end before the last of them, and for a short key
// that is punctuation.
//
// A key's place is the upper bits of its hash; it lies there or in one of the PROBES − 1 slots behind.
import type { Comb } from "./comb.ts";
import { inWord, LONG_BITS, longHash, numberOf, SHORT_BITS, shortHash } from "./prefix.ts";

const PROBES = 32;
const LONG_KIND = 7n;
const STEP_BY_STEP = 0xffffffff;
const REPORTS = 2;

export interface KeyTable {
  /** log2 of the number of places; PROBES − 1 slots follow the last. */
  bits: number;
  slots: Slot[];
}

interface Slot {
  key: bigint;
  state: number;
  groups: number;
}

/** A table that has no keys. */
export const noKeys = (): KeyTable => ({ bits: 1, slots: Array<Slot>(PROBES + 1).fill(EMPTY) });

/** Nothing, like `shortTable`, if so many keys have hashes so near to each other that PROBES slots are not enough. */
export function longTable(keys: ReadonlyMap<string, number>, comb: Comb): KeyTable | undefined {
  const entries = [...keys].map(([key, groups]) => ({
    place: longHash(key),
    slot: { key: numberOf(key) | (LONG_KIND << 48n), state: stateBehind(key, comb), groups },
  }));
  return table(entries, LONG_BITS);
}

export function shortTable(keys: ReadonlyMap<string, number>, comb: Comb): KeyTable | undefined {
  const entries = [...keys].map(([key, groups]) => ({
    place: shortHash(key),
    slot: {
      key: numberOf(key) | (BigInt(inWord(key) ? key.length : 0) << 48n),
      state: inWord(key) ? stateBehind(key, comb) : STEP_BY_STEP,
      groups,
    },
  }));
  return table(entries, SHORT_BITS);
}

const EMPTY: Slot = { key: 0n, state: STEP_BY_STEP, groups: 0 };

function table(entries: { place: number; slot: Slot }[], hashBits: number): KeyTable | undefined {
  const fewest = Math.max(1, Math.ceil(Math.log2(entries.length * 1.5)));
  for (let bits = Math.min(hashBits, fewest); bits <= hashBits; bits++) {
    const slots = Array<Slot>((1 << bits) + PROBES - 1).fill(EMPTY);
    const fits = entries.every(({ place, slot }) => {
      const from = place >> (hashBits - bits);
      let at = from;
      while (at < from + PROBES && slots[at] !== EMPTY) at++;
      if (at < from + PROBES) slots[at] = slot;
      return at < from + PROBES;
    });
    if (fits) return { bits, slots };
  }
  return undefined;
}

/** The state after `key` from the start of a word, if no piece ends before its last byte. */
function stateBehind(key: string, comb: Comb): number {
  let state = comb.start;
  for (let i = 0; i < key.length; i++) {
    const c = comb.classes[key.charCodeAt(i)] as number;
    const entry = comb.entries[(state >>> 2) + c] as number;
    state = (entry & 0xff) === c + 1 ? entry >>> 8 : (comb.defaults[state & 1]?.[c] as number);
    if (state & REPORTS && i < key.length - 1) return STEP_BY_STEP;
  }
  return state;
}
