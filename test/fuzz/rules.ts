// Fuzzes the rule engine with the curated pack and with own rules of policies that never existed: no trap, the same rules with
// SIMD and without and with the prefixes switched off (then the automaton reads every word), own rules that are found
// beside the curated ones exactly as they are alone, and work (steps) that grows no faster than the text.
import assert from "node:assert/strict";
import { rulesPack } from "../../scripts/packs.ts";
import { compileOwnRules, type OwnRule } from "../../sidecar/control/rules.ts";
import { type Leaf, leaf } from "../support/leaf.ts";
import { random } from "../support/random.ts";
import { fuzzText, PIECES, rounds, TEXT_MAX } from "./inspect-texts.ts";
import { assertLinear, repeated, VIEWS_BASE_BYTES, VIEWS_LARGE_BYTES } from "./linear.ts";

const FLAGS_AT = 48;
const CAN_SEEK = 2;
const BACKSLASH = 0x5c;
const OWN_RULES = 1024;
const OWN_BYTES_MAX = 256 << 10;
/** Texts that one set of own rules is tried with. */
const TEXTS_PER_SET = 200;

function matcher({ exports, reserve, write, takeSteps }: Leaf, pack: Uint8Array) {
  const at = reserve(Math.max(pack.length, OWN_BYTES_MAX));
  const ownAt = reserve(OWN_BYTES_MAX);
  const from = reserve(VIEWS_LARGE_BYTES + TEXT_MAX);
  const to = reserve(VIEWS_LARGE_BYTES + TEXT_MAX);
  const load = (bytes: Uint8Array) => {
    write(at, bytes);
    assert.ok(exports.loadRules(at, bytes.length), "the pack is refused");
  };
  load(pack);
  const run = (bytes: Uint8Array) => {
    write(from, bytes);
    exports.inspect(from, bytes.length, 1, to, 1, 2);
  };
  const among = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => first + i).filter((rule) => exports.isFound(rule));
  return {
    load,
    loadOwn(bytes: Uint8Array) {
      write(ownAt, bytes);
      return Boolean(exports.loadOwnRules(ownAt, bytes.length));
    },
    find(bytes: Uint8Array) {
      run(bytes);
      const own = among(OWN_RULES, 256).map((rule) => rule - OWN_RULES);
      return { curated: among(0, exports.rulesLoaded() as number), own };
    },
    steps(bytes: Uint8Array) {
      write(from, bytes);
      takeSteps();
      exports.inspect(from, bytes.length, 1, to, 1, 2);
      return takeSteps();
    },
  };
}

type Found = ReturnType<ReturnType<typeof matcher>["find"]>;

/** Those of `more` and all of `found`. */
function withAll(found: Found, more: Found): Found {
  const join = (a: number[], b: number[]) => [...new Set([...a, ...b])].sort((x, y) => x - y);
  return { curated: join(found.curated, more.curated), own: join(found.own, more.own) };
}

type Pick = (below: number) => number;

const WORDS = PIECES.join(" ")
  .replace(/[^\p{L}\p{N} ]/gu, " ")
  .split(/\s+/)
  .filter((word) => word.length > 1 && word.length < 20);

/** One rule: words, classes, repetitions and gaps, put together at random; many do not compile. */
function someRule(pick: Pick, id: string): OwnRule {
  const word = () => WORDS[pick(WORDS.length)] as string;
  const words = () => Array.from({ length: 1 + pick(3) }, word).join(" ");
  const action = pick(3) === 0 ? "shadow" : "block";
  if (pick(2)) return { id, phrase: `${words()} ${PIECES[pick(PIECES.length)]}`.slice(0, 60), action };
  const part = () =>
    [
      () => words(),
      () => `(${word()}|${word()}|${words()})`,
      () => `${word()}\\w*`,
      () => `${word()}( ?${word()})?`,
      () => `[a-${"mtz"[pick(3)]}]{1,${1 + pick(5)}}${word()}`,
      () => `${word()} .{0,${1 + pick(3)}} ${word()}`,
      () => `\\w*${word()}`,
      () => `${word()}+`,
      () => `${word()}(`,
    ][pick(9)]?.() as string;
  const gaps = Array.from({ length: pick(3) }, () => ` ~{0,${1 + pick(6)}} ${part()}`).join("");
  return { id, pattern: part() + gaps, action };
}

