// Texts that neither training nor rules have seen: written after both were finished, in words of their own
// (unseen/*.txt, a text a line). They are few, so the bounds are wide: what they guard is that a change of corpus,
// rules or normaliser has not broken a whole kind of text. Nobody should tune to them; then they would be worth nothing.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Judge } from "../../../sidecar/pack/train-judge.ts";
import { packThreshold } from "../../../sidecar/pack/train-pack.ts";
import { leaf } from "../../support/leaf.ts";
import { packs } from "./memo-support.ts";

const { rules, classifier } = packs();
const judge = new Judge(await leaf("test/assembly/inspect/classifier.entry.ts"), rules);
judge.use(classifier);
const threshold = packThreshold(classifier);

const read = (name: string) =>
  readFileSync(fileURLToPath(new URL(`unseen/${name}.txt`, import.meta.url)), "utf8")
    .trimEnd()
    .split("\n");

/** The share of the texts that is refused at the pack's threshold. */
function refused(name: string): number {
  const texts = read(name);
  const hits = texts.filter((text) => judge.logit(text) > threshold);
  return hits.length / texts.length;
}

const BOUNDS: [name: string, least: number, most: number][] = [
  ["explicit", 0.75, 1],
  ["obfuscated", 0.65, 1],
  ["multilingual", 0.6, 1],
  ["ordinary", 0, 0.02],
  ["hard", 0, 0.1],
];

for (const [name, least, most] of BOUNDS) {
  test(`of the unseen ${name} texts between ${least} and ${most} are refused`, (t) => {
    const share = refused(name);
    t.diagnostic(`${name}: ${share.toFixed(3)} of ${read(name).length}`);
    assert.ok(share >= least && share <= most, `${share}`);
  });
}
