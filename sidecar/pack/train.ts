// `weir train`: labelled texts → a classifier pack. Reads the own corpus and any labelled JSONL, extracts features
// through the filter's own code, learns, calibrates and chooses the threshold on sources that the judging model
// had not seen, quantises, and returns the pack with what was measured. One seed gives one pack.
//
// Bounds: memory is about 10 bytes per byte of text; the time is linear in the text, folds and epochs.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Dataset, extract, type FeatureModule } from "./features.ts";
import { type Platt, platt, type Scored, thresholdAt } from "./train-calibrate.ts";
import { ownCorpus, readSamples, type Sample } from "./train-corpus.ts";
import { folds, heldOutScores } from "./train-folds.ts";
import { DEFAULTS, logit, type TrainOptions, train } from "./train-model.ts";
import { quantise, writePack } from "./train-pack.ts";

/** Share of benign texts of unseen sources that the threshold lets through as attacks. */
export const FALSE_POSITIVES = 0.004;

/** Sources whose labels are noisy (whole chat logs, contest entries): they count less. */
const NOISY = /^(obf:)?(inthewild|hackaprompt)/;

/** Split by category and most of what is met: it counts more. */
const OWN_ENGLISH = /^own_[a-z]+_en/;

export interface Trained {
  pack: Buffer;
  samples: Sample[];
  data: Dataset;
  /** The fold of each sample, or -1. */
  fold: Int8Array;
  /** Calibrated logits by models that did not see the sample's source; NaN outside the folds. */
  heldOut: Float64Array;
  /** Calibrated logits of the pack itself. */
  fitted: Float64Array;
  calibration: Platt;
  threshold: number;
}

export interface TrainInput {
  /** The corpus's directory. */
  corpus: string;
  /** Labelled JSONL files. */
  data: string[];
  seed: number;
}

export const OPTIONS: TrainOptions = {
  ...DEFAULTS,
  factor: (source) => (NOISY.test(source) ? 0.5 : OWN_ENGLISH.test(source) ? 2 : 1),
};

export function trainPack(module: FeatureModule, { corpus, data: files, seed }: TrainInput): Trained {
  const samples = [...ownCorpus(corpus, seed), ...files.flatMap(readSamples)];
  return trainPackOf(module, samples, sourceHash(corpus, files), seed);
}

/** The same from samples at hand; `hash` (32 bytes) goes into the pack's header. */
export function trainPackOf(
  module: FeatureModule,
  samples: Sample[],
  hash: Uint8Array,
  seed: number,
): Trained {
  const data = extract(module, samples);
  const options = { ...OPTIONS, seed };
  const fold = folds(data.bags);
  const raw = heldOutScores(data, fold, options);
  const scored: Scored[] = [];
  const benign: number[] = [];
  const perSource = new Map<string, number>();
  for (const { source, label } of samples) {
    perSource.set(`${label}${source}`, (perSource.get(`${label}${source}`) ?? 0) + 1);
  }
  for (const [i, { label, source }] of samples.entries()) {
    const score = raw[i] as number;
    if (Number.isNaN(score)) continue;
    scored.push({ score, label, weight: (perSource.get(`${label}${source}`) ?? 1) ** -0.5 });
    if (!label) benign.push(score);
  }
  const calibration = platt(scored);
  const calibrated = (score: number) => calibration.slope * score + calibration.offset;
  const threshold = calibrated(thresholdAt(benign, FALSE_POSITIVES));
  const model = train(
    data,
    samples.map((_, i) => i),
    options,
  );
  const quantised = quantise(model);
  const pack = writePack(quantised, model.bias, calibration, threshold, hash);
  const weights = Float32Array.from(quantised.weights, (w) => w * quantised.step);
  const fitted = Float64Array.from(samples, (_, i) =>
    calibrated(logit(data, i, { weights, bias: model.bias })),
  );
  return { pack, samples, data, fold, heldOut: raw.map(calibrated), fitted, calibration, threshold };
}

/** SHA-256 over the corpus's files and the data's. */
function sourceHash(corpus: string, files: readonly string[]): Buffer {
  const hash = createHash("sha256");
  for (const name of (readdirSync(corpus, { recursive: true }) as string[]).sort()) {
    if (name.endsWith(".txt")) hash.update(name).update(readFileSync(join(corpus, name)));
  }
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest();
}
