// `make eval`: how well attacks are told from ordinary text. Three questions, three tables:
//
//  1. On sources that the model never saw (it is retrained without each group of sources): what is caught at 0.5 %
//     false positives, beside the first linear model of the data's README; and at a threshold that was chosen on
//     the other groups only, as the frozen one will be used.
//  2. By source and kind, at the pack's own threshold, for the model that never saw the source.
//  3. The same texts by the model trained on all of them, which the committed pack should be byte for byte: a
//     check, not an estimate.
//
// Every text is judged by the filter's own code, as a user's turn: what `weir scan --jsonl` says of it.
//
// Labelled texts come from WEIR_DATA or the first argument: a JSONL file, or a directory with prompts.jsonl. Without them only
// the own corpus and documents are judged, and the committed pack, which was made with them, cannot be compared.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rulesPack } from "../scripts/packs.ts";
import { FALSE_POSITIVES, trainPack } from "../sidecar/pack/train.ts";
import { thresholdAt } from "../sidecar/pack/train-calibrate.ts";
import { labelledFile } from "../sidecar/pack/train-corpus.ts";
import { FOLDS, heldOutLogits } from "../sidecar/pack/train-folds.ts";
import { Judge } from "../sidecar/pack/train-judge.ts";
import { type Row, recallTable, tableBy } from "../sidecar/pack/train-report.ts";
import { leaf } from "../test/support/leaf.ts";

const FIRST_MODEL: Record<string, string> = { explicit: ".67", obfuscated: ".48", multilingual: ".24" };
const ENTRY = "test/assembly/inspect/classifier.entry.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const path = process.argv[2] ?? process.env.WEIR_DATA;
const file = path ? labelledFile(path) : undefined;
if (path && !file) {
  console.error(`eval: ${path} is neither a JSONL file nor a directory with prompts.jsonl`);
  process.exit(2);
}
if (!file) console.log("No labelled data: WEIR_DATA is not set. Own corpus and documents only.\n");

const trained = trainPack(await leaf(ENTRY), {
  corpus: join(root, "training"),
  documents: join(root, "node_modules"),
  data: file ? [file] : [],
  rules: await rulesPack(),
  seed: 1,
});
const { samples, fold, foldPacks, threshold } = trained;
const unseenOnly = <T>(values: ArrayLike<T>): T[] =>
  Array.from(values).filter((_, i) => !Number.isNaN(trained.heldOut[i] as number));
const judged = unseenOnly(samples);
const foldOf = unseenOnly(fold);
const alone = unseenOnly(heldOutLogits(new Judge(await leaf(ENTRY)), samples, fold, foldPacks));
const combined = unseenOnly(trained.heldOut);

console.log(`${judged.length} texts of sources the judging model had not seen, ${FOLDS} groups of sources\n`);
unseen("classifier alone", alone);
unseen("rules and classifier", combined);
console.log(`By source and kind, unseen, at the pack's threshold (logit ${threshold.toFixed(2)})`);
print(
  tableBy(
    judged,
    combined,
    threshold,
    ({ label, source, kind }) => `${label ? "+" : "-"} ${source} / ${kind}`,
  ),
);
packCheck();

/** Tables of texts whose source was left out of training. */
function unseen(title: string, values: readonly number[]): void {
  const benign = values.filter((_, i) => !judged[i]?.label);
  const at = thresholdAt(benign, 0.005);
  console.log(
    `${title}: caught at 0.5 % false positives (threshold over all groups, logit ${at.toFixed(2)})`,
  );
  print(recallTable(judged, values, at), true);
  // Each group of sources is judged by a threshold that the other groups chose.
  const others = Array.from({ length: FOLDS }, (_, group) =>
    thresholdAt(
      values.filter((_, i) => !judged[i]?.label && foldOf[i] !== group),
      FALSE_POSITIVES,
    ),
  );
  const margins = values.map((value, i) => value - (others[foldOf[i] as number] ?? 0));
  console.log(`${title}: at a threshold frozen on the other groups`);
  print(recallTable(judged, margins, 0));
  const all = tableBy(judged, margins, 0, ({ label }) => (label ? "all attacks" : "all benign"));
  print(all);
}

/** The committed pack on the same texts. */
function packCheck(): void {
  const path = join(root, "packs/classifier/weights.bin");
  if (!existsSync(path)) {
    console.log("No packs/classifier/weights.bin.");
    return;
  }
  if (file) {
    const same = readFileSync(path).equals(trained.pack);
    console.log(`The committed pack ${same ? "is" : "is NOT"} what this corpus, data and normaliser give.`);
  }
  console.log("The model trained on everything, on the texts it was trained on:");
  print(recallTable(judged, unseenOnly(trained.fitted), threshold));
}

function print(table: Record<string, Row>, withFirst = false): void {
  for (const [name, { rows, flagged, rate }] of Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const first = withFirst && FIRST_MODEL[name] ? `   first linear model ${FIRST_MODEL[name]}` : "";
    console.log(`  ${name.padEnd(56)} ${rate.toFixed(4)}  ${String(flagged).padStart(6)} / ${rows}${first}`);
  }
  console.log("");
}
