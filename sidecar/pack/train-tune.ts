// A pack that goes on learning from labels, as `weir train` offers it. Much of what a pack knows comes of data that is not
// shipped with it, and a training on labels alone would forget that. So this one starts from the present weights, is held to
// them, and reads the project's own texts and documents again beside the labels.
//
// Scores keep their meaning: the calibration is the present pack's. The threshold is where as many of the own attacks are caught
// as before; what labels teach is to be seen in other attacks, and in what is harmless.
//
// Bound: as train.ts, without its folds.
import { extract, type FeatureModule } from "./features.ts";
import { OPTIONS, OUT_OF_REACH } from "./train.ts";
import { thresholdAt } from "./train-calibrate.ts";
import type { Sample } from "./train-corpus.ts";
import { Judge } from "./train-judge.ts";
import { type TrainOptions, train } from "./train-model.ts";
import { LOGIT_ONE, packModel, packThreshold, quantise, withThreshold, writePack } from "./train-pack.ts";

/** What a label's source begins with here, so that it is no own text's. */
const LABELLED = "labels:";

/** Compared on labels of 523 false alarms, 851 texts like them and 300 missed attacks: RATIONALE.md has what became of a fifth held out. */
const TUNING: TrainOptions = {
  ...OPTIONS,
  epochs: 8,
  inertia: 0.1,
  l2: 1e-4,
  benign: 1,
  factor: (source) => (source.startsWith(LABELLED) ? 16 : (OPTIONS.factor?.(source) ?? 1)),
};

interface TuneInput {
  /** The present pack. */
  pack: Uint8Array;
  /** How many attacks of `own` it catches. */
  caught: number;
  /** The project's own texts, and documents. */
  own: readonly Sample[];
  labels: readonly Sample[];
  rules: Uint8Array;
  /** 32 bytes for the header. */
  hash: Uint8Array;
  seed: number;
}

export function tune(module: FeatureModule, input: TuneInput): Buffer {
  const { pack, caught, own, labels, rules, hash, seed } = input;
  const judge = new Judge(module, rules);
  const samples = [...own, ...labels.map((sample) => ({ ...sample, source: `${LABELLED}${sample.source}` }))];
  const data = extract(module, samples);
  const model = train(data, [...samples.keys()], { ...TUNING, seed }, packModel(pack));
  const tuned = writePack(quantise(model), model.bias, { slope: 1, offset: 0 }, OUT_OF_REACH, hash);
  // Of scores that strong rules have not made certain: with those no fewer are caught.
  judge.use(tuned);
  const attacks = own.filter(({ label }) => label).map(({ text }) => judge.logit(text));
  // Texts of one's own may have none, which tell of no other threshold.
  if (attacks.length === 0) return withThreshold(tuned, packThreshold(pack));
  // Half of one more, so that no rounding makes it one less; and a pack's threshold is rounded up.
  return withThreshold(tuned, thresholdAt(attacks, (caught + 0.5) / attacks.length) - 1 / LOGIT_ONE);
}
