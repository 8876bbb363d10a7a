// Rules → the binary pack that the filter loads: those of the project and those of a policy alike.
//
// Pack, little-endian; offsets from its start, every section 4-byte aligned:
//
//   0  magic "WRUL" | version u32 | length u32 | source hash, 16 bytes
//  28  rules u16 | long bits u8, short bits u8 | uses u16 | reports u16 | entries u32 | start u32 | idle u32
//  48  flags u32: 1 inside a word without positions nothing matters, 2 the prefixes may be used
//  52  classes u8[256]
//      inside u8[32], long u8[16384], short u8[4096]   where a pattern may begin, and any piece; see prefix.ts
//      defaults u32[2][256]        the state for a class, inside a word and after a boundary
//      keys[2^long bits + 31], keys[2^short bits + 31]      the keys that the bit sets were made of, see keys.ts
//      entries u32[entries]        the comb, see comb.ts
//      reports u32[reports]        where its list begins in `lists`; a state's report is in its tooth REPORT, see comb.ts
//      lists u16[]                 how many uses a report has, and these; how many numbers u32 before it
//      uses { rule u16, slot u16, next u8, words u8, bytes u16, min u16, reach u16 }[uses]
//      rules { id offset u32, id length u8, category u8, score u8, flags u8 }[rules]
//      ids, UTF-8
//
// A use is one piece at one place of one rule. `slot` is where its end is remembered (0xffff: the first piece
// needs nobody before it), `next` the group of the pieces that may follow, 0: with this one the rule is found. `words` and `bytes` bound what may lie
// between the end before and this end (spaces, bytes: the gap and the piece itself), `min` the piece's shortest;
// `reach` is twice the `bytes` of the next use of the rule (how far on it matters that this one was found), plus 1
// if the word must end with the piece.
import { COMB_MAX, type Comb, type CombLimits, compileComb, STATES_MAX } from "./comb.ts";
import { RuleError } from "./dfa.ts";
import { type KeyTable, longTable, noKeys, shortTable } from "./keys.ts";
import { FIRST, GROUPS, prefixesOf } from "./prefix.ts";
import {
  gapBytes,
  maxLength,
  maxSpaces,
  minLength,
  type Pattern,
  type Piece,
  parse,
  variants,
} from "./regex.ts";
import { categories, inRule, type Rule } from "./rules.ts";

const PACK_MAGIC = 0x4c555257;
const PACK_VERSION = 3;
export const PACK_BYTES_MAX = 11 << 17;
const RULES_MAX = 1024;
/** Of a use that needs nobody before it. */
const NO_SLOT = 0xffff;
const SLOTS_MAX = 0xfff0;
/** Bits of the pack's flags. */
const IDLE_INSIDE = 1;
const SEEKS = 2;

/** Bits of a rule's flags, as the filter reads them. */
const RuleFlag = { block: 1, trusted: 2, untrusted: 4 } as const;

interface Use {
  rule: number;
  slot: number;
  next: number;
  words: number;
  bytes: number;
  min: number;
  edge: boolean;
  /** Bytes after its end within which the next piece must end; 0 for a last one. */
  reach: number;
}

export interface CompiledRules {
  pack: Uint8Array;
  rules: Rule[];
  /** Rule, pattern and its pieces, for an oracle. */
  patterns: { rule: number; pattern: Pattern }[];
  states: number;
  classes: number;
  /** The most uses of pieces that can end at one place: what one byte of a text can cost. */
  usesAtOnce: number;
  /** Whether the filter looks for the beginnings of pieces; without, it reads every word, several times slower. */
  seeks: boolean;
}

/** Where compiling gives up. */
export interface RuleLimits extends CombLimits {
  /** Of the pack. */
  bytes: number;
}

const LIMITS: RuleLimits = {
  states: STATES_MAX,
  entries: COMB_MAX,
  work: Number.POSITIVE_INFINITY,
  bytes: PACK_BYTES_MAX,
};

/** A piece of patterns, the same for all that have it. */
interface Part {
  readonly piece: Piece;
  /** The id of the first rule that has it, for messages. */
  readonly rule: string;
  readonly uses: Use[];
  /** Bits: FIRST, and those of the pieces that it may follow. */
  groups: number;
}

/** The pieces of all patterns, and where each is used. */
class Parts {
  readonly patterns: { rule: number; pattern: Pattern }[] = [];
  readonly #parts = new Map<string, Part>();
  readonly #groups = new Map<string, number>();
  #slots = 0;

