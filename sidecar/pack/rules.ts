// Rules → the binary pack that the filter loads. The curated rules (packs/rules/*.yaml) and the phrases and
// patterns of a policy go through the same functions.
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
//      entries u32[entries]        the comb, see dfa.ts
//      reports u32[reports]        where its list begins in `lists`; a state's report is in its tooth REPORT, see dfa.ts
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
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { COMB_MAX, type CombLimits, compileComb, RuleError, STATES_MAX } from "./dfa.ts";
import { type KeyTable, longTable, noKeys, shortTable } from "./keys.ts";
import { FIRST, GROUPS, prefixesOf } from "./prefix.ts";
import {
  expand,
  gapBytes,
  maxLength,
  maxSpaces,
  minLength,
  type Pattern,
  PatternError,
  type Piece,
  parse,
  variants,
} from "./regex.ts";
import { withoutSymbols } from "./regex-fold.ts";

export const PACK_MAGIC = 0x4c555257;
export const PACK_VERSION = 3;
export const PACK_BYTES_MAX = 11 << 17;
export const RULES_MAX = 1024;

export const categories = [
  "override",
  "extraction",
  "hijack",
  "forgery",
  "exfiltration",
  "encoded",
  "bypass",
  "custom",
] as const;
export type Category = (typeof categories)[number];

/** Bits of a rule's flags, as the filter reads them. */
export const RuleFlag = { block: 1, trusted: 2, untrusted: 4 } as const;

export interface Rule {
  /** Stable: `override.ignore-previous`. At most 64 bytes. */
  id: string;
  category: Category;
  /** BCP 47 languages of the patterns; `*` for none in particular. */
  languages: string[];
  /** `block` decides alone; `score` contributes, as all curated rules do: a quotation is no attack. */
  severity: "block" | "score";
  /** What it adds, 0 – 255: 80 adds 1.0 to the classifier's logit (assembly/inspect/injection.ts). */
  score: number;
  /** The spans it applies to. */
  spans: "all" | "trusted" | "untrusted";
  patterns: string[];
  positive: string[];
  negative: string[];
}

export { RuleError };

interface RuleFile {
  category: Category;
  macros?: Record<string, string>;
  rules: (Partial<Rule> & { id: string; patterns: string[] })[];
}

/** Reads every YAML file of a directory. Macros of `macros.yaml` hold in all files. */
export function readRules(directory: string): { rules: Rule[]; source: string } {
  const hash = createHash("sha256");
  const files = readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .sort();
  const texts = files.map((name) => {
    const text = readFileSync(`${directory}/${name}`, "utf8");
    hash.update(name).update(text);
    return text;
  });
  const shared: Record<string, string> = {};
  files.forEach((name, i) => {
    if (name === "macros.yaml") Object.assign(shared, parseYaml(texts[i] as string).macros);
  });
  const rules: Rule[] = [];
  files.forEach((name, i) => {
    if (name === "macros.yaml") return;
    const file = parseYaml(texts[i] as string) as RuleFile;
    const macros = { ...shared, ...file.macros };
    for (const raw of file.rules) {
      const block = raw.severity === "block";
      rules.push({
        category: file.category,
        languages: ["en"],
        severity: "score",
        score: block ? 200 : 60,
        spans: "all",
        positive: [],
        negative: [],
        ...raw,
        patterns: raw.patterns.map((p) => inRule(raw.id, () => expand(p, macros))),
      });
    }
  });
  return { rules, source: hash.digest("hex") };
}

/**
 * A rule of a policy: phrases are found as they are, but for symbols, which are read as spaces; patterns are in the
 * language of regex.ts. One that does not block only reports: it adds nothing to a score.
 */
export function customRule(
  id: string,
  phrases: string[],
  patterns: string[],
  severity: "block" | "score",
): Rule {
  const plain = phrases.map((p) =>
    // One of symbols alone is refused as a pattern is.
    (withoutSymbols(p).trim() || p.trim()).replace(/\s+/g, " ").replace(/[\\()|?[\]{}.*+~^$]/g, "\\$&"),
  );
  return {
    id,
    category: "custom",
    languages: ["*"],
    severity,
    score: severity === "block" ? 255 : 0,
    spans: "all",
    patterns: [...plain, ...patterns],
    positive: [],
    negative: [],
  };
}

function inRule<T>(id: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof PatternError) throw new RuleError(`rule ${id}: ${error.message}`);
    throw error;
  }
}

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

