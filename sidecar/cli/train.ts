// `weir train`: the classifier in use, and labels → a candidate that went on learning, offered only when it is better.
//
// Labels are lines {"text", "label": 0 | 1, "source"?, "kind"?}; false alarms alone will do, or missed attacks. A fifth of them, by a hash of the text, is held out of
// training, whichever run it is; both packs are judged on that part, each at its own threshold. Labels tell of what somebody looked at, and nothing of all other traffic: for that the project's own
// texts stand, and documents, of which a candidate may not refuse more harmless ones nor catch fewer attacks. The candidate is written either way, under a name that says
// whether it is offered; if it is, the filter with it is written, too, to be rolled out like any other.
//
// Features and verdicts come from the filter's own code (dist/features.wasm) and its curated rules (dist/rules.bin). Bound: LABELS_MAX bytes of labels.
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemReason, WeirError } from "../errors.ts";
import type { FeatureModule } from "../pack/features.ts";
import { ownCorpus, readSamples, type Sample } from "../pack/train-corpus.ts";
import { documents, packagesOf } from "../pack/train-documents.ts";
import { Judge } from "../pack/train-judge.ts";
import { packThreshold } from "../pack/train-pack.ts";
import { tune } from "../pack/train-tune.ts";
import { builtFile, filterWith } from "./filter.ts";
import { integerOf, UsageError, unreadable } from "./usage.ts";

const LABELS_MAX = 256 << 20;
const HELD_OUT = 0.2;

export const USAGE = `usage: weir train --labels FILE.jsonl [--corpus DIR] [--documents DIR] [--current PACK] [--out DIR] [--seed N]

  --labels FILE.jsonl   lines {"text", "label": 0 | 1, "source"?, "kind"?}, at most ${LABELS_MAX} bytes; 1 is an attack, 0 is harmless;
                        of one kind alone will do, such as what was refused and should not have been
  --corpus DIR          the project's own texts, learned with the labels (those that came with the command)
  --documents DIR       documents and code, all of it harmless, learned with the labels (the packages installed with the command)
  --current PACK        the pack in use, which goes on learning (the one that came with the command)
  --out DIR             where classifier.bin and weir.wasm, the filter with it, are written, or classifier.rejected.bin (the working directory)
  --seed N              of the training, 0 to 4294967295 (1)

A fifth of the labels is held out, and both packs are judged on it, and on the project's own texts and the documents: better is what is
better on the labels and no worse on those.

exit status: 0 better, offered; 3 not better, not offered; 1 something cannot be read; 2 wrong usage`;

/** What a pack does on the held-out labels. */
export interface Judged {
  caught: number;
  attacks: number;
  falsePositives: number;
  benign: number;
}

/** Whether a text belongs to the held-out part: the same answer for the same text in every run. */
export function heldOut(text: string): boolean {
  return createHash("sha256").update(text).digest().readUInt32LE(0) / 2 ** 32 < HELD_OUT;
}

/** Not worse in either: attacks caught and false positives. */
const noWorse = (candidate: Judged, current: Judged) =>
  candidate.caught >= current.caught && candidate.falsePositives <= current.falsePositives;

/** Not worse in either, and better in one. */
export const better = (candidate: Judged, current: Judged): boolean =>
  noWorse(candidate, current) && !noWorse(current, candidate);

/** Instantiates the compiled feature code. */
export function featureModule(wasm: Uint8Array): FeatureModule {
  const abort = () => {
    throw new WeirError("internal", "the feature code aborted");
  };
  const module = new WebAssembly.Module(Uint8Array.from(wasm));
  const { exports } = new WebAssembly.Instance(module, { env: { abort } });
  const { memory, reserve } = exports as unknown as {
    memory: WebAssembly.Memory;
    reserve(size: number): number;
  };
  return { exports: exports as FeatureModule["exports"], memory, reserve: (size) => reserve(size) >>> 0 };
}

/** Judges `pack` on `samples` by its own threshold, beside the rules. */
export function judgePack(
  wasm: Uint8Array,
  rules: Uint8Array,
  pack: Uint8Array,
  samples: readonly Sample[],
): Judged {
  const judge = new Judge(featureModule(wasm), rules);
  judge.use(pack);
  const threshold = packThreshold(pack);
  const judged: Judged = { caught: 0, attacks: 0, falsePositives: 0, benign: 0 };
  for (const { text, label } of samples) {
    const flagged = judge.logit(text) > threshold ? 1 : 0;
    if (label) {
      judged.attacks++;
      judged.caught += flagged;
    } else {
      judged.benign++;
      judged.falsePositives += flagged;
    }
  }
  return judged;
}

/** A file that lies beside the built command, or, run from source, in the project. */
function beside(built: string, source: string): string {
  const file = fileURLToPath(new URL(built, import.meta.url));
  return existsSync(file) ? file : fileURLToPath(new URL(`../../${source}`, import.meta.url));
}

