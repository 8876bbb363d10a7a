// The pattern language of rules: a regular subset that compiles to a DFA, over normalised text.
//
//   pattern   piece (gap piece)*                       pieces in this order, each gap at most n words wide
//   gap       ~{0,n}                                   n ≤ 12 words and 12·n + 2 bytes; without spaces: only bytes
//   piece     alternatives of sequences: literals, [a-z] [^"] classes, ( | ), ? and {m,n} with n ≤ 16
//   .         one character, not a space              \w  one ASCII letter, digit or `_`
//   space     one space, `-` or `_`; ` ?` if it may be missing \_  a space that must be there
//   \x        the sign x itself, no letter or digit    {NAME}  a macro, put in parentheses
//
// A piece is bounded by words on either side, unless it starts or ends with `\w*`, which says "any rest of
// the word", with punctuation, or with a letter of a script that does not put spaces between words (Chinese,
// Japanese, Thai; Korean, which puts endings to words). Capitals in a class are small letters, as in the text. `*` and `+` are allowed on a class of ASCII characters only; what
// may be long is a gap, because an open loop would multiply the states of all other rules. Literals are folded like the text (regex-fold.ts).
import { composed, foldText, isSymbol } from "./regex-fold.ts";

const REPEAT_MAX = 16;
const GAP_MAX = 12;
/** Bytes that a gap of n words may span. */
export const gapBytes = (words: number) => 12 * words + 2;

export class PatternError extends Error {
  override name = "PatternError";
}

/** A node of a piece over UTF-8 bytes. */
export type Node =
  /** `open`: of a character of a script that writes words together. */
  | { type: "bytes"; set: Set<number>; open?: boolean }
  | { type: "seq"; items: Node[] }
  | { type: "alt"; items: Node[] }
  | { type: "repeat"; item: Node; min: number; max: number };

export interface Piece {
  node: Node;
  startBound: boolean;
  endBound: boolean;
  source: string;
}

export interface Pattern {
  pieces: Piece[];
  /** Words of the gap before each piece but the first. */
  gaps: number[];
}

const isWordByte = (b: number) => (b >= 48 && b <= 57) || (b >= 97 && b <= 122) || b === 95 || b >= 0x80;
export const wordBytes = new Set(Array.from({ length: 256 }, (_, b) => b).filter(isWordByte));
const seq = (items: Node[]): Node => (items.length === 1 ? (items[0] as Node) : { type: "seq", items });
const byte = (b: number): Node => ({ type: "bytes", set: new Set([b]) });
/** Scripts that write words together, or (Korean) put endings to them. */
const unspaced =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Thai}|\p{Script=Hangul}|ー/u;
const literal = (text: string): Node => seq([...text].flatMap(characterOf));
/** At the end of a word a small sigma is another letter, and which one a capital stood for is not known. */
const SIGMA: Node[] = [byte(0xcf), { type: "bytes", set: new Set([0x82, 0x83]) }];

function characterOf(c: string): Node[] {
  if (c === "σ" || c === "ς") return SIGMA;
  return [...Buffer.from(c)].map((b): Node => ({ type: "bytes", set: new Set([b]), open: unspaced.test(c) }));
}

const space: Node = { type: "bytes", set: new Set([32, 45, 95]) };
const range = (from: number, to: number): Node => ({
  type: "bytes",
  set: new Set(Array.from({ length: to - from + 1 }, (_, i) => from + i)),
});
const continuation = range(0x80, 0xbf);
/** One character beyond ASCII, in well-formed UTF-8. */
const wide: Node[] = [
  seq([range(0xc2, 0xdf), continuation]),
  seq([range(0xe0, 0xef), continuation, continuation]),
  seq([range(0xf0, 0xf4), continuation, continuation, continuation]),
];

const anchor = (c: string) =>
  new PatternError(`"${c}" is no end of a text: a pattern is found anywhere; write \\${c} for the character`);

/** Replaces {NAME} by the macro's text in parentheses, at most 4 deep. */
export function expand(source: string, macros: Record<string, string>, depth = 0): string {
  return source.replace(/(?<!\\)\{([A-Z][A-Z0-9_]*)\}/g, (_, name: string) => {
    const text = macros[name];
    if (text === undefined) throw new PatternError(`unknown macro {${name}}`);
    if (depth === 4) throw new PatternError(`macro {${name}} nests too deep`);
    return `(${expand(text, macros, depth + 1)})`;
  });
}

