// Fuzzes the normaliser: no trap, nothing written outside the room given, the same with SIMD and without, and work
// (steps) that grows no faster than the text.
import assert from "node:assert/strict";
import { type Leaf, leaf } from "../support/leaf.ts";
import { fuzzText, rounds, TEXT_MAX } from "./inspect-texts.ts";
import { assertLinear, LARGE_BYTES, repeated } from "./linear.ts";

const GUARD = 64;

function normaliser({ exports, reserve, write, read, takeSteps }: Leaf) {
  const from = reserve(LARGE_BYTES + TEXT_MAX);
  const to = reserve(LARGE_BYTES + TEXT_MAX);
  const steps = (bytes: Uint8Array, escaped: boolean) => {
    write(from, bytes);
    takeSteps();
    exports.run(from, bytes.length, escaped ? 1 : 0, to, bytes.length);
    return takeSteps();
  };
  const run = (bytes: Uint8Array, escaped: boolean) => {
    write(from, bytes);
    write(to, new Uint8Array(bytes.length + 2 * GUARD).fill(0xa5));
    const length = exports.run(from, bytes.length, escaped ? 1 : 0, to + GUARD, bytes.length) as number;
    const room = read(to, bytes.length + 2 * GUARD);
    for (let i = 0; i < GUARD; i++) {
      assert.equal(room[i], 0xa5, "a byte before the output changed");
      assert.equal(room[GUARD + bytes.length + i], 0xa5, "a byte after the output changed");
    }
    assert.ok(length <= bytes.length, `${length} bytes out of ${bytes.length}`);
    return { text: Buffer.from(room.subarray(GUARD, GUARD + length)), steps: exports.getSteps() as number };
  };
  return { run, steps };
}

/** Runs for `seconds` from `seed`; returns the number of texts. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const entry = "test/assembly/inspect/normalise.entry.ts";
  const simd = normaliser(await leaf(entry));
  const scalar = normaliser(await leaf(entry, { scalar: true }));
  const counting = normaliser(await leaf(entry, { steps: true }));
  return rounds(seconds, seed, (pick) => {
    const bytes = fuzzText(pick);
    const escaped = pick(2) === 0;
    const one = simd.run(bytes, escaped);
    assert.ok(one.text.equals(scalar.run(bytes, escaped).text), "SIMD and scalar differ");
    // Of its own count of work there is a bound for each byte: a block and a character at most.
    assert.ok(one.steps <= 2 * bytes.length, `${one.steps} steps for ${bytes.length} bytes`);
    if (pick(8)) return;
    const make = (size: number) => repeated(bytes, size);
    assertLinear(make, (input) => counting.steps(input, escaped), Buffer.from(bytes).toString("base64"));
  });
}
