// Header maps: ordered, case-insensitive (names are kept lower-case), several values per name, pseudo-headers
// among the rest. Values are byte strings, as node:http has them. Small, so look-ups scan.
import type { Pairs } from "./abi.ts";

export class HeaderMap {
  /** Parallel arrays in wire order; read them, change them through the methods. */
  names: string[] = [];
  values: string[] = [];

  constructor(pairs: Iterable<readonly [string, string]> = []) {
    for (const [name, value] of pairs) this.add(name, value);
  }

  get size(): number {
    return this.names.length;
  }

  /** Bytes of all names and values. */
  get bytes(): number {
    let sum = 0;
    for (let i = 0; i < this.names.length; i++) sum += this.names[i]!.length + this.values[i]!.length;
    return sum;
  }

  /** The first value. */
  get(name: string): string | undefined {
    const i = this.names.indexOf(name.toLowerCase());
    return i < 0 ? undefined : this.values[i];
  }

  add(name: string, value: string): void {
    this.names.push(name.toLowerCase());
    this.values.push(value);
  }

  /** Sets the first value and drops the others. */
  replace(name: string, value: string): void {
    const lower = name.toLowerCase();
    const i = this.names.indexOf(lower);
    if (i < 0) {
      this.add(lower, value);
      return;
    }
    this.values[i] = value;
    this.#removeFrom(lower, i + 1);
  }

  remove(name: string): void {
    this.#removeFrom(name.toLowerCase(), 0);
  }

  #removeFrom(lower: string, from: number): void {
    for (let i = this.names.indexOf(lower, from); i >= 0; i = this.names.indexOf(lower, i)) {
      this.names.splice(i, 1);
      this.values.splice(i, 1);
    }
  }

  assign(pairs: Pairs): void {
    this.names = [];
    this.values = [];
    for (const [name, value] of pairs) this.add(name, value);
  }

  pairs(): Pairs {
    return this.names.map((name, i) => [name, this.values[i]!]);
  }

  /** The content-length as a number; undefined when absent, NaN when it is not a plain number. */
  contentLength(): number | undefined {
    const value = this.get("content-length");
    if (value === undefined) return undefined;
    return /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
  }
}

/** Reads the ABI's serialised pairs (see GuestMemory.givePairs); undefined when they are malformed. */
export function parsePairs(bytes: Buffer): Pairs | undefined {
  if (bytes.length === 0) return [];
  if (bytes.length < 4) return undefined;
  const count = bytes.readUInt32LE(0);
  let at = 4 + count * 8;
  if (at > bytes.length) return undefined;
  const pairs: Pairs = [];
  for (let i = 0; i < count; i++) {
    const name = bytes.readUInt32LE(4 + i * 8);
    const value = bytes.readUInt32LE(8 + i * 8);
    if (at + name + value + 2 > bytes.length) return undefined;
    pairs.push([
      bytes.toString("latin1", at, at + name).toLowerCase(),
      bytes.toString("latin1", at + name + 1, at + name + 1 + value),
    ]);
    at += name + value + 2;
  }
  return pairs;
}