/** Parses a pattern without macros. */
export function parse(source: string): Pattern {
  const parts = source.split(/ ?~\{0,(\d+)\} ?/);
  const gaps = parts.filter((_, i) => i % 2 === 1).map(Number);
  for (const n of gaps)
    if (n < 1 || n > GAP_MAX) throw new PatternError(`gap ~{0,${n}}: 1 to ${GAP_MAX} words`);
  if (gaps.length > 3) throw new PatternError("at most 3 gaps in a pattern");
  const pieces = parts.filter((_, i) => i % 2 === 0).map(parsePiece);
  return { pieces, gaps };
}

function parsePiece(source: string): Piece {
  let text = source.trim();
  if (text === "") throw new PatternError("an empty piece");
  const open = text.startsWith("\\w*");
  const rest = text.endsWith("\\w*");
  if (open) text = text.slice(3);
  if (rest) text = text.slice(0, -3);
  const node = new Parser(text).parse();
  if (minLength(node) < 1) throw new PatternError(`"${source}" matches nothing at all`);
  return {
    node,
    startBound: !open && edgeBound(node, false),
    endBound: !rest && edgeBound(node, true),
    source,
  };
}

/**
 * The piece as pieces of one kind of edges each: of `(url|@)` only `@` may begin and end inside a word. Together they
 * match what the piece is meant to.
 */
export function variants(piece: Piece): Piece[] {
  const items = alternativesOf(piece.node);
  if (items.length === 1 || (piece.startBound && piece.endBound)) return [piece];
  const open = piece.source.trim().startsWith("\\w*");
  const rest = piece.source.trim().endsWith("\\w*");
  const byEdges = new Map<string, Piece & { items: Node[] }>();
  for (const item of items) {
    const startBound = !open && edgeBound(item, false);
    const endBound = !rest && edgeBound(item, true);
    const key = `${startBound}${endBound}`;
    const known = byEdges.get(key);
    if (known) known.items.push(item);
    else
      byEdges.set(key, { ...piece, startBound, endBound, source: `${piece.source} ${key}`, items: [item] });
  }
  return [...byEdges.values()].map(({ items, ...rest }) => ({ ...rest, node: { type: "alt", items } }));
}

function alternativesOf(node: Node): Node[] {
  if (node.type === "alt") return node.items.flatMap(alternativesOf);
  const [only] = node.type === "seq" ? node.items : [];
  return node.type === "seq" && node.items.length === 1 && only ? alternativesOf(only) : [node];
}

/** Whether every character that can stand at that edge belongs to words with spaces between them. */
function edgeBound(node: Node, last: boolean): boolean {
  if (node.type === "bytes") return !node.open && [...node.set].every(isWordByte);
  if (node.type === "alt") return node.items.every((x) => edgeBound(x, last));
  if (node.type === "repeat") return edgeBound(node.item, last);
  const items = last ? [...node.items].reverse() : node.items;
  for (const item of items) {
    if (!edgeBound(item, last)) return false;
    if (minLength(item) > 0) return true;
  }
  return true;
}

function character(c: string): Node {
  if (isSymbol(c)) throw new PatternError(`"${c}" is a symbol: texts are read with a space in its place`);
  return literal(foldText(c));
}

class Parser {
  private at = 0;
  private readonly chars: string[];
  constructor(text: string) {
    this.chars = [...composed(text)];
  }

  parse(): Node {
    const node = this.alternatives();
    if (this.at < this.chars.length) throw new PatternError(`unexpected "${this.chars[this.at]}"`);
    return node;
  }

  private alternatives(): Node {
    const items = [this.sequence()];
    while (this.chars[this.at] === "|") {
      this.at++;
      items.push(this.sequence());
    }
    return items.length === 1 ? (items[0] as Node) : { type: "alt", items };
  }

  private sequence(): Node {
    const items: Node[] = [];
    if (this.chars[this.at] === "^") throw anchor("^");
    while (this.at < this.chars.length && this.chars[this.at] !== "|" && this.chars[this.at] !== ")") {
      items.push(this.repeated(this.atom()));
    }
    return { type: "seq", items };
  }

