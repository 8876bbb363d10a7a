// Pieces of patterns → one deterministic automaton that finds all of them in one pass → a comb table.
//
// Subset construction over byte classes. Every pattern may start after each word boundary; instead of carrying
// hundreds of start positions in every set, a state is (did a boundary just pass, positions in hand), and the
// start positions are added by transition. Whether a word ends where a piece does is left to the reader of the
// table: as a transition it would cost every piece one state for each kind of punctuation.
// Equal states are then merged.
//
// Most states differ from one of two default rows (right after a boundary; inside a word) in a few classes, so
// only those transitions are stored, in a comb: a state IS its offset, and the entry at offset + class belongs
// to it exactly if the entry names that class, because offsets are unique.
//
//   entry u32:   next state (24 bits) | class + 1 (8 bits); a reporting state has one more tooth, at the class
//                REPORT that no byte is of, and in it the number of its report in place of a state
//   state:       offset (22 bits) | reports pieces (1) | a boundary just passed (1)
//
// Bound: STATES_MAX states; what would need more is refused, naming the rule that grew it.
import { type Node, type Piece, wordBytes } from "./regex.ts";

/** Rules that do not compile: the message names one of them. */
export class RuleError extends Error {
  override name = "RuleError";
}

export const STATES_MAX = 150_000;
export const COMB_MAX = 1 << 18;
/** The class of a state's report. */
export const REPORT = 254;

export interface Comb {
  /** Class of each byte. */
  classes: Uint8Array;
  /** Rows of the states inside a word (0) and after a boundary (1): a state for each class. */
  defaults: [Uint32Array, Uint32Array];
  entries: Uint32Array;
  /** The pieces that a state reports, by the number in its tooth REPORT. */
  reports: number[][];
  start: number;
  idle: number;
  states: number;
}

interface Nfa {
  /** Byte transitions: [set index, to] for each position. */
  steps: [number, number][][];
  empty: number[][];
  report: (number | undefined)[];
}

const nonWord = new Set(Array.from({ length: 256 }, (_, b) => b).filter((b) => !wordBytes.has(b)));

/** Where the construction gives up. */
export interface CombLimits {
  states: number;
  /** Entries of the comb, at most COMB_MAX. */
  entries: number;
  /** Transitions of single positions looked at. */
  work: number;
}

