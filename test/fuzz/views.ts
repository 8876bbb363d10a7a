// Fuzzes the decoded views: no trap, the same views with SIMD and without, bytes of views in proportion to the text,
// however often it is repeated, and work (steps) that grows no faster than the text.
import assert from "node:assert/strict";
import { type Leaf, leaf } from "../support/leaf.ts";
import { fuzzText, rounds, TEXT_MAX, tenfold } from "./inspect-texts.ts";
import { assertLinear, repeated, VIEWS_BASE_BYTES, VIEWS_LARGE_BYTES } from "./linear.ts";

/** Bytes of views per byte of text (views.ts), and for the windows' overlaps. */
const GROWTH_MAX = 10;
const SLACK = 4096;

function viewer({ exports, reserve, write, read, takeSteps }: Leaf) {
  const from = reserve(VIEWS_LARGE_BYTES + TEXT_MAX);
  const to = reserve(VIEWS_LARGE_BYTES + TEXT_MAX);
  const steps = (bytes: Uint8Array, escaped: boolean) => {
    write(from, bytes);
    takeSteps();
    exports.begin(from, bytes.length, escaped ? 1 : 0, to);
    while (exports.next());
    return takeSteps();
  };
  const run = (bytes: Uint8Array, escaped: boolean) => {
    write(from, bytes);
    exports.begin(from, bytes.length, escaped ? 1 : 0, to);
    const parts: Uint8Array[] = [];
    while (exports.next()) {
      const view = BigInt.asUintN(64, exports.getView() as bigint);
      parts.push(read(Number(view >> 32n), Number(view & 0xffffffffn)));
    }
    return { made: exports.getMade() as number, all: Buffer.concat(parts) };
  };
  return { run, steps };
}

/** Runs for `seconds` from `seed`; returns the number of texts. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const entry = "test/assembly/inspect/views.entry.ts";
  const simd = viewer(await leaf(entry));
  const scalar = viewer(await leaf(entry, { scalar: true }));
  const counting = viewer(await leaf(entry, { steps: true }));
  return rounds(seconds, seed, (pick) => {
    const bytes = fuzzText(pick);
    const escaped = pick(2) === 0;
    const one = simd.run(bytes, escaped);
    assert.ok(one.all.equals(scalar.run(bytes, escaped).all), "SIMD and scalar differ");
    for (const { text, made } of [
      { text: bytes, made: one.made },
      { text: tenfold(bytes), made: simd.run(tenfold(bytes), escaped).made },
    ])
      assert.ok(made <= GROWTH_MAX * text.length + SLACK, `${made} bytes of views of ${text.length}`);
    if (pick(8)) return;
    const make = (size: number) => repeated(bytes, size);
    assertLinear(
      make,
      (input) => counting.steps(input, escaped),
      Buffer.from(bytes).toString("base64"),
      VIEWS_BASE_BYTES,
    );
  });
}