  private atom(): Node {
    const c = this.chars[this.at++] as string;
    if (c === "(") {
      const node = this.alternatives();
      if (this.chars[this.at++] !== ")") throw new PatternError("a parenthesis is not closed");
      return node;
    }
    if (c === "[") return this.charClass();
    if (c === " ") return space;
    if (c === ".") {
      const plain = Array.from({ length: 95 }, (_, i) => 33 + i).filter((b) => b < 127);
      return { type: "alt", items: [{ type: "bytes", set: new Set(plain) }, ...wide] };
    }
    if (c === "\\") {
      const name = this.chars[this.at];
      if (name === "w" || name === "_") this.at++;
      if (name === "w") return { type: "bytes", set: new Set([...wordBytes].filter((b) => b < 0x80)) };
      if (name === "_") return byte(32);
      return character(this.sign());
    }
    if (c === "$" && [undefined, "|", ")"].includes(this.chars[this.at])) throw anchor("$");
    if ("?*+{}]".includes(c))
      throw new PatternError(`"${c}" has nothing to repeat; write \\${c} for the character`);
    return character(c);
  }

  /** What a backslash was before: only signs stand for themselves, so that `\d` is no `d`. */
  private sign(): string {
    const c = this.chars[this.at++];
    if (c === undefined) throw new PatternError("a backslash at the end");
    if (/[\p{L}\p{N}]/u.test(c))
      throw new PatternError(
        `"\\${c}" is unknown: outside of classes there are \\w (a letter, digit or _) and \\_ (a space), anywhere a backslash before a sign; a digit is [0-9]`,
      );
    return c;
  }

  /** One character of a class. */
  private classCharacter(): number {
    const c = this.chars[this.at++];
    if (c === undefined) throw new PatternError("a class is not closed");
    return (c === "\\" ? this.sign() : c).charCodeAt(0);
  }

  private charClass(): Node {
    const set = new Set<number>();
    const negated = this.chars[this.at] === "^";
    if (negated) this.at++;
    for (;;) {
      if (this.chars[this.at] === "]") break;
      const from = this.classCharacter();
      let to = from;
      if (this.chars[this.at] === "-" && this.chars[this.at + 1] !== "]") {
        this.at++;
        to = this.classCharacter();
      }
      if (from > 126 || to > 126 || to < from)
        throw new PatternError("a class holds ASCII characters; use (é|è) for others");
      for (let b = from; b <= to; b++) set.add(b >= 65 && b <= 90 ? b | 32 : b);
    }
    this.at++;
    if (!negated) return { type: "bytes", set };
    const rest = new Set(Array.from({ length: 95 }, (_, i) => 32 + i).filter((b) => !set.has(b)));
    return { type: "alt", items: [{ type: "bytes", set: rest }, ...wide] };
  }

  private repeated(item: Node): Node {
    const c = this.chars[this.at];
    if (c === "?") {
      this.at++;
      return { type: "repeat", item, min: 0, max: 1 };
    }
    if (c === "*" || c === "+") {
      this.at++;
      if (item.type !== "bytes")
        throw new PatternError(`"${c}" repeats one character or class; use {m,n} for more`);
      return { type: "repeat", item, min: c === "+" ? 1 : 0, max: Number.POSITIVE_INFINITY };
    }
    if (c === "{") {
      const bounds = /^\{(\d+)(?:,(\d+))?\}/.exec(this.chars.slice(this.at).join(""));
      if (!bounds) throw new PatternError("braces hold {m}, {m,n} or a macro's name");
      this.at += bounds[0].length;
      const min = Number(bounds[1]);
      const max = Number(bounds[2] ?? bounds[1]);
      if (min > max) throw new PatternError(`{${min},${max}}: the first number is above the last`);
      if (max > REPEAT_MAX || max === 0)
        throw new PatternError(`{${min},${max}}: the last number is from 1 to ${REPEAT_MAX}`);
      return { type: "repeat", item, min, max };
    }
    return item;
  }
}

/** The fewest bytes that the node matches. */
export function minLength(node: Node): number {
  if (node.type === "bytes") return 1;
  if (node.type === "seq") return node.items.reduce((n, x) => n + minLength(x), 0);
  if (node.type === "alt") return Math.min(...node.items.map(minLength));
  return node.min * minLength(node.item);
}

/** The most bytes that the node matches, an open repetition counted as 24. */
export function maxLength(node: Node): number {
  if (node.type === "bytes") return 1;
  if (node.type === "seq") return node.items.reduce((n, x) => n + maxLength(x), 0);
  if (node.type === "alt") return Math.max(...node.items.map(maxLength));
  return Math.min(node.max, 24) * maxLength(node.item);
}

/** The most spaces in what the node matches. */
export function maxSpaces(node: Node): number {
  if (node.type === "bytes") return node.set.has(32) ? 1 : 0;
  if (node.type === "seq") return node.items.reduce((n, x) => n + maxSpaces(x), 0);
  if (node.type === "alt") return Math.max(...node.items.map(maxSpaces));
  return Math.min(node.max, 24) * maxSpaces(node.item);
}
