// Where may a rule begin? Most words of a text begin none, and the filter skips these without asking the automaton:
// it looks up the first bytes of a word in a bit set that is made here.
//
// Only pieces that begin a pattern count: the others matter for a stretch after a piece before them was found, and
// there the automaton reads everything.
//
//   long    the first LONG bytes, whatever they are (`the ne` of `the new instruction`)
//   short   of a piece that may end before, or that has too many long keys: the first KEY bytes, cut before the first
//           byte that is in no word; if it begins with punctuation, its first two bytes
//   inside  bytes that a piece may begin with in the middle of a word (scripts without spaces, `\w*`, punctuation)
//
// Both kinds are hashed to bits, and what has its bit set is looked up in a table of the keys themselves (keys.ts).
//
// Bound: KEYS_MAX keys; rules with more (`\w{4}` at a start) get no bit sets, and the filter reads every word.
import { type Node, type Piece, wordBytes } from "./regex.ts";

export const LONG = 6;
const KEY = 4;
export const LONG_BITS = 16;
export const SHORT_BITS = 14;
const KEYS_MAX = 12288;
/** Long keys of one piece; with more it counts by its short ones. */
const LONG_KEYS_MAX = 2048;

export interface Prefixes {
  /** By the hash of a key two bits: some piece that begins a pattern begins with it, some piece does. */
  longBits: Uint8Array;
  shortBits: Uint8Array;
  /** 32 bytes: a bit per byte value. */
  inside: Uint8Array;
  /** The keys themselves, and the groups (below) of the pieces that begin with each. */
  long: Map<string, number>;
  short: Map<string, number>;
  /** False: the bit sets say nothing. */
  usable: boolean;
}

/** The group of pieces that begin a pattern, bit 0; the other pieces are in group 1 … 31 by the piece that goes before. */
export const FIRST = 1;
export const GROUPS = 32;

class TooMany extends Error {}

// As in assembly/inspect/rules-seek.ts.
export const numberOf = (key: string) =>
  [...key].reduce((sum, c, i) => sum | (BigInt(c.charCodeAt(0)) << BigInt(8 * i)), 0n);
export const longHash = (key: string) =>
  Number(BigInt.asUintN(64, numberOf(key) * 0x9e3779b185ebca87n) >> BigInt(64 - LONG_BITS));
export const shortHash = (key: string) =>
  Number(BigInt.asUintN(32, numberOf(key) * 0x9e3779b1n) >> BigInt(32 - SHORT_BITS));

/** The prefixes of `pieces`, of which each is in the groups (a bit set) that `groupsOf` says. */
export function prefixesOf(pieces: readonly Piece[], groupsOf: (piece: number) => number): Prefixes {
  const inside = new Uint8Array(32);
  const know = (bits: Uint8Array, hash: number, groups: number) => {
    const known = 2 | (groups & FIRST);
    bits[hash >> 2] = (bits[hash >> 2] as number) | (known << ((hash & 3) << 1));
  };
  const long = new Map<string, number>();
  const short = new Map<string, number>();
  const longBits = new Uint8Array(1 << (LONG_BITS - 2));
  const shortBits = new Uint8Array(1 << (SHORT_BITS - 2));
  try {
    pieces.forEach((piece, number) => {
      const put = (keys: Map<string, number>, key: string) =>
        keys.set(key, (keys.get(key) ?? 0) | groupsOf(number));
      const whole = longKeys(piece.node);
      for (const key of whole?.done ?? []) put(long, key);
      if (!whole || whole.open.size) for (const key of shortKeys(piece, whole?.open)) put(short, key);
      if (short.size + long.size > KEYS_MAX) throw new TooMany();
    });
  } catch (error) {
    if (!(error instanceof TooMany)) throw error;
    return { longBits, shortBits, inside, long: new Map(), short: new Map(), usable: false };
  }
  for (const [key, groups] of long) know(longBits, longHash(key), groups);
  for (const [key, groups] of short) know(shortBits, shortHash(key), groups);
  for (const piece of pieces) {
    if (piece.startBound) continue;
    for (const byte of firstBytes(piece.node))
      inside[byte >> 3] = (inside[byte >> 3] as number) | (1 << (byte & 7));
  }
  return { longBits, shortBits, inside, long, short, usable: true };
}

