// BLAKE2s in pieces against Node's own: any length, cut anywhere, with 128-bit lanes and without.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { before, describe, it } from "node:test";
import { type Leaf, leaf } from "../../support/leaf.ts";

const expected = (bytes: Uint8Array): string => createHash("blake2s256").update(bytes).digest("hex");

for (const scalar of [false, true])
  describe(`BLAKE2s in pieces, ${scalar ? "scalar" : "SIMD"}`, () => {
    let module: Leaf;
    let state: number;
    let input: number;
    let output: number;

    before(async () => {
      module = await leaf("test/assembly/events/blake2s.entry.ts", { scalar });
      state = module.reserve(module.exports.STATE.value);
      input = module.reserve(1024);
      output = module.reserve(32);
    });

    function digest(bytes: Uint8Array, cuts: readonly number[]): string {
      module.write(input, bytes);
      module.exports.blake2sBegin(state);
      let from = 0;
      for (const to of [...cuts, bytes.length]) {
        module.exports.blake2sUpdate(state, input + from, to - from);
        from = to;
      }
      module.exports.blake2sEnd(state, output);
      return Buffer.from(module.read(output, 32)).toString("hex");
    }

    it("is Node's digest for every length up to four blocks", () => {
      for (let length = 0; length <= 260; length++) {
        const bytes = randomBytes(length);
        assert.equal(digest(bytes, []), expected(bytes), `${length} bytes`);
      }
    });

    it("is the same wherever the input is cut", () => {
      const bytes = randomBytes(200);
      const whole = expected(bytes);
      for (let a = 0; a <= 200; a++) assert.equal(digest(bytes, [a]), whole, `cut at ${a}`);
      for (let a = 0; a <= 200; a += 7)
        for (let b = a; b <= 200; b += 5) assert.equal(digest(bytes, [a, b]), whole, `cut at ${a} and ${b}`);
    });
  });
