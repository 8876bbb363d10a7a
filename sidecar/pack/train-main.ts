// Command line of the trainer: writes weights.bin and metrics.json.
//
//   npx tsx sidecar/pack/train-main.ts [FILE.jsonl …] [--out DIR]      WEIR_DATA, a directory with prompts.jsonl or such a file, counts as a FILE
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { leaf } from "../../test/support/leaf.ts";
import { WeirError } from "../errors.ts";
import { compileCurated } from "./curated.ts";
import { type Trained, trainPack } from "./train.ts";
import { thresholdAt } from "./train-calibrate.ts";
import { labelledFile } from "./train-corpus.ts";
import { recallTable } from "./train-report.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string", default: join(root, "packs/classifier") },
    seed: { type: "string", default: "1" },
  },
});
const data = [...positionals, ...(process.env.WEIR_DATA ? [process.env.WEIR_DATA] : [])].map((path) => {
  const file = labelledFile(path);
  if (!file)
    throw new WeirError(
      "invalid_argument",
      `${path}: expected a JSONL file, or a directory with prompts.jsonl`,
    );
  return file;
});
if (data.length === 0)
  console.error(
    "no labelled data given (WEIR_DATA or a file): training on the own corpus and the documents only",
  );

const trained = trainPack(await leaf("test/assembly/inspect/classifier.entry.ts"), {
  corpus: join(root, "training"),
  documents: join(root, "node_modules"),
  data,
  rules: compileCurated().pack,
  seed: Number(values.seed),
});
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, "weights.bin"), trained.pack);
writeFileSync(join(values.out, "metrics.json"), `${JSON.stringify(metrics(trained), null, 2)}\n`);
console.log(`${join(values.out, "weights.bin")}: ${trained.pack.length} bytes`);

/** Judged as the edge judges, by models that had not seen a text's source. */
function metrics({ samples, threshold, calibration, heldOut }: Trained) {
  const attacks = samples.filter(({ label }) => label).length;
  const benign = Array.from(heldOut).filter((logit, i) => !samples[i]?.label && !Number.isNaN(logit));
  const half = thresholdAt(benign, 0.005);
  return {
    samples: { attacks, benign: samples.length - attacks },
    threshold: Number(threshold.toFixed(4)),
    calibration,
    heldOut: recallTable(samples, heldOut, threshold),
    atHalfPercentFalsePositives: { threshold: half, heldOut: recallTable(samples, heldOut, half) },
  };
}