/** Prefixes while they grow: still open, and those that nothing more can be added to. */
interface Growth {
  open: Set<string>;
  done: Set<string>;
}

export const inWord = (key: string) => wordBytes.has(key.charCodeAt(0));

/** When a prefix is done: with the byte that makes it so, or before it. */
type Closing = (key: string, byte: number) => "before" | "with" | "no";

const longClosing: Closing = (key) => (key.length + 1 === LONG ? "with" : "no");
const shortClosing: Closing = (key, byte) => {
  if (key !== "" && inWord(key) && !wordBytes.has(byte)) return "before";
  const room = key === "" ? wordBytes.has(byte) : inWord(key);
  return key.length + 1 === (room ? KEY : 2) ? "with" : "no";
};

/** The long keys of a piece, and as `open` what it may be when it ends earlier; nothing if there are too many. */
function longKeys(node: Node): Growth | undefined {
  try {
    return grow(node, { open: new Set([""]), done: new Set() }, longClosing, LONG_KEYS_MAX);
  } catch (error) {
    if (error instanceof TooMany) return undefined;
    throw error;
  }
}

/** The short keys of the texts in `ends`, or of all that the piece may begin with. */
function shortKeys({ node, endBound }: Piece, ends: Set<string> | undefined): Set<string> {
  const start: Growth = { open: new Set([""]), done: new Set() };
  const texts = [...(ends ?? [])].map((text): Node => {
    const bytes = [...text].map((c): Node => ({ type: "bytes", set: new Set([c.charCodeAt(0)]) }));
    return { type: "seq", items: bytes };
  });
  const { open, done } = grow(ends ? { type: "alt", items: texts } : node, start, shortClosing, KEYS_MAX);
  for (const key of open) {
    done.add(key);
    // A word may go on where the piece does not end it.
    if (inWord(key) && endBound) continue;
    const room = (inWord(key) ? KEY : 2) - key.length;
    if (room > 1) throw new TooMany();
    for (let byte = 0; byte < 256; byte++)
      if (!inWord(key) || wordBytes.has(byte)) done.add(key + String.fromCharCode(byte));
  }
  return done;
}

function grow(node: Node, from: Growth, closing: Closing, most: number): Growth {
  if (from.open.size + from.done.size > most) throw new TooMany();
  if (from.open.size === 0) return from;
  const on = (item: Node, growth: Growth) => grow(item, growth, closing, most);
  if (node.type === "seq") return node.items.reduce((growth, item) => on(item, growth), from);
  if (node.type === "alt") return union(node.items.map((item) => on(item, from)));
  if (node.type === "repeat") {
    let growth = from;
    for (let i = 0; i < node.min; i++) growth = on(node.item, growth);
    // LONG bytes close every prefix, so more rounds change nothing.
    for (let i = 0; i < Math.min(node.max - node.min, LONG); i++)
      growth = union([growth, on(node.item, growth)]);
    return growth;
  }
  const open = new Set<string>();
  const done = new Set(from.done);
  for (const key of from.open) {
    for (const byte of node.set) {
      const closes = closing(key, byte);
      const longer = key + String.fromCharCode(byte);
      if (closes === "before") done.add(key);
      else (closes === "with" ? done : open).add(longer);
    }
  }
  return { open, done };
}

function union(all: Growth[]): Growth {
  return {
    open: new Set(all.flatMap(({ open }) => [...open])),
    done: new Set(all.flatMap(({ done }) => [...done])),
  };
}

function firstBytes(node: Node): Set<number> {
  const first: Closing = () => "with";
  const { done } = grow(node, { open: new Set([""]), done: new Set() }, first, KEYS_MAX);
  return new Set([...done].map((key) => key.charCodeAt(0)));
}