/** Compiles `pieces`; `nameOf` tells the rule of a piece for messages. Throws RuleError. */
export function compileComb(
  pieces: Piece[],
  nameOf: (piece: number) => string,
  { states: statesMax, entries: combMax, work: workMax }: CombLimits,
): Comb {
  const sets: Set<number>[] = [];
  const setIndex = new Map<string, number>();
  const intern = (set: Set<number>) => {
    const key = [...set].sort((a, b) => a - b).join();
    let index = setIndex.get(key);
    if (index === undefined) {
      index = sets.push(set) - 1;
      setIndex.set(key, index);
    }
    return index;
  };
  intern(nonWord);

  const nfa: Nfa = { steps: [], empty: [], report: [] };
  const add = () => {
    nfa.steps.push([]);
    nfa.empty.push([]);
    return nfa.report.push(undefined) - 1;
  };
  const build = (node: Node, from: number): number => {
    if (node.type === "bytes") {
      const to = add();
      nfa.steps[from]?.push([intern(node.set), to]);
      return to;
    }
    if (node.type === "seq") return node.items.reduce((at, item) => build(item, at), from);
    if (node.type === "alt") {
      const to = add();
      for (const item of node.items) nfa.empty[build(item, from)]?.push(to);
      return to;
    }
    let at = from;
    for (let i = 0; i < node.min; i++) at = build(node.item, at);
    if (node.max === Number.POSITIVE_INFINITY) {
      const loop = add();
      nfa.empty[at]?.push(loop);
      nfa.empty[build(node.item, loop)]?.push(loop);
      return loop;
    }
    const end = add();
    nfa.empty[at]?.push(end);
    for (let i = node.min; i < node.max; i++) {
      at = build(node.item, at);
      nfa.empty[at]?.push(end);
    }
    return end;
  };

  const bounded: number[] = [];
  const anywhere: number[] = [];
  const owner: number[] = [];
  pieces.forEach((piece, index) => {
    const from = add();
    (piece.startBound ? bounded : anywhere).push(from);
    nfa.report[build(piece.node, from)] = index;
    while (owner.length < nfa.steps.length) owner.push(index);
  });

  // Byte classes: bytes that every set treats alike.
  const classes = new Uint8Array(256);
  const classKeys = new Map<string, number>();
  const sample: number[] = [];
  for (let b = 0; b < 256; b++) {
    let key = "";
    for (let i = 0; i < sets.length; i++) if (sets[i]?.has(b)) key += `${i},`;
    let c = classKeys.get(key);
    if (c === undefined) {
      c = classKeys.size;
      classKeys.set(key, c);
      sample.push(b);
    }
    classes[b] = c;
  }
  const count = sample.length;
  if (count > REPORT) throw new RuleError(`the rules tell ${count} kinds of bytes apart: at most ${REPORT}`);
  const classesOf = sets.map((set) => {
    const out = new Set<number>();
    for (const b of set) out.add(classes[b] as number);
    return [...out];
  });
  const isBoundary = sample.map((b) => nonWord.has(b));

  const closed = new Map<number, number[]>();
  const closure = (position: number): number[] => {
    let out = closed.get(position);
    if (out) return out;
    const seen = new Set([position]);
    for (const p of seen) for (const q of nfa.empty[p] as number[]) seen.add(q);
    // Only positions that step or report matter to a set.
    out = [...seen].filter((p) => nfa.steps[p]?.length || nfa.report[p] !== undefined);
    closed.set(position, out);
    return out;
  };
  let work = 0;
  /** Class → positions reached from `positions` by one byte. */
  const step = (positions: Iterable<number>): Map<number, Set<number>> => {
    const out = new Map<number, Set<number>>();
    for (const p of positions) {
      for (const [set, to] of nfa.steps[p] as [number, number][]) {
        for (const c of classesOf[set] as number[]) {
          let into = out.get(c);
          if (!into) {
            into = new Set();
            out.set(c, into);
          }
          for (const q of closure(to)) into.add(q);
          work++;
        }
      }
    }
    return out;
  };
  const startSteps = [
    step(anywhere.flatMap(closure)),
    step([...anywhere, ...bounded].flatMap(closure)),
  ] as const;

  // Subset construction.
  const rows: Map<number, number>[] = [];
  const flags: number[] = [];
  /** The last of the pieces in a state's set. */
  const grownBy: number[] = [];
  const reported: number[][] = [];
  const index = new Map<string, number>();
  const queue: Set<number>[] = [];
  const stateOf = (after: number, set: Set<number>): number => {
    const sorted = [...set].sort((a, b) => a - b);
    const key = `${after}:${sorted.join()}`;
    let state = index.get(key);
    if (state === undefined) {
      state = queue.push(set) - 1;
      if (state >= statesMax) {
        const rule = nameOf(owner[sorted[sorted.length - 1] as number] as number);
        throw new RuleError(
          `rule ${rule}: the automaton grew past ${statesMax} states; make its pieces shorter`,
        );
      }
      index.set(key, state);
      flags.push(after);
      grownBy.push(sorted.length ? (owner[sorted[sorted.length - 1] as number] as number) : -1);
      reported.push([...new Set(sorted.map((p) => nfa.report[p]).filter((x) => x !== undefined))]);
    }
    return state;
  };
  const none: Set<number> = new Set();
  stateOf(0, none);
  stateOf(1, none);
  for (let state = 0; state < queue.length; state++) {
    // Only what differs from the default row is kept; the default rows themselves (0 and 1) are whole.
    const own = step(queue[state] as Set<number>);
    if (work > workMax) {
      const rule = nameOf(owner[[...(queue[state] as Set<number>)][0] ?? 0] as number);
      throw new RuleError(`rule ${rule}: the rules take too long to compile; make their pieces simpler`);
    }
    const starts = startSteps[flags[state] as 0 | 1];
    const row = new Map<number, number>();
    for (const c of state < 2 ? starts.keys() : own.keys()) {
      const mine = own.get(c);
      const theirs = starts.get(c);
      const all = mine && theirs ? new Set([...mine, ...theirs]) : (mine ?? theirs ?? none);
      row.set(c, stateOf(isBoundary[c] ? 1 : 0, all));
    }
    rows.push(row);
    queue[state] = none;
  }
  const target = (state: number, c: number) =>
    rows[state]?.get(c) ?? rows[flags[state] as number]?.get(c) ?? (isBoundary[c] ? 1 : 0);

  // Equal states are merged from the ends of the pieces back: states are numbered breadth first, so one pass in
  // reverse merges all but what hangs on a loop, and a merge is right whenever one stops.
  const same = Int32Array.from(rows, (_, s) => s);
  const find = (s: number): number => {
    let root = s;
    while (same[root] !== root) root = same[root] as number;
    same[s] = root;
    return root;
  };
  for (let pass = 0; pass < 3; pass++) {
    const known = new Map<string, number>();
    for (let s = rows.length - 1; s > 1; s--) {
      if (same[s] !== s) continue;
      const base = flags[s] as number;
      let key = `${base}:${reported[s]?.join()}`;
      for (const [c, to] of [...(rows[s] as Map<number, number>)].sort((a, b) => a[0] - b[0])) {
        if (find(to) !== find(target(base, c))) key += `,${c}:${find(to)}`;
      }
      const twin = known.get(key);
      if (twin === undefined) known.set(key, s);
      else same[s] = twin;
    }
  }
  const representative = [...same.keys()].filter((s) => same[s] === s);
  const numberOf = new Map(representative.map((s, b) => [s, b]));
  const block = rows.map((_, s) => numberOf.get(find(s)) as number);

  // The comb: states with most transitions first, each at the lowest offset where its teeth fit.
  const reports: number[][] = [];
  const teeth = representative.map((s) => {
    const out: [number, number][] = [];
    const base = flags[s] as number;
    if (s < 2) return out;
    for (const [c, state] of [...(rows[s] as Map<number, number>)].sort((a, b) => a[0] - b[0])) {
      const to = block[state] as number;
      if (to !== block[target(base, c)]) out.push([c, to]);
    }
    if (reported[s]?.length) out.push([REPORT, reports.push(reported[s] as number[]) - 1]);
    return out;
  });
  const largest = () => {
    const states = new Map<string, number>();
    for (const s of representative) {
      const piece = grownBy[s] as number;
      if (piece >= 0) states.set(nameOf(piece), (states.get(nameOf(piece)) ?? 0) + 1);
    }
    return [...states].sort((a, b) => b[1] - a[1])[0]?.[0];
  };
  const offsets = new Int32Array(representative.length).fill(-1);
  const taken = new Uint8Array(combMax + 512);
  const usedOffset = new Uint8Array(combMax + 512);
  let low = 0;
  const next = new Map<string, number>();
  let used = 0;
  const order = representative
    .map((_, b) => b)
    .sort((a, b) => (teeth[b]?.length ?? 0) - (teeth[a]?.length ?? 0));
  for (const b of order) {
    const mine = teeth[b] as [number, number][];
    while (taken[low]) low++;
    // What did not fit below cannot fit now: the same teeth go on where the last ones found room.
    const shape = mine.map(([c]) => c).join();
    let offset = next.get(shape) ?? Math.max(0, mine.length ? low - (mine[0] as [number, number])[0] : 0);
    while (usedOffset[offset] || mine.some(([c]) => taken[offset + c])) {
      offset++;
      if (offset >= combMax) {
        throw new RuleError(
          `rule ${largest()}: the rules do not fit in ${combMax} entries; it takes most of them`,
        );
      }
    }
    offsets[b] = offset;
    next.set(shape, offset + 1);
    usedOffset[offset] = 1;
    for (const [c] of mine) taken[offset + c] = 1;
    used = Math.max(used, offset + 256);
  }
  const encode = (b: number) => {
    const s = representative[b] as number;
    return ((offsets[b] as number) << 2) | (reported[s]?.length ? 2 : 0) | (flags[s] as number);
  };
  const entries = new Uint32Array(used);
  teeth.forEach((mine, b) => {
    for (const [c, to] of mine) {
      const value = c === REPORT ? to : encode(to);
      entries[(offsets[b] as number) + c] = ((value << 8) | (c + 1)) >>> 0;
    }
  });
  const defaults = [0, 1].map((s) =>
    Uint32Array.from({ length: 256 }, (_, c) => encode(block[target(s, Math.min(c, count - 1))] as number)),
  ) as [Uint32Array, Uint32Array];
  return {
    classes,
    defaults,
    entries,
    reports,
    start: encode(block[1] as number),
    idle: encode(block[0] as number),
    states: representative.length,
  };
}
