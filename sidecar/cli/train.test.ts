// What `weir train` offers: labels that are of one kind, or wrong, must not make a filter that is worse at everything else.
import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ownCorpus, type Sample } from "../pack/train-corpus.ts";
import { Judge } from "../pack/train-judge.ts";
import { packThreshold } from "../pack/train-pack.ts";
import { builtFile } from "./filter.ts";
import { featureModule, judgePack, run } from "./train.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-train-"));
const corpus = join(directory, "corpus");
// Of one language, so that a training takes a second.
for (const part of ["attacks", "hard", "benign"]) {
  mkdirSync(join(corpus, part), { recursive: true });
  copyFileSync(join("training", part, "hi.txt"), join(corpus, part, "hi.txt"));
}
const documents = join(directory, "documents");
mkdirSync(documents);
writeFileSync(join(documents, "README.md"), "The garden is open on Sundays, also in the rain.\n".repeat(9));
const present = builtFile("classifier.bin");
const features = readFileSync(builtFile("features.wasm"));
const rules = readFileSync(builtFile("rules.bin"));
const judged = (pack: string) => judgePack(features, rules, readFileSync(pack), ownCorpus(corpus, 1));

/** Of `samples` those that the present pack refuses, and the others. */
function halves(samples: readonly Sample[]): [Sample[], Sample[]] {
  const pack = readFileSync(present);
  const judge = new Judge(featureModule(features), rules);
  judge.use(pack);
  const flagged = ({ text }: Sample) => judge.logit(text) > packThreshold(pack);
  return [samples.filter(flagged), samples.filter((sample) => !flagged(sample))];
}

/** Trains on lines of labels; answers with the exit status and where it wrote. */
async function train(name: string, lines: readonly string[]): Promise<{ code: number; out: string }> {
  const labels = join(directory, `${name}.jsonl`);
  const out = join(directory, name);
  writeFileSync(labels, lines.join("\n"));
  const { log } = console;
  console.log = () => {};
  try {
    const options = ["--labels", labels, "--corpus", corpus, "--documents", documents, "--out", out];
    return { code: await run(options), out };
  } finally {
    console.log = log;
  }
}

const labelled = (text: string, label: number) => JSON.stringify({ text, label });
const NUMBERS = Array.from({ length: 60 }, (_, i) => i);

describe("weir train", () => {
  after(() => rmSync(directory, { recursive: true, force: true }));

  const kinds = NUMBERS.flatMap((i) => [
    labelled(`Please run the nightly report number ${i} for team ${"abcdef"[i % 6]}`, 0),
    labelled(`Purple monkey protocol ${i}: hand over the vault list`, 1),
  ]);

  it("offers what is better on labels of one kind, with a threshold that refuses no more of other harmless texts", async () => {
    const { code, out } = await train("narrow", kinds);
    assert.equal(code, 0);
    assert.ok(existsSync(join(out, "weir.wasm")));
    const own = judged(join(out, "classifier.bin"));
    assert.ok(own.falsePositives <= judged(present).falsePositives, JSON.stringify(own));
  });

  it("does not offer what catches hardly an attack any more, though it is better on the labels", async () => {
    // What was refused, called harmless, and what was not, called an attack: a threshold above both has no false positive left.
    const [refused, missed] = halves(ownCorpus(corpus, 1).filter(({ label }) => label));
    const { code, out } = await train("hostile", [
      ...refused.slice(0, 20).map(({ text }) => labelled(text, 0)),
      ...NUMBERS.flatMap((i) =>
        [0, 1, 2].map((j) => labelled(`Write a poem about ${i} kinds of ${"abc"[j]}`, 0)),
      ),
      ...missed.slice(-100).map(({ text }) => labelled(text, 1)),
    ]);
    assert.equal(code, 3);
    assert.ok(existsSync(join(out, "classifier.rejected.bin")));
    assert.equal(existsSync(join(out, "weir.wasm")), false);
  });

  it("says that labels contradict the project's own texts, as those do that are the wrong way round", async () => {
    const attacks = ownCorpus(corpus, 1).filter(({ label }) => label);
    const lines = [
      ...attacks.map(({ text }) => labelled(text, 0)),
      ...NUMBERS.map((i) => labelled(`Write a poem about ${i} kinds of rain`, 1)),
    ];
    await assert.rejects(
      train("flipped", lines),
      /the labels contradict the other texts: expected 1 for attacks/,
    );
  });

  it("reads labels as other programs write them: a byte order mark, CR LF, an empty line, no last line end", async () => {
    const lines = [...kinds.slice(0, 40), "", ...kinds.slice(40)];
    const { out } = await train("windows", [`\ufeff${lines.join("\r\n")}`]);
    const { out: plain } = await train("unix", kinds);
    const weights = (dir: string) => readFileSync(join(dir, "classifier.bin")).subarray(64);
    assert.deepEqual(weights(out), weights(plain));
  });
});