const line = (name: string, { caught, attacks, falsePositives, benign }: Judged) =>
  `${name.padEnd(10)} caught ${caught} of ${attacks}, false positives ${falsePositives} of ${benign}`;

/** The labels of a file. Throws WeirError that names the file, and the line of one that is no label. */
function readLabels(file: string): Sample[] {
  let bytes: number;
  try {
    bytes = statSync(file).size;
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  if (bytes > LABELS_MAX)
    throw new WeirError("invalid_argument", `${file}: ${bytes} bytes: expected at most ${LABELS_MAX}`);
  try {
    return readSamples(file);
  } catch (thrown) {
    throw thrown instanceof WeirError ? thrown : unreadable(file, thrown);
  }
}

/** What `read` makes of `directory`. Throws WeirError that names it where it cannot be read. */
function readDirectory(directory: string, read: (directory: string) => Sample[]): Sample[] {
  try {
    return read(directory);
  } catch (thrown) {
    throw thrown instanceof WeirError ? thrown : unreadable(directory, thrown);
  }
}

/** Makes a directory where there is none. Node's own way to make those above it, too, never ends in /proc. */
function makeDirectory(path: string): void {
  try {
    if (!existsSync(dirname(path))) makeDirectory(dirname(path));
    if (!existsSync(path)) mkdirSync(path);
    if (!statSync(path).isDirectory())
      throw new WeirError("invalid_argument", `${path}: expected a directory`);
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (thrown) {
    if (thrown instanceof WeirError) throw thrown;
    throw new WeirError("invalid_argument", `${path}: cannot be written to: ${systemReason(thrown)}`, thrown);
  }
}

/** The pack in a file, and what it does on `samples`. Throws WeirError that names the file when it is none. */
function readCurrent(
  wasm: Uint8Array,
  rules: Uint8Array,
  file: string,
  samples: readonly Sample[],
): { pack: Uint8Array; judged: Judged } {
  let pack: Uint8Array;
  try {
    pack = readFileSync(file);
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  try {
    return { pack, judged: judgePack(wasm, rules, pack, samples) };
  } catch (thrown) {
    const { code, message } = WeirError.from(thrown);
    throw new WeirError(code, `${file}: ${message}`, thrown);
  }
}

export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      labels: { type: "string" },
      corpus: { type: "string", default: beside("./training", "training") },
      documents: { type: "string", default: packagesOf(dirname(fileURLToPath(import.meta.url))) },
      current: { type: "string", default: beside("./classifier.bin", "packs/classifier/weights.bin") },
      out: { type: "string", default: "." },
      seed: { type: "string", default: "1" },
    },
  });
  const { labels, corpus, current, out } = values;
  if (!labels) throw new UsageError("--labels is missing");
  const seed = integerOf("--seed", values.seed, 0, 2 ** 32 - 1);
  const samples = readLabels(labels);
  const test = samples.filter(({ text }) => heldOut(text));
  const rest = samples.filter(({ text }) => !heldOut(text));
  if (test.length === 0 || rest.length === 0)
    throw new WeirError(
      "invalid_argument",
      `${labels}: ${rest.length} texts to learn and ${test.length} held out: expected some of each; label more`,
    );
  const wasm = readFileSync(builtFile("features.wasm"));
  const rules = readFileSync(builtFile("rules.bin"));
  // Before the training, which takes a while: what is no pack, and no directory to write to, is told at once.
  makeDirectory(resolve(out));
  const { pack: currentPack, judged: present } = readCurrent(wasm, rules, current, test);
  const own = [
    ...readDirectory(corpus, (directory) => ownCorpus(directory, seed)),
    ...readDirectory(values.documents, documents),
  ];
  const presentOwn = judgePack(wasm, rules, currentPack, own);
  const hash = createHash("sha256")
    .update(currentPack)
    .update(readFileSync(labels))
    .update(String(seed))
    .digest();
  const { caught } = presentOwn;
  const pack = tune(featureModule(wasm), { pack: currentPack, caught, own, labels: rest, rules, hash, seed });
  const candidate = judgePack(wasm, rules, pack, test);
  const candidateOwn = judgePack(wasm, rules, pack, own);
  const offered = better(candidate, present) && noWorse(candidateOwn, presentOwn);
  const file = join(out, offered ? "classifier.bin" : "classifier.rejected.bin");
  writeFileSync(file, pack);
  console.log(`${rest.length} labels learned, ${test.length} held out`);
  console.log(line("present", present));
  console.log(line("candidate", candidate));
  console.log(`${own.length} of the project's own texts and of documents, learned`);
  console.log(line("present", presentOwn));
  console.log(line("candidate", candidateOwn));
  console.log(`${file}: ${offered ? "better, offered" : "not better, not offered"}`);
  if (offered) {
    writeFileSync(join(out, "weir.wasm"), filterWith(pack));
    console.log(`${join(out, "weir.wasm")}: the filter with it`);
  }
  return offered ? 0 : 3;
}
