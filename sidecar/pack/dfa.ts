// The automaton of all pieces (nfa.ts) made deterministic, by subset construction over classes of bytes, with equal states merged.
//
// Every pattern may start after each word boundary; instead of carrying hundreds of start positions in every set, a state is
// (did a boundary just pass, positions in hand), and the start positions are added by transition. Whether a word ends where a
// piece does is left to the reader of the table: as a transition it would cost every piece one state for each kind of punctuation.
//
// States 0 and 1 are those without a position in hand, inside a word and after a boundary. Most others differ from the one of
// their kind in a few classes, and have only those in their rows.
//
// Bound: the states and the work that the caller allows; what would need more is refused, naming the rule that grew it.
import type { ByteClasses, Nfa } from "./nfa.ts";

/** Rules that do not compile: the message names one of them. */
export class RuleError extends Error {
  override name = "RuleError";
}

/** Where the construction gives up. */
export interface DfaLimits {
  states: number;
  /** Transitions of single positions looked at. */
  work: number;
}

export interface State {
  /** 1: a boundary just passed. */
  readonly after: 0 | 1;
  /** The pieces that end here. */
  readonly reports: readonly number[];
  /** The last of the pieces in its set; -1: none. */
  readonly grownBy: number;
  /** Class → state. */
  row: ReadonlyMap<number, number>;
}

export interface Dfa {
  readonly bytes: ByteClasses;
  readonly states: readonly State[];
}

/** Where `state` leads by a class: as its own row says, else that of its kind. */
export function target({ states, bytes }: Dfa, state: number, byClass: number): number {
  const { row, after } = states[state] as State;
  return row.get(byClass) ?? states[after]?.row.get(byClass) ?? (bytes.isBoundary[byClass] ? 1 : 0);
}

const NONE: ReadonlySet<number> = new Set();

class Subsets {
  readonly #nfa: Nfa;
  readonly #bytes: ByteClasses;
  readonly #nameOf: (piece: number) => string;
  readonly #limits: DfaLimits;
  readonly #closures = new Map<number, number[]>();
  readonly #numbers = new Map<string, number>();
  readonly #sets: ReadonlySet<number>[] = [];
  readonly #states: State[] = [];
  #work = 0;

  constructor(nfa: Nfa, bytes: ByteClasses, nameOf: (piece: number) => string, limits: DfaLimits) {
    this.#nfa = nfa;
    this.#bytes = bytes;
    this.#nameOf = nameOf;
    this.#limits = limits;
  }

  construct(): State[] {
    const { anywhere, bounded } = this.#nfa;
    const starts = [anywhere, [...anywhere, ...bounded]].map((from) =>
      this.#step(from.flatMap((position) => this.#closure(position))),
    );
    this.#stateOf(0, NONE);
    this.#stateOf(1, NONE);
    for (let number = 0; number < this.#states.length; number++) {
      const state = this.#states[number] as State;
      const set = this.#sets[number] as ReadonlySet<number>;
      state.row = this.#rowOf(set, starts[state.after] as Steps, number < 2);
      // Not needed any more, and there may be very many.
      this.#sets[number] = NONE;
    }
    return this.#states;
  }

  /** Only what differs from the row of its kind, which is `whole`. */
  #rowOf(set: ReadonlySet<number>, starts: Steps, whole: boolean): Map<number, number> {
    const own = this.#step(set);
    if (this.#work > this.#limits.work) {
      const rule = this.#nameOf(this.#nfa.owner[[...set][0] ?? 0] as number);
      throw new RuleError(`rule ${rule}: the rules take too long to compile; make their pieces simpler`);
    }
    const row = new Map<number, number>();
    for (const byClass of (whole ? starts : own).keys()) {
      const mine = own.get(byClass);
      const theirs = starts.get(byClass);
      const all = mine && theirs ? new Set([...mine, ...theirs]) : (mine ?? theirs ?? NONE);
      row.set(byClass, this.#stateOf(this.#bytes.isBoundary[byClass] ? 1 : 0, all));
    }
    return row;
  }

