// Fuzzes the token counter: counts equal gpt-tokenizer's, bounds bracket them, nothing traps on any bytes, and the
// work is linear, with a bound on what a byte costs. Work is counted in the compiled code (test/support/steps.ts).
import assert from "node:assert/strict";
import { countTokens as cl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { countTokens as o200k } from "gpt-tokenizer/encoding/o200k_base";
import { mixedText } from "../assembly/tokens/corpus.ts";
import { type Tokens, tokens } from "../assembly/tokens/support.ts";
import { random } from "../support/random.ts";
import { repeated } from "./linear.ts";

/**
 * Bytes of the smallest and the largest text whose work is counted, and what one of its bytes costs at most. How a run of one
 * character ends decides whether merging goes back over all of it, so that a growth from one length to another tells nothing.
 */
const COUNTED_BYTES: [number, number] = [1 << 12, 1 << 19];
const STEPS_PER_BYTE_MAX = 150;
const asText = { disallowedSpecial: new Set<string>() };

type Next = (n: number) => number;

/** Runs for `seconds`; throws at the first failure, with what is needed to repeat it. Returns the number of runs. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const leaf = await tokens({ steps: true, textBytes: 1 << 20 });
  const until = performance.now() + seconds * 1000;
  let runs = 0;
  while (runs === 0 || performance.now() < until) {
    const run = seed + runs++;
    const next = random(run);
    try {
      same(leaf, mixedText(next, 1 + next(800)));
      survives(leaf, anyBytes(next));
      linear(leaf, next);
    } catch (cause) {
      throw new Error(`tokens: fuzz(…, ${run}) fails at once`, { cause });
    }
  }
  return runs;
}

function same(leaf: Tokens, text: string): void {
  [o200k, cl100k].forEach((reference, encoding) => {
    const exact = leaf.count(encoding, text);
    assert.equal(exact, reference(text, asText), JSON.stringify(text));
    const slice = leaf.put(text);
    leaf.exports.boundTokens(slice);
    const { tokensLower, tokensUpper } = leaf.exports;
    assert.ok(tokensLower.value <= exact && exact <= tokensUpper.value, text);
  });
}

/** Bytes with long runs, cut characters and malformed ones. */
function anyBytes(next: Next): Uint8Array {
  const parts: number[] = [];
  for (let i = next(12); i >= 0; i--) {
    const byte = next(256);
    const run = 1 + next(next(4) ? 4 : 3000);
    const random = next(2);
    for (let j = 0; j < run; j++) parts.push(random ? next(256) : byte);
  }
  return Uint8Array.from(parts);
}

function survives(leaf: Tokens, bytes: Uint8Array): void {
  for (const encoding of [0, 1]) {
    const count = leaf.count(encoding, bytes);
    // A malformed byte becomes U+FFFD, which is one token or a part of one, or at worst its three bytes.
    assert.ok(count >= 0 && count <= 3 * bytes.length, `${count} tokens of ${bytes.length} bytes`);
  }
  leaf.exports.boundTokens(leaf.put(bytes));
}

function linear(leaf: Tokens, next: Next): void {
  const unit = next(2)
    ? Buffer.from(mixedText(next, 1 + next(50)))
    : Buffer.from(anyBytes(next).subarray(0, 1 + next(200)));
  const [least, most] = COUNTED_BYTES;
  const text = repeated(unit, next(8) ? least + next(least) : most);
  for (const encoding of [0, 1]) {
    leaf.takeSteps();
    leaf.count(encoding, text);
    const steps = leaf.takeSteps();
    assert.ok(
      steps <= STEPS_PER_BYTE_MAX * Math.max(least, text.length),
      `${steps} steps for ${text.length} bytes: ${unit.toString("hex")}`,
    );
  }
}
