// The automaton of the rules (dfa.ts) → the comb table that the filter reads.
//
// Most states differ from one of two default rows (right after a boundary; inside a word) in a few classes, so only those
// transitions, its teeth, are stored, in a comb: a state IS its offset, and the entry at offset + class belongs to it exactly
// if the entry names that class, because offsets are unique.
//
//   entry u32:   next state (24 bits) | class + 1 (8 bits); a reporting state has one more tooth, at the class
//                REPORT that no byte is of, and in it the number of its report in place of a state
//   state:       offset (22 bits) | reports pieces (1) | a boundary just passed (1)
import {
  type Dfa,
  type DfaLimits,
  dfaOf,
  mergedStates,
  RuleError,
  type State,
  sorted,
  target,
} from "./dfa.ts";
import { byteClasses, nfaOf } from "./nfa.ts";
import type { Piece } from "./regex.ts";

export const STATES_MAX = 150_000;
export const COMB_MAX = 1 << 18;
/** The class of a state's report. */
const REPORT = 254;

export interface Comb {
  /** Class of each byte. */
  classes: Uint8Array;
  /** Rows of the states inside a word (0) and after a boundary (1): a state for each class. */
  defaults: [Uint32Array, Uint32Array];
  entries: Uint32Array;
  /** The pieces that a state reports, by the number in its tooth REPORT. */
  reports: (readonly number[])[];
  start: number;
  idle: number;
  states: number;
}

/** Where the construction gives up. */
export interface CombLimits extends DfaLimits {
  /** Of the comb, at most COMB_MAX. */
  entries: number;
}

type Tooth = readonly [byClass: number, to: number];

interface Report {
  readonly number: number;
  readonly pieces: readonly number[];
}

/**
 * Compiles `pieces`; `nameOf` tells the rule of a piece for messages. What texts like those of `sample` lead to lies together.
 * Throws RuleError.
 */
export function compileComb(
  pieces: readonly Piece[],
  nameOf: (piece: number) => string,
  limits: CombLimits,
  sample: readonly string[],
): Comb {
  const nfa = nfaOf(pieces);
  const bytes = byteClasses(nfa);
  if (bytes.count > REPORT)
    throw new RuleError(`the rules tell ${bytes.count} kinds of bytes apart: at most ${REPORT}`);
  const dfa = dfaOf(nfa, bytes, nameOf, limits);
  const standsFor = mergedStates(dfa);
  const kept = dfa.states.flatMap((state, number) => (standsFor[number] === number ? { state, number } : []));
  const places = new Map(kept.map(({ number }, place) => [number, place]));
  /** The place in `kept` of the state that stands for `number`. */
  const placeOf = (number: number) => places.get(standsFor[number] as number) as number;
  const reports = reportsOf(kept.map(({ state }) => state));
  const teeth = kept.map(({ state, number }): Tooth[] => {
    // The default rows are whole.
    if (number < 2) return [];
    const report = reports.get(String(state.reports));
    return [...teethOf(dfa, state, placeOf), ...(report ? [[REPORT, report.number] as const] : [])];
  });
  const offsets = offsetsOf(teeth, visitsOf(dfa, sample, placeOf), limits.entries);
  if (offsets === undefined) {
    const rule = mostFrequent(kept.flatMap(({ state }) => (state.grownBy < 0 ? [] : nameOf(state.grownBy))));
    throw new RuleError(
      `rule ${rule}: the rules do not fit in ${limits.entries} entries; it takes most of them`,
    );
  }
  const encoded = kept.map(
    ({ state }, place) =>
      ((offsets[place] as number) << 2) | (state.reports.length > 0 ? 2 : 0) | state.after,
  );
  const encode = (number: number) => encoded[placeOf(number)] as number;
  const defaultRow = (state: 0 | 1) =>
    Uint32Array.from({ length: 256 }, (_, c) => encode(target(dfa, state, Math.min(c, bytes.count - 1))));
  return {
    classes: bytes.of,
    defaults: [defaultRow(0), defaultRow(1)],
    entries: entriesOf(teeth, offsets, encoded),
    reports: [...reports.values()].map(({ pieces }) => pieces),
    start: encode(1),
    idle: encode(0),
    states: kept.length,
  };
}