/** A set of rules that compiles, and its table. */
function someSet(pick: Pick): { rules: OwnRule[]; table: Uint8Array } {
  for (;;) {
    const all = Array.from({ length: 1 + pick(12) }, (_, i) => someRule(pick, `r${i}`));
    const rules = all.filter((rule) => compileOwnRules([rule]).problems.length === 0);
    if (rules.length === 0) continue;
    const { table } = compileOwnRules(rules);
    if (table.length > 0) return { rules, table };
  }
}

/** A text that is likely to hold some of the rules' words. */
function textFor(pick: Pick, rules: readonly OwnRule[]): Uint8Array {
  const base = fuzzText(pick);
  const { phrase, pattern } = rules[pick(rules.length)] as OwnRule;
  const hint = Buffer.from(` ${(phrase ?? pattern ?? "").replace(/[\\()|?[\]{}*+~]|~\{0,\d\}/g, " ")} `);
  const at = pick(base.length + 1);
  return Buffer.concat([base.subarray(0, at), hint, base.subarray(at)]).subarray(0, TEXT_MAX);
}

/** Runs for `seconds` from `seed`; returns the number of texts. Throws on a find. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const pack = await rulesPack();
  const whole = Uint8Array.from(pack);
  whole[FLAGS_AT] = (whole[FLAGS_AT] as number) & ~CAN_SEEK;
  const entry = "test/assembly/inspect/rules.entry.ts";
  const simd = matcher(await leaf(entry), pack);
  const scalar = matcher(await leaf(entry, { scalar: true }), pack);
  const plain = matcher(await leaf(entry), whole);
  const alone = matcher(await leaf(entry), pack);
  const counting = matcher(await leaf(entry, { steps: true }), pack);
  let set = someSet(random(seed));
  let left = 0;
  return rounds(seconds, seed, (pick) => {
    if (left-- === 0) {
      left = TEXTS_PER_SET;
      set = someSet(pick);
      const slow = Uint8Array.from(set.table);
      slow[FLAGS_AT] = (slow[FLAGS_AT] as number) & ~CAN_SEEK;
      for (const one of [simd, scalar, counting]) assert.ok(one.loadOwn(set.table), "own rules are refused");
      assert.ok(plain.loadOwn(slow));
      alone.load(set.table);
      // Whatever is wrong with a table, it is refused or harmless.
      const broken = Uint8Array.from(set.table);
      for (let n = 1 + pick(4); n > 0; n--) broken[pick(broken.length)] = pick(256);
      if (plain.loadOwn(broken)) plain.find(fuzzText(pick));
      assert.ok(plain.loadOwn(slow));
    }
    const bytes = pick(2) ? fuzzText(pick) : textFor(pick, set.rules);
    const found = simd.find(bytes);
    assert.deepEqual(scalar.find(bytes), found, "SIMD and scalar differ");
    const read = plain.find(bytes);
    // Only they see a word behind `\n` that no view has undone.
    const seen = bytes.includes(BACKSLASH) ? withAll(read, found) : read;
    assert.deepEqual(seen, found, "the prefixes lose or add a rule");
    assert.deepEqual(alone.find(bytes).curated, found.own, "own rules differ beside the curated ones");
    if (pick(8)) return;
    const what = `${JSON.stringify(set.rules)}: ${Buffer.from(bytes).toString("base64")}`;
    assertLinear((size) => repeated(bytes, size), counting.steps, what, VIEWS_BASE_BYTES);
  });
}
