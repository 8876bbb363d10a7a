// Fuzzes the decoded views: no trap, the same views with SIMD and without, and bytes of views in proportion to the
// text, however often it is repeated.
import assert from "node:assert/strict";
import { type Leaf, leaf } from "../support/leaf.ts";
import { fuzzText, rounds, TEXT_MAX, tenfold } from "./inspect-texts.ts";

/** Bytes of views per byte of text (views.ts), and for the windows' overlaps. */
const GROWTH_MAX = 9;
const SLACK = 4096;

function viewer({ exports, reserve, write, read }: Leaf) {
  const from = reserve(TEXT_MAX * 10 + 64);
  const to = reserve(TEXT_MAX * 10 + 64);
  return (bytes: Uint8Array, escaped: boolean) => {
    write(from, bytes);
    exports.begin(from, bytes.length, escaped ? 1 : 0, to);
    const parts: Uint8Array[] = [];
    while (exports.next()) {
      const view = BigInt.asUintN(64, exports.getView() as bigint);
      parts.push(read(Number(view >> 32n), Number(view & 0xffffffffn)));
    }
    return { made: exports.getMade() as number, all: Buffer.concat(parts) };
  };
}

/** Runs for `seconds` from `seed`; returns the number of texts. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const entry = "test/assembly/inspect/views.entry.ts";
  const simd = viewer(await leaf(entry));
  const scalar = viewer(await leaf(entry, { scalar: true }));
  return rounds(seconds, seed, (pick) => {
    const bytes = fuzzText(pick);
    const escaped = pick(2) === 0;
    const one = simd(bytes, escaped);
    assert.ok(one.all.equals(scalar(bytes, escaped).all), "SIMD and scalar differ");
    for (const { text, made } of [
      { text: bytes, made: one.made },
      { text: tenfold(bytes), made: simd(tenfold(bytes), escaped).made },
    ])
      assert.ok(made <= GROWTH_MAX * text.length + SLACK, `${made} bytes of views of ${text.length}`);
  });
}