  get all(): Part[] {
    return [...this.#parts.values()];
  }

  /** Throws RuleError for a pattern that is none. */
  add(rules: readonly Rule[]): void {
    rules.forEach((rule, number) => {
      for (const text of rule.patterns) {
        const pattern = inRule(rule.id, () => parse(text));
        this.patterns.push({ rule: number, pattern });
        pattern.pieces.forEach((piece, part) => {
          const use = this.#useOf(number, pattern, part);
          const before = pattern.pieces[part - 1];
          const group = before ? 1 << this.#groupBehind(before) : FIRST;
          for (const variant of variants(piece)) {
            const known = this.#partOf(variant, rule.id);
            known.groups |= group;
            known.uses.push({ ...use, min: minLength(variant.node), edge: variant.endBound });
          }
        });
      }
    });
    if (this.#slots > SLOTS_MAX) throw new RuleError("too many gaps in all");
  }

  #partOf(piece: Piece, rule: string): Part {
    const known = this.#parts.get(piece.source) ?? { piece, rule, uses: [], groups: 0 };
    this.#parts.set(piece.source, known);
    return known;
  }

  /** A piece's own slot is `slot`; it looks at the slot before. */
  #useOf(rule: number, pattern: Pattern, part: number): Omit<Use, "min" | "edge"> {
    const { pieces, gaps } = pattern;
    const piece = pieces[part] as Piece;
    const isLast = part === pieces.length - 1;
    return {
      rule,
      slot: part === 0 && isLast ? NO_SLOT : this.#slots++,
      next: isLast ? 0 : this.#groupBehind(piece),
      words: part === 0 ? 255 : Math.min(254, (gaps[part - 1] as number) + 1 + maxSpaces(piece.node)),
      bytes: part === 0 ? 0 : reachOf(pattern, part),
      reach: isLast ? 0 : reachOf(pattern, part + 1),
    };
  }

  /** Pieces after one and the same piece are one group. */
  #groupBehind({ source }: Piece): number {
    const known = this.#groups.get(source) ?? 1 + (this.#groups.size % (GROUPS - 1));
    this.#groups.set(source, known);
    return known;
  }
}

/** How far after the end of the piece before it piece `part` may end, in bytes. */
function reachOf({ pieces, gaps }: Pattern, part: number): number {
  return Math.min(0x7fff, gapBytes(gaps[part - 1] as number) + maxLength((pieces[part] as Piece).node));
}

function checkIds(rules: readonly Rule[]): void {
  const ids = new Set<string>();
  for (const { id } of rules) {
    if (ids.has(id)) throw new RuleError(`rule ${id}: the id is taken`);
    if (!/^[a-z0-9][a-z0-9.-]{0,63}$/.test(id)) throw new RuleError(`rule ${id}: an id is a-z 0-9 . -`);
    ids.add(id);
  }
}

/** Whether inside a word no letter or digit matters without positions. */
function idlesInside({ defaults, classes, idle }: Comb): boolean {
  const plain = [...Buffer.from("0123456789abcdefghijklmnopqrstuvwxyz")];
  return plain.every((byte) => defaults[0][classes[byte] as number] === idle);
}

export interface CompileOptions {
  /** Hex: names what the rules were made from. */
  source?: string;
  limits?: RuleLimits;
  /** Texts like those that the rules will mostly read (comb.ts). */
  sample?: readonly string[];
}

