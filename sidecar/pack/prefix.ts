// Where may a rule begin? Most words of a text begin none, and the filter skips these without asking the automaton:
// it looks up the first bytes of a word in a bit set that is made here.
//
// Only pieces that begin a pattern count: the others matter for a stretch after a piece before them was found, and
// there the automaton reads everything.
//
//   key     the first KEY bytes, cut before the first byte that is in no word (`do not` → `do`); of a piece that
//           begins with punctuation, its first two bytes
//   bits    bit hash(key) of 2^BITS says that some piece begins like this; wrongly set bits only cost time
//   inside  bytes that a piece may begin with in the middle of a word (scripts without spaces, `\w*`, punctuation)
//
// Bound: KEYS_MAX keys; rules with more (`\w{4}` at a start) get no bit set, and the filter reads every word.
import { type Node, type Piece, wordBytes } from "./regex.ts";

const KEY = 4;
const BITS = 16;
const KEYS_MAX = 8192;
/** Bytes of the bit set. */
export const PREFIX_BYTES = 1 << (BITS - 3);

export interface Prefixes {
  bits: Uint8Array;
  /** 32 bytes: a bit per byte value. */
  inside: Uint8Array;
  /** False: `bits` says nothing. */
  usable: boolean;
}

class TooMany extends Error {}

/** The bit of a key, given as its bytes. As in assembly/inspect/rules-seek.ts. */
function hash(key: readonly number[]): number {
  const value = key.reduce((sum, byte, i) => sum + byte * 256 ** i, 0);
  return Math.imul(value | 0, 0x9e3779b1) >>> (32 - BITS);
}

/** The prefixes of `pieces`. */
export function prefixesOf(pieces: readonly Piece[]): Prefixes {
  const bits = new Uint8Array(PREFIX_BYTES);
  const inside = new Uint8Array(32);
  const keys = new Set<string>();
  try {
    for (const piece of pieces) {
      for (const key of keysOf(piece)) keys.add(key);
      if (keys.size > KEYS_MAX) throw new TooMany();
    }
  } catch (error) {
    if (error instanceof TooMany) return { bits, inside, usable: false };
    throw error;
  }
  for (const key of keys) {
    const bit = hash([...key].map((c) => c.charCodeAt(0)));
    bits[bit >> 3] = (bits[bit >> 3] as number) | (1 << (bit & 7));
  }
  for (const piece of pieces) {
    if (piece.startBound) continue;
    for (const byte of firstBytes(piece.node))
      inside[byte >> 3] = (inside[byte >> 3] ?? 0) | (1 << (byte & 7));
  }
  return { bits, inside, usable: true };
}

/** Prefixes while they grow: still open, and those that nothing more can be added to. */
interface Growth {
  open: Set<string>;
  done: Set<string>;
}

const inWord = (key: string) => wordBytes.has(key.charCodeAt(0));

function keysOf({ node, endBound }: Piece): Set<string> {
  const { open, done } = grow(node, { open: new Set([""]), done: new Set() });
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

function grow(node: Node, from: Growth): Growth {
  if (from.open.size + from.done.size > KEYS_MAX) throw new TooMany();
  if (from.open.size === 0) return from;
  if (node.type === "seq") return node.items.reduce((growth, item) => grow(item, growth), from);
  if (node.type === "alt") return union(node.items.map((item) => grow(item, from)));
  if (node.type === "repeat") {
    let growth = from;
    for (let i = 0; i < node.min; i++) growth = grow(node.item, growth);
    // KEY bytes close every prefix, so more rounds change nothing.
    for (let i = 0; i < Math.min(node.max - node.min, KEY); i++)
      growth = union([growth, grow(node.item, growth)]);
    return growth;
  }
  const open = new Set<string>();
  const done = new Set(from.done);
  for (const key of from.open) {
    for (const byte of node.set) {
      const longer = key + String.fromCharCode(byte);
      if (key !== "" && inWord(key) && !wordBytes.has(byte)) done.add(key);
      else (longer.length === (inWord(longer) ? KEY : 2) ? done : open).add(longer);
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
  const { open, done } = grow(node, { open: new Set([""]), done: new Set() });
  return new Set([...open, ...done].map((key) => key.charCodeAt(0)));
}