  /** What a position is at the same time. Only positions that step or end a piece matter to a set. */
  #closure(position: number): number[] {
    const known = this.#closures.get(position);
    if (known) return known;
    const { empty, steps, ends } = this.#nfa;
    const seen = new Set([position]);
    for (const p of seen) for (const q of empty[p] as number[]) seen.add(q);
    const found = [...seen].filter((p) => steps[p]?.length || ends[p] !== undefined);
    this.#closures.set(position, found);
    return found;
  }

  #step(positions: Iterable<number>): Steps {
    const { steps } = this.#nfa;
    const { ofSet } = this.#bytes;
    const found: Steps = new Map();
    for (const p of positions) {
      for (const [set, to] of steps[p] as [number, number][]) {
        const closure = this.#closure(to);
        const classes = ofSet[set] as readonly number[];
        this.#work += classes.length;
        for (const byClass of classes) {
          let into = found.get(byClass);
          if (!into) {
            into = new Set();
            found.set(byClass, into);
          }
          for (const q of closure) into.add(q);
        }
      }
    }
    return found;
  }

  #stateOf(after: 0 | 1, set: ReadonlySet<number>): number {
    const positions = [...set].sort((a, b) => a - b);
    const key = `${after}:${positions.join()}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const { owner, ends } = this.#nfa;
    const last = positions.at(-1);
    const grownBy = last === undefined ? -1 : (owner[last] as number);
    if (this.#states.length >= this.#limits.states)
      throw new RuleError(
        `rule ${this.#nameOf(grownBy)}: the automaton grew past ${this.#limits.states} states; make its pieces shorter`,
      );
    const ending = positions.map((p) => ends[p]).filter((piece) => piece !== undefined);
    const reports = [...new Set(ending)];
    const number = this.#states.push({ after, reports, grownBy, row: new Map() }) - 1;
    this.#numbers.set(key, number);
    this.#sets.push(set);
    return number;
  }
}

/** Class → the positions that one byte of it leads to. */
type Steps = Map<number, Set<number>>;

/** Makes `nfa` deterministic; `nameOf` tells the rule of a piece. Throws RuleError. */
export function dfaOf(
  nfa: Nfa,
  bytes: ByteClasses,
  nameOf: (piece: number) => string,
  limits: DfaLimits,
): Dfa {
  return { bytes, states: new Subsets(nfa, bytes, nameOf, limits).construct() };
}

/**
 * For each state the one that stands for it and all that are equal to it. They are merged from the ends of the pieces back:
 * states are numbered breadth first, so one pass in reverse merges all but what hangs on a loop, and a merge is right
 * whenever one stops.
 */
export function mergedStates(dfa: Dfa): number[] {
  const same = Int32Array.from(dfa.states, (_, number) => number);
  const find = (number: number): number => {
    let root = number;
    while (same[root] !== root) root = same[root] as number;
    same[number] = root;
    return root;
  };
  for (let pass = 0; pass < 3; pass++) {
    const known = new Map<string, number>();
    for (let number = dfa.states.length - 1; number > 1; number--) {
      if (same[number] !== number) continue;
      const { after, reports, row } = dfa.states[number] as State;
      let key = `${after}:${reports.join()}`;
      for (const [byClass, to] of sorted(row))
        if (find(to) !== find(target(dfa, after, byClass))) key += `,${byClass}:${find(to)}`;
      const twin = known.get(key);
      if (twin === undefined) known.set(key, number);
      else same[number] = twin;
    }
  }
  return dfa.states.map((_, number) => find(number));
}

/** A row in the order of its classes. */
export const sorted = (row: ReadonlyMap<number, number>): [number, number][] =>
  [...row].sort((a, b) => a[0] - b[0]);
