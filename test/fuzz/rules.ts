// Fuzzes the rule engine with the curated pack: no trap, the same rules with SIMD and without and with the prefixes
// switched off (then the automaton reads every word), and work that grows no faster than the text.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { compileRules, readRules } from "../../sidecar/pack/rules.ts";
import { type Leaf, leaf } from "../support/leaf.ts";
import { fuzzText, rounds, TEXT_MAX, tenfold } from "./inspect-texts.ts";

const FLAGS_AT = 48;
const CAN_SEEK = 2;

function matcher({ exports, reserve, write }: Leaf, pack: Uint8Array) {
  const at = reserve(pack.length);
  const from = reserve(TEXT_MAX * 10 + 64);
  const to = reserve(TEXT_MAX * 10 + 64);
  write(at, pack);
  assert.ok(exports.loadRules(at, pack.length), "the pack is refused");
  return (bytes: Uint8Array) => {
    write(from, bytes);
    exports.inspect(from, bytes.length, 1, to, 1, 2);
    const count = exports.rulesLoaded() as number;
    const found = Array.from({ length: count }, (_, i) => i).filter((i) => exports.isFound(i));
    return { found, steps: exports.getSteps() as number };
  };
}

/** Runs for `seconds` from `seed`; returns the number of texts. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const { rules, source } = readRules(fileURLToPath(new URL("../../packs/rules", import.meta.url)));
  const { pack } = compileRules(rules, source);
  const whole = Uint8Array.from(pack);
  whole[FLAGS_AT] = (whole[FLAGS_AT] as number) & ~CAN_SEEK;
  const entry = "test/assembly/inspect/rules.entry.ts";
  const simd = matcher(await leaf(entry), pack);
  const scalar = matcher(await leaf(entry, { scalar: true }), pack);
  const plain = matcher(await leaf(entry), whole);
  return rounds(seconds, seed, (pick) => {
    const bytes = fuzzText(pick);
    const { found, steps } = simd(bytes);
    assert.deepEqual(scalar(bytes).found, found, "SIMD and scalar differ");
    assert.deepEqual(plain(bytes).found, found, "the prefixes lose or add a rule");
    const ten = simd(tenfold(bytes)).steps;
    // Views join across the ends of repetitions and windows, so a constant is allowed.
    assert.ok(
      ten <= 11 * steps + 40 * bytes.length + 4096,
      `${steps} steps, and ${ten} for ten times the text`,
    );
  });
}