/** Compiles rules to a pack. Throws RuleError. */
export function compileRules(
  rules: Rule[],
  { source = "00".repeat(16), limits = LIMITS, sample = [] }: CompileOptions = {},
): CompiledRules {
  if (rules.length > RULES_MAX) throw new RuleError(`${rules.length} rules: at most ${RULES_MAX}`);
  checkIds(rules);
  const collected = new Parts();
  collected.add(rules);
  const parts = collected.all;
  const pieces = parts.map(({ piece }) => piece);
  const comb = compileComb(pieces, (piece) => (parts[piece] as Part).rule, limits, sample);
  const prefixes = prefixesOf(pieces, (piece) => (parts[piece] as Part).groups);
  const tables = [longTable(prefixes.long, comb), shortTable(prefixes.short, comb)];
  const seeks = prefixes.usable && !tables.includes(undefined);
  const [longs, shorts] = tables.map((table) => table ?? noKeys()) as [KeyTable, KeyTable];
  const uses = parts.flatMap((part) => part.uses);
  const reported = reportedUses(comb, parts);
  const out = new Bytes();
  out
    .u32(PACK_MAGIC)
    .u32(PACK_VERSION)
    .u32(0)
    .raw(Buffer.from(source.slice(0, 32), "hex"))
    .u16(rules.length)
    .u8(longs.bits)
    .u8(shorts.bits)
    .u16(uses.length)
    .u16(comb.reports.length)
    .u32(comb.entries.length)
    .u32(comb.start)
    .u32(comb.idle)
    .u32((idlesInside(comb) ? IDLE_INSIDE : 0) | (seeks ? SEEKS : 0))
    .raw(comb.classes)
    .raw(prefixes.inside)
    .raw(prefixes.longBits)
    .raw(prefixes.shortBits);
  for (const row of comb.defaults) for (const state of row) out.u32(state);
  writeKeys(out, [longs, shorts]);
  for (const entry of comb.entries) out.u32(entry);
  writeReports(out, reported);
  writeUses(out, uses);
  writeRules(out, rules);
  const pack = out.done();
  if (pack.length > limits.bytes)
    throw new RuleError(`the pack has ${pack.length} bytes: at most ${limits.bytes}`);
  new DataView(pack.buffer).setUint32(8, pack.length, true);
  const usesAtOnce = Math.max(0, ...reported.map((list) => list.length));
  const classes = Math.max(...comb.classes) + 1;
  return { pack, rules, patterns: collected.patterns, states: comb.states, classes, usesAtOnce, seeks };
}

/** The numbers of the uses that each report tells. Later pieces first: one that ends where a first piece ends too must not take that for its own. */
function reportedUses(comb: Comb, parts: readonly Part[]): number[][] {
  let number = 0;
  const numbered = parts.map(({ uses }) => uses.map(({ slot }) => ({ slot, number: number++ })));
  return comb.reports.map((pieces) =>
    pieces
      .flatMap((piece) => numbered[piece] ?? [])
      .sort((a, b) => b.slot - a.slot)
      .map((use) => use.number),
  );
}

function writeKeys(out: Bytes, tables: readonly KeyTable[]): void {
  for (const { key, state, groups } of tables.flatMap(({ slots }) => slots)) {
    out
      .u32(Number(key & 0xffffffffn))
      .u32(Number(key >> 32n))
      .u32(state)
      .u32(groups);
  }
}

function writeReports(out: Bytes, reported: readonly (readonly number[])[]): void {
  let first = 0;
  for (const list of reported) {
    out.u32(first);
    first += list.length + 1;
  }
  out.u32(first);
  for (const list of reported) for (const number of [list.length, ...list]) out.u16(number);
  out.align();
}

function writeUses(out: Bytes, uses: readonly Use[]): void {
  for (const { rule, slot, next, words, bytes, min, reach, edge } of uses) {
    out.u16(rule).u16(slot).u8(next).u8(words).u16(bytes).u16(min);
    out.u16((reach << 1) | (edge ? 1 : 0));
  }
}

function writeRules(out: Bytes, rules: readonly Rule[]): void {
  const ids = rules.map(({ id }) => Buffer.from(id));
  let offset = out.length + rules.length * 8;
  rules.forEach(({ spans, category, score, severity }, i) => {
    const { length } = ids[i] as Buffer;
    const spanFlags = spans === "all" ? RuleFlag.trusted | RuleFlag.untrusted : RuleFlag[spans];
    out.u32(offset).u8(length).u8(categories.indexOf(category)).u8(score);
    out.u8((severity === "block" ? RuleFlag.block : 0) | spanFlags);
    offset += length;
  });
  for (const id of ids) out.raw(id);
  out.align();
}

class Bytes {
  private readonly bytes: number[] = [];
  get length(): number {
    return this.bytes.length;
  }
  u8(value: number): Bytes {
    this.bytes.push(value & 255);
    return this;
  }
  u16(value: number): Bytes {
    if (value > 0xffff) throw new RuleError(`a number of the pack does not fit: ${value}`);
    return this.u8(value).u8(value >> 8);
  }
  u32(value: number): Bytes {
    return this.u8(value)
      .u8(value >>> 8)
      .u8(value >>> 16)
      .u8(value >>> 24);
  }
  raw(bytes: Uint8Array): Bytes {
    for (const b of bytes) this.bytes.push(b);
    return this;
  }
  align(): Bytes {
    while (this.bytes.length % 4) this.bytes.push(0);
    return this;
  }
  done(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}
