// `weir train`: labelled texts → a classifier pack. Reads the own corpus and any labelled JSONL, extracts features
// through the filter's own code, learns, calibrates and chooses the threshold on sources that the judging model
// had not seen, judged as the edge judges (rules, short texts, int8 weights), and returns the pack with what was
// measured. One seed gives one pack.
//
// Bounds: memory is about 10 bytes per byte of text; the time is linear in the text, folds and epochs.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { WeirError } from "../errors.ts";
import { extract, type FeatureModule } from "./features.ts";
import { type Platt, platt, type Scored, thresholdAt } from "./train-calibrate.ts";
import { ownCorpus, readSamples, type Sample } from "./train-corpus.ts";
import { documents } from "./train-documents.ts";
import { folds, heldOutLogits, heldOutModels, heldOutScores } from "./train-folds.ts";
import { Judge } from "./train-judge.ts";
import { DEFAULTS, type Model, type TrainOptions, train } from "./train-model.ts";
import { quantise, writePack } from "./train-pack.ts";

/** Share of benign texts of unseen sources, documents and code among them, that are above the threshold. */
export const FALSE_POSITIVES = 0.0012;

/** A threshold that no logit passes. */
export const OUT_OF_REACH = 16;

/** Sources whose labels are noisy (whole chat logs, contest entries): they count less. */
const NOISY = /^(obf:)?(inthewild|hackaprompt)/;

/** Split by category and most of what is met: it counts more. */
const OWN_ENGLISH = /^own_[a-z]+_en/;

/** Quoted attacks: at the weight of the others their words would no longer count as an attack's anywhere. */
const QUOTED = /^own_hard_en_quoted/;

export interface Trained {
  pack: Buffer;
  samples: Sample[];
  /** The fold of each sample, or -1. */
  fold: Int8Array;
  /** The packs of the models that had not seen a fold, by fold. */
  foldPacks: (Buffer | undefined)[];
  /** The edge's logits by models that did not see the sample's source; NaN outside the folds. */
  heldOut: Float64Array;
  /** The edge's logits by the pack itself. */
  fitted: Float64Array;
  calibration: Platt;
  threshold: number;
}

export interface TrainInput {
  /** The corpus's directory. */
  corpus: string;
  /** A directory of harmless documents. */
  documents: string;
  /** Labelled JSONL files. */
  data: string[];
  /** The rules pack that will be served beside the classifier. */
  rules?: Uint8Array;
  seed: number;
}

export const OPTIONS: TrainOptions = {
  ...DEFAULTS,
  factor: (source) => (NOISY.test(source) ? 0.5 : OWN_ENGLISH.test(source) && !QUOTED.test(source) ? 2 : 1),
};

export function trainPack(
  module: FeatureModule,
  { corpus, documents: directory, data: files, rules, seed }: TrainInput,
): Trained {
  const read = documents(directory);
  const samples = [...ownCorpus(corpus, seed), ...read, ...files.flatMap(readSamples)];
  const hash = sourceHash(corpus, read, files);
  const judge = new Judge(module, rules);
  const data = extract(module, samples);
  const options = { ...OPTIONS, seed };
  const fold = folds(data.bags);
  const models = heldOutModels(data, fold, options);
  const calibration = calibrate(samples, heldOutScores(data, fold, models));
  const packOf = (model: Model, threshold: number) =>
    writePack(quantise(model), model.bias, calibration, threshold, hash);
  const foldPacksAt = (threshold: number) => models.map((model) => model && packOf(model, threshold));
  // Above the threshold strong rules make a score certain; it is chosen of scores where they do not.
  const threshold = thresholdAt(
    Array.from(heldOutLogits(judge, samples, fold, foldPacksAt(OUT_OF_REACH))).filter(
      (logit, i) => !samples[i]?.label && !Number.isNaN(logit),
    ),
    FALSE_POSITIVES,
  );
  const foldPacks = foldPacksAt(threshold);
  const heldOut = heldOutLogits(judge, samples, fold, foldPacks);
  const all = samples.map((_, i) => i);
  const pack = packOf(train(data, all, options), threshold);
  judge.use(pack);
  const fitted = Float64Array.from(samples, ({ text }) => judge.logit(text));
  return { pack, samples, fold, foldPacks, heldOut, fitted, calibration, threshold };
}

/** Platt's fit to the raw scores of unseen sources, each weighted by the inverse root of its rows. */
function calibrate(samples: readonly Sample[], raw: Float64Array): Platt {
  const rows = new Map<string, number>();
  for (const { source, label } of samples) {
    rows.set(`${label}${source}`, (rows.get(`${label}${source}`) ?? 0) + 1);
  }
  const scored: Scored[] = [];
  for (const [i, { label, source }] of samples.entries()) {
    const score = raw[i] as number;
    if (Number.isNaN(score)) continue;
    scored.push({ score, label, weight: (rows.get(`${label}${source}`) ?? 1) ** -0.5 });
  }
  const fit = platt(scored);
  // The filter takes no pack of which a higher score means less; in such words nobody would know what is wrong.
  if (!(fit.slope > 0))
    throw new WeirError(
      "invalid_argument",
      "the labels contradict the other texts: expected 1 for attacks and 0 for what is harmless",
    );
  return fit;
}

/** SHA-256 over the corpus's files, the documents and the data's files. */
function sourceHash(corpus: string, read: readonly Sample[], files: readonly string[]): Buffer {
  const hash = createHash("sha256");
  for (const name of (readdirSync(corpus, { recursive: true }) as string[]).sort()) {
    if (name.endsWith(".txt")) hash.update(name).update(readFileSync(join(corpus, name)));
  }
  for (const { source, text } of read) hash.update(source).update(text);
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest();
}
