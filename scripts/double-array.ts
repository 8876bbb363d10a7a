// Builds a double-array trie: byte strings → small numbers, four bytes for each trie node, one dependent load
// for each byte of a walk. It is what makes a vocabulary of 200,000 tokens fit 2 MB and still answer "longest
// token here" in one walk.
//
//   unit   31        30      29          28      8 7     0
//         ┌─────────┬───────┬───────────┬─────────┬───────┐
//         │ no edge │ leaf  │ has value │ base/id │ label │   an edge: its byte is the label
//         └─────────┴───────┴───────────┴─────────┴───────┘
//
// The child of a node along byte c is unit `base ^ c`, and it is that child if its label is c: bases are unique,
// so a label cannot match by accident. A leaf keeps its value in place of a base; an inner node that has a value
// keeps it in unit `base ^ 256`, which is marked "no edge", as free units are.
//
// Bounds: values and bases below 2^21; the search for a base is first-fit with a bounded number of tries.

export const NO_EDGE = 0x80000000;
export const LEAF = 0x40000000;
export const HAS_VALUE = 0x20000000;
const BASE_LIMIT = 1 << 21;
/** A free unit that failed this often as a first child is no longer tried: keeps the build near-linear. */
const FAILURES = 48;

/** The base in an inner node's unit. */
export function baseOf(unit: number): number {
  return (unit >>> 8) & (BASE_LIMIT - 1);
}

interface Node {
  unit: number;
  from: number;
  to: number;
  depth: number;
}

class Units {
  used = new Uint8Array(BASE_LIMIT);
  bases = new Uint8Array(BASE_LIMIT);
  words = new Uint32Array(BASE_LIMIT).fill(0xffffffff);
  /** One past the last unit taken. */
  end = 0;
  private failures = new Uint8Array(BASE_LIMIT);
  /** Units that are worth a try as first child, in ascending order; taken ones leave it when met. */
  private next = Uint32Array.from({ length: BASE_LIMIT }, (_, i) => i + 1);

  take(unit: number): void {
    this.used[unit] = 1;
    if (unit >= this.end) this.end = unit + 1;
  }

  /** The first base under which all of `labels` (0 … 256) are free. Bases below 512 stay unused. */
  findBase(labels: number[]): number {
    const label = labels[0] as number;
    for (let before = 511, unit = 0; ; before = unit) {
      unit = this.next[before] as number;
      while (this.used[unit] || (this.failures[unit] as number) > FAILURES) {
        unit = this.next[unit] as number;
        this.next[before] = unit;
      }
      const base = unit ^ label;
      if ((base | 511) >= BASE_LIMIT) throw new Error("double array: more than 2^21 units");
      if (!this.bases[base] && labels.every((l) => !this.used[base ^ l])) {
        this.bases[base] = 1;
        return base;
      }
      if (unit < this.end) this.failures[unit] = (this.failures[unit] as number) + 1;
    }
  }
}

/** `keys` are distinct, not empty, and sorted by bytes; `values` go with them. Returns the units. */
export function doubleArray(keys: Uint8Array[], values: number[]): Uint32Array {
  const units = new Units();
  units.take(0);
  const queue: Node[] = [{ unit: 0, from: 0, to: keys.length, depth: 0 }];
  for (let head = 0; head < queue.length; head++) {
    const { unit, from, to, depth } = queue[head] as Node;
    const label = depth ? ((keys[from] as Uint8Array)[depth - 1] as number) : 0;
    const hasValue = (keys[from] as Uint8Array).length === depth;
    if (hasValue && to - from === 1) {
      units.words[unit] = (LEAF | ((values[from] as number) << 8) | label) >>> 0;
      continue;
    }
    const starts: number[] = [];
    const labels: number[] = [];
    for (let i = hasValue ? from + 1 : from; i < to; i++) {
      const byte = (keys[i] as Uint8Array)[depth] as number;
      if (labels.length && labels[labels.length - 1] === byte) continue;
      labels.push(byte);
      starts.push(i);
    }
    const base = units.findBase(hasValue ? [...labels, 256] : labels);
    units.words[unit] = ((hasValue ? HAS_VALUE : 0) | (base << 8) | label) >>> 0;
    if (hasValue) {
      units.take(base ^ 256);
      units.words[base ^ 256] = (NO_EDGE | (values[from] as number)) >>> 0;
    }
    labels.forEach((byte, i) => {
      const child = base ^ byte;
      units.take(child);
      queue.push({ unit: child, from: starts[i] as number, to: starts[i + 1] ?? to, depth: depth + 1 });
    });
  }
  // A walk looks at any unit of the last block.
  return units.words.slice(0, (units.end | 511) + 1);
}