/** Where a state leads elsewhere than the default row of its kind. */
function teethOf(dfa: Dfa, { row, after }: State, placeOf: (number: number) => number): Tooth[] {
  return sorted(row)
    .map(([byClass, to]): Tooth => [byClass, placeOf(to)])
    .filter(([byClass, to]) => to !== placeOf(target(dfa, after, byClass)));
}

/** How often the texts lead to each state, in lower case, which is most of what is read of them in the filter. */
function visitsOf(
  dfa: Dfa,
  texts: readonly string[],
  placeOf: (number: number) => number,
): Map<number, number> {
  const counts = new Uint32Array(dfa.states.length);
  for (const text of texts) {
    let state = 1;
    for (const byte of Buffer.from(text.toLowerCase())) {
      state = target(dfa, state, dfa.bytes.of[byte] as number);
      counts[state] = (counts[state] as number) + 1;
    }
  }
  const visits = new Map<number, number>();
  // The default rows have no teeth to lay out.
  for (const [state, count] of counts.entries())
    if (state > 1 && count > 0) visits.set(placeOf(state), (visits.get(placeOf(state)) ?? 0) + count);
  return visits;
}

/** What the states report, each list once, as most report what others do: by the list as text. */
function reportsOf(states: readonly State[]): Map<string, Report> {
  const reports = new Map<string, Report>();
  for (const { reports: pieces } of states) {
    const key = String(pieces);
    if (pieces.length > 0 && !reports.has(key)) reports.set(key, { number: reports.size, pieces });
  }
  return reports;
}

/**
 * The offset of each state: those most visited first, then those with most teeth, each at the lowest where its teeth fit.
 * Undefined: they do not fit in `most` entries.
 */
function offsetsOf(
  teeth: readonly (readonly Tooth[])[],
  visits: ReadonlyMap<number, number>,
  most: number,
): Int32Array | undefined {
  const offsets = new Int32Array(teeth.length);
  const taken = new Uint8Array(most + 512);
  const used = new Uint8Array(most + 512);
  let low = 0;
  // What did not fit below cannot fit now: the same teeth go on where the last ones found room.
  const next = new Map<string, number>();
  const byTeeth = (a: number, b: number) => (teeth[b]?.length ?? 0) - (teeth[a]?.length ?? 0);
  const byVisits = (a: number, b: number) => (visits.get(b) ?? 0) - (visits.get(a) ?? 0);
  const order = [...teeth.keys()].sort((a, b) => byVisits(a, b) || byTeeth(a, b));
  for (const place of order) {
    const mine = teeth[place] as readonly Tooth[];
    while (taken[low]) low++;
    const shape = mine.map(([byClass]) => byClass).join();
    let offset = next.get(shape) ?? Math.max(0, low - (mine[0]?.[0] ?? low));
    while (used[offset] || mine.some(([byClass]) => taken[offset + byClass]))
      if (++offset >= most) return undefined;
    offsets[place] = offset;
    next.set(shape, offset + 1);
    used[offset] = 1;
    for (const [byClass] of mine) taken[offset + byClass] = 1;
  }
  return offsets;
}

function entriesOf(
  teeth: readonly (readonly Tooth[])[],
  offsets: Int32Array,
  encoded: readonly number[],
): Uint32Array {
  const entries = new Uint32Array(offsets.reduce((most, offset) => Math.max(most, offset)) + 256);
  teeth.forEach((mine, place) => {
    for (const [byClass, to] of mine) {
      const value = byClass === REPORT ? to : (encoded[to] as number);
      entries[(offsets[place] as number) + byClass] = ((value << 8) | (byClass + 1)) >>> 0;
    }
  });
  return entries;
}

function mostFrequent(names: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}
