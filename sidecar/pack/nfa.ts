// Pieces of patterns → positions, and the sets of bytes that lead from one to the next: the automaton before it is made
// deterministic (dfa.ts). And the classes of bytes that no set tells apart, by which everything after it goes.
import { type Node, type Piece, wordBytes } from "./regex.ts";

export interface Nfa {
  /** From each position the steps by one byte: the number of a set, and where they lead. */
  readonly steps: [set: number, to: number][][];
  /** From each position where it leads without a byte. */
  readonly empty: number[][];
  /** The piece that ends at a position. */
  readonly ends: (number | undefined)[];
  /** The piece that a position is of. */
  readonly owner: number[];
  /** Where pieces begin: those that need a boundary before them, and those that do not. */
  readonly bounded: number[];
  readonly anywhere: number[];
  readonly sets: Set<number>[];
}

const nonWord = new Set(Array.from({ length: 256 }, (_, b) => b).filter((b) => !wordBytes.has(b)));

class Builder implements Nfa {
  readonly steps: [number, number][][] = [];
  readonly empty: number[][] = [];
  readonly ends: (number | undefined)[] = [];
  readonly owner: number[] = [];
  readonly bounded: number[] = [];
  readonly anywhere: number[] = [];
  readonly sets: Set<number>[] = [];
  readonly #setNumbers = new Map<string, number>();

  setNumber(set: Set<number>): number {
    const key = [...set].sort((a, b) => a - b).join();
    const known = this.#setNumbers.get(key);
    if (known !== undefined) return known;
    const number = this.sets.push(set) - 1;
    this.#setNumbers.set(key, number);
    return number;
  }

  add(piece: Piece, number: number): void {
    const from = this.#position();
    (piece.startBound ? this.bounded : this.anywhere).push(from);
    this.ends[this.#build(piece.node, from)] = number;
    while (this.owner.length < this.steps.length) this.owner.push(number);
  }

  #position(): number {
    this.steps.push([]);
    this.empty.push([]);
    return this.ends.push(undefined) - 1;
  }

  /** Where `node` leads from `from`. */
  #build(node: Node, from: number): number {
    if (node.type === "bytes") {
      const to = this.#position();
      this.steps[from]?.push([this.setNumber(node.set), to]);
      return to;
    }
    if (node.type === "seq") return node.items.reduce((at, item) => this.#build(item, at), from);
    if (node.type === "alt") {
      const to = this.#position();
      for (const item of node.items) this.empty[this.#build(item, from)]?.push(to);
      return to;
    }
    let at = from;
    for (let i = 0; i < node.min; i++) at = this.#build(node.item, at);
    if (node.max === Number.POSITIVE_INFINITY) {
      const loop = this.#position();
      this.empty[at]?.push(loop);
      this.empty[this.#build(node.item, loop)]?.push(loop);
      return loop;
    }
    const end = this.#position();
    this.empty[at]?.push(end);
    for (let i = node.min; i < node.max; i++) {
      at = this.#build(node.item, at);
      this.empty[at]?.push(end);
    }
    return end;
  }
}

export function nfaOf(pieces: readonly Piece[]): Nfa {
  const builder = new Builder();
  // So that every class lies on one side of a boundary.
  builder.setNumber(nonWord);
  pieces.forEach((piece, number) => {
    builder.add(piece, number);
  });
  return builder;
}

export interface ByteClasses {
  /** Of each byte. */
  readonly of: Uint8Array;
  readonly count: number;
  /** Of each class, whether its bytes are in no word. */
  readonly isBoundary: readonly boolean[];
  /** The classes of each set. */
  readonly ofSet: readonly (readonly number[])[];
}

/** Bytes are of one class that every set has, or has not. */
export function byteClasses({ sets }: Nfa): ByteClasses {
  const of = new Uint8Array(256);
  const known = new Map<string, number>();
  const isBoundary: boolean[] = [];
  for (let byte = 0; byte < 256; byte++) {
    let key = "";
    for (let i = 0; i < sets.length; i++) if (sets[i]?.has(byte)) key += `${i},`;
    const number = known.get(key) ?? known.size;
    if (number === known.size) isBoundary.push(nonWord.has(byte));
    known.set(key, number);
    of[byte] = number;
  }
  const ofSet = sets.map((set) => [...new Set([...set].map((byte) => of[byte] as number))]);
  return { of, count: known.size, isBoundary, ofSet };
}
