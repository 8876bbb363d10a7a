// Command line of the trainer: writes weights.bin and metrics.json.
//
//   npx tsx sidecar/pack/train-main.ts [FILE.jsonl …] [--out DIR]      WEIR_DATA=FILE.jsonl counts as a FILE
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { leaf } from "../../test/support/leaf.ts";
import { type Trained, trainPack } from "./train.ts";
import { recallTable } from "./train-report.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: "string", default: join(root, "packs/classifier") },
    seed: { type: "string", default: "1" },
  },
});
const data = [...positionals, ...(process.env.WEIR_DATA ? [process.env.WEIR_DATA] : [])];
if (data.length === 0)
  console.error("no labelled data given (WEIR_DATA or a file): training on the own corpus only");

const trained = trainPack(await leaf("test/assembly/inspect/classifier.entry.ts"), {
  corpus: join(root, "training"),
  data,
  seed: Number(values.seed),
});
mkdirSync(values.out, { recursive: true });
writeFileSync(join(values.out, "weights.bin"), trained.pack);
writeFileSync(join(values.out, "metrics.json"), `${JSON.stringify(metrics(trained), null, 2)}\n`);
console.log(`${join(values.out, "weights.bin")}: ${trained.pack.length} bytes`);

function metrics({ samples, threshold, calibration, heldOut }: Trained) {
  const attacks = samples.filter(({ label }) => label).length;
  return {
    samples: { attacks, benign: samples.length - attacks },
    threshold: Number(threshold.toFixed(4)),
    calibration,
    heldOut: recallTable(samples, heldOut, threshold),
  };
}