/** Compiles rules to a pack; `source` (hex) names what they were made from. Throws RuleError. */
export function compileRules(rules: Rule[], source = "00".repeat(16), limits = LIMITS): CompiledRules {
  if (rules.length > RULES_MAX) throw new RuleError(`${rules.length} rules: at most ${RULES_MAX}`);
  const ids = new Set<string>();
  const pieces: Piece[] = [];
  const pieceIndex = new Map<string, number>();
  const pieceRule: string[] = [];
  const usesOf: Use[][] = [];
  const groups: number[] = [];
  // Pieces after one and the same piece are one group.
  const groupOf = new Map<string, number>();
  const groupBehind = (piece: Piece) => {
    const known = groupOf.get(piece.source) ?? 1 + (groupOf.size % (GROUPS - 1));
    groupOf.set(piece.source, known);
    return known;
  };
  const patterns: CompiledRules["patterns"] = [];
  let slots = 0;
  rules.forEach((rule, index) => {
    if (ids.has(rule.id)) throw new RuleError(`rule ${rule.id}: the id is taken`);
    if (!/^[a-z0-9][a-z0-9.-]{0,63}$/.test(rule.id))
      throw new RuleError(`rule ${rule.id}: an id is a-z 0-9 . -`);
    ids.add(rule.id);
    for (const text of rule.patterns) {
      const pattern = inRule(rule.id, () => parse(text));
      patterns.push({ rule: index, pattern });
      const { pieces: parts, gaps } = pattern;
      parts.forEach((piece, part) => {
        // A piece's own slot is `slot`; it looks at the slot before.
        const last = part === parts.length - 1;
        const use: Use = {
          rule: index,
          slot: part === 0 && last ? 0xffff : slots++,
          next: last ? 0 : groupBehind(piece),
          words: part === 0 ? 255 : Math.min(254, (gaps[part - 1] as number) + 1 + maxSpaces(piece.node)),
          bytes: part === 0 ? 0 : reachOf(pattern, part),
          min: 0,
          edge: false,
          reach: last ? 0 : reachOf(pattern, part + 1),
        };
        for (const variant of variants(piece)) {
          let number = pieceIndex.get(variant.source);
          if (number === undefined) {
            number = pieces.push(variant) - 1;
            pieceIndex.set(variant.source, number);
            pieceRule.push(rule.id);
            usesOf.push([]);
          }
          const group = part === 0 ? FIRST : 1 << groupBehind(parts[part - 1] as Piece);
          groups[number] = (groups[number] ?? 0) | group;
          usesOf[number]?.push({ ...use, min: minLength(variant.node), edge: variant.endBound });
        }
      });
    }
  });
  if (slots > 0xfff0) throw new RuleError("too many gaps in all");
  const comb = compileComb(pieces, (piece) => pieceRule[piece] as string, limits);

  const skip = comb.defaults[0].every((_, c) => {
    const plain = [...Array(256).keys()].some(
      (b) => comb.classes[b] === c && ((b >= 97 && b <= 122) || (b >= 48 && b <= 57)),
    );
    return !plain || comb.defaults[0][c] === comb.idle;
  });
  const prefixes = prefixesOf(pieces, (piece) => groups[piece] as number);
  const tables = [longTable(prefixes.long, comb), shortTable(prefixes.short, comb)];
  const seeks = prefixes.usable && !tables.includes(undefined);
  const [longs, shorts] = tables.map((table) => table ?? noKeys()) as [KeyTable, KeyTable];
  // Later pieces first: one that ends where a first piece ends too must not take that for its own.
  let uses = 0;
  const numbersOf = usesOf.map((list) => list.map((use) => ({ use, number: uses++ })));
  const reported = comb.reports.map((pieces) =>
    pieces
      .flatMap((piece) => numbersOf[piece] ?? [])
      .sort((a, b) => b.use.slot - a.use.slot)
      .map(({ number }) => number),
  );
  const idBytes = rules.map((r) => Buffer.from(r.id));
  const out = new Bytes();
  out
    .u32(PACK_MAGIC)
    .u32(PACK_VERSION)
    .u32(0)
    .raw(Buffer.from(source.slice(0, 32), "hex"));
  out.u16(rules.length).u8(longs.bits).u8(shorts.bits).u16(uses).u16(comb.reports.length);
  out
    .u32(comb.entries.length)
    .u32(comb.start)
    .u32(comb.idle)
    .u32((skip ? 1 : 0) | (seeks ? 2 : 0));
  out.raw(comb.classes).raw(prefixes.inside);
  out.raw(prefixes.longBits).raw(prefixes.shortBits);
  for (const row of comb.defaults) for (const state of row) out.u32(state);
  for (const { key, state, groups } of [...longs.slots, ...shorts.slots]) {
    out
      .u32(Number(key & 0xffffffffn))
      .u32(Number(key >> 32n))
      .u32(state)
      .u32(groups);
  }
  for (const entry of comb.entries) out.u32(entry);
  let first = 0;
  for (const list of reported) {
    out.u32(first);
    first += list.length + 1;
  }
  out.u32(first);
  for (const list of reported) for (const number of [list.length, ...list]) out.u16(number);
  out.align();
  for (const use of usesOf.flat()) {
    out
      .u16(use.rule)
      .u16(use.slot)
      .u8(use.next)
      .u8(use.words)
      .u16(use.bytes)
      .u16(use.min)
      .u16((use.reach << 1) | (use.edge ? 1 : 0));
  }
  let offset = out.length + rules.length * 8;
  rules.forEach((rule, i) => {
    const spans = rule.spans === "all" ? RuleFlag.trusted | RuleFlag.untrusted : RuleFlag[rule.spans];
    const id = idBytes[i] as Buffer;
    out.u32(offset).u8(id.length).u8(categories.indexOf(rule.category)).u8(rule.score);
    out.u8((rule.severity === "block" ? RuleFlag.block : 0) | spans);
    offset += id.length;
  });
  for (const id of idBytes) out.raw(id);
  out.align();
  const pack = out.done();
  if (pack.length > limits.bytes)
    throw new RuleError(`the pack has ${pack.length} bytes: at most ${limits.bytes}`);
  new DataView(pack.buffer).setUint32(8, pack.length, true);
  const usesAtOnce = Math.max(0, ...reported.map((list) => list.length));
  const classes = Math.max(...comb.classes) + 1;
  return { pack, rules, patterns, states: comb.states, classes, usesAtOnce, seeks };
}

/** How far after the end of the piece before it piece `part` may end, in bytes. */
function reachOf({ pieces, gaps }: Pattern, part: number): number {
  return Math.min(0x7fff, gapBytes(gaps[part - 1] as number) + maxLength((pieces[part] as Piece).node));
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
