import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import cl100k from "gpt-tokenizer/bpeRanks/cl100k_base";
import o200k from "gpt-tokenizer/bpeRanks/o200k_base";
import { random } from "../../support/random.ts";
import { KINDS, LANGUAGES, mixedText, sentence } from "./corpus.ts";
import { tokens } from "./support.ts";

const simd = await tokens();
const scalar = await tokens({ scalar: true });

function assertBracketed(text: string): void {
  const slice = simd.put(text);
  const twin = scalar.put(text);
  simd.exports.boundTokens(slice);
  scalar.exports.boundTokens(twin);
  const [lower, upper] = [simd.exports.tokensLower.value, simd.exports.tokensUpper.value];
  assert.deepEqual([scalar.exports.tokensLower.value, scalar.exports.tokensUpper.value], [lower, upper]);
  assert.equal(scalar.exports.estimateTokensUpper(twin, 1), simd.exports.estimateTokensUpper(slice, 1));
  for (const encoding of [0, 1]) {
    const exact = simd.count(encoding, text);
    assert.ok(lower <= exact && exact <= upper, `${lower} ≤ ${exact} ≤ ${upper}: ${JSON.stringify(text)}`);
  }
}

test("the bounds bracket the exact count of mixed text, in both encodings", () => {
  const next = random(11);
  for (let i = 0; i < 1500; i++) assertBracketed(mixedText(next, 1 + next(2000)));
  for (const kind of Object.values(KINDS)) for (let i = 0; i < 300; i++) assertBracketed(kind(next));
});

test("the bounds bracket the exact count where contractions cut words", () => {
  const part = fc.constantFrom(
    "'",
    "'s",
    "'ve",
    "'ll",
    "e",
    "a",
    "i",
    "qz",
    " ",
    "A",
    "1",
    "12",
    "!",
    "é",
    "\n",
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 40 }), (parts) => assertBracketed(parts.join(""))),
    { numRuns: 3000, seed: 1 },
  );
});

test("the facts that the bounds rest on hold for both vocabularies", () => {
  for (const ranks of [o200k, cl100k] as (string | number[])[][]) {
    const all = ranks.map((token) => Buffer.from(token as string));
    const set = new Set(all.map((token) => token.toString("latin1")));
    const longest = (among: Buffer[]) => among.reduce((most, token) => Math.max(most, token.length), 0);
    assert.ok(longest(all) <= 128);
    assert.ok(longest(all.filter((token) => token.some((byte) => byte > 127))) <= 61);
    const lower = "abcdefghijklmnopqrstuvwxyz";
    for (const a of lower) {
      for (const b of lower) if (/[aei]/.test(a + b)) assert.ok(set.has(a + b), a + b);
      assert.ok(set.has(` ${a}`) && set.has(` ${a.toUpperCase()}`), a);
    }
  }
});

test("the cautious estimate covers cl100k on natural text and never exceeds a token a byte", () => {
  const next = random(5);
  const languages = Object.keys(LANGUAGES);
  let covered = 0;
  for (let i = 0; i < 1000; i++) {
    const text = sentence(next, languages[i % languages.length] as string);
    const upper = simd.exports.estimateTokensUpper(simd.put(text), 0);
    assert.ok(upper <= Buffer.byteLength(text) + 1);
    if (upper >= simd.count(1, text)) covered++;
  }
  assert.ok(covered >= 990, `${covered} of 1000`);
  assert.equal(simd.exports.estimateTokensUpper(simd.put(""), 0), 0);
});
