// The classes of code points that the tokenizers' split patterns tell apart, as a two-stage table, taken from
// the regular expressions of the Node that runs (so from the same Unicode version as gpt-tokenizer under it).
//
//   stage 1: block of 128 code points → number of the distinct block (u8, 8,704 entries)
//   stage 2: distinct block × 128 + low bits → class (u8)

/** In the order of `assembly/tokens/classes.ts`. */
export const CLASS = { other: 0, upper: 1, lower: 2, letter: 3, mark: 4, number: 5, space: 6, newline: 7 };

const PATTERNS: [RegExp, number][] = [
  [/[\r\n]/u, CLASS.newline],
  [/\s/u, CLASS.space],
  [/[\p{Lu}\p{Lt}]/u, CLASS.upper],
  [/\p{Ll}/u, CLASS.lower],
  [/[\p{Lm}\p{Lo}]/u, CLASS.letter],
  [/\p{M}/u, CLASS.mark],
  [/\p{N}/u, CLASS.number],
];

function classOf(codePoint: number): number {
  if (codePoint >= 0xd800 && codePoint < 0xe000) return CLASS.other;
  const text = String.fromCodePoint(codePoint);
  for (const [pattern, value] of PATTERNS) if (pattern.test(text)) return value;
  return CLASS.other;
}

export function unicodeClasses(): { stage1: Uint8Array; stage2: Uint8Array } {
  const stage1 = new Uint8Array(0x110000 >> 7);
  const blocks = new Map<string, number>();
  const stage2: number[] = [];
  for (let block = 0; block < stage1.length; block++) {
    const classes = Array.from({ length: 128 }, (_, i) => classOf((block << 7) | i));
    const key = classes.join("");
    let index = blocks.get(key);
    if (index === undefined) {
      index = blocks.size;
      blocks.set(key, index);
      stage2.push(...classes);
    }
    stage1[block] = index;
  }
  if (blocks.size > 256) throw new Error(`unicode classes: ${blocks.size} distinct blocks, expected ≤ 256`);
  return { stage1, stage2: Uint8Array.from(stage2) };
}
