// Cross-validation by source: what a model says about sources that it has not seen. Sources of one origin (the
// part of the name before "_", and its disguised twin "obf:…") stay together; origins are dealt out to FOLDS
// folds, the largest first to the smallest fold. The own corpus is always trained on and never judged, unless it has
// the only attacks: no calibration comes of harmless texts alone. Then each of its sources is an origin.
import type { Bag, Dataset } from "./features.ts";
import type { Sample } from "./train-corpus.ts";
import type { Judge } from "./train-judge.ts";
import { logit, type Model, type TrainOptions, train } from "./train-model.ts";

export const FOLDS = 6;

/** Where a source comes from: `obf:cyberseceval_pi_multi` is of `cyberseceval`. */
export function origin(source: string): string {
  return source.replace(/^obf:/, "").split("_")[0] ?? source;
}

/** The fold of each bag, or -1 for always trained on. */
export function folds(bags: readonly Bag[]): Int8Array {
  const own = (bag: Bag) => bag.source.startsWith("own_");
  const othersAttack = bags.some((bag) => bag.label === 1 && !own(bag));
  const key = (bag: Bag) => (own(bag) ? bag.source : origin(bag.source));
  const isJudged = (bag: Bag) => !othersAttack || !own(bag);
  const rows = new Map<string, number>();
  for (const bag of bags) if (isJudged(bag)) rows.set(key(bag), (rows.get(key(bag)) ?? 0) + 1);
  const filled = new Array<number>(FOLDS).fill(0);
  const foldOf = new Map<string, number>();
  for (const [name, count] of [...rows].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))) {
    const fold = filled.indexOf(Math.min(...filled));
    filled[fold] = (filled[fold] ?? 0) + count;
    foldOf.set(name, fold);
  }
  return Int8Array.from(bags, (bag) => (isJudged(bag) ? (foldOf.get(key(bag)) ?? 0) : -1));
}

/** One model for each fold, trained without it; undefined for a fold that is empty. */
export function heldOutModels(data: Dataset, fold: Int8Array, options: TrainOptions): (Model | undefined)[] {
  return Array.from({ length: FOLDS }, (_, out) => {
    const rest: number[] = [];
    for (let i = 0; i < fold.length; i++) if (fold[i] !== out) rest.push(i);
    return rest.length === fold.length ? undefined : train(data, rest, options);
  });
}

/** Raw scores of every bag that is in a fold, by the model trained without that fold; NaN for the others. */
export function heldOutScores(
  data: Dataset,
  fold: Int8Array,
  models: readonly (Model | undefined)[],
): Float64Array {
  return Float64Array.from(fold, (out, i) => {
    const model = out >= 0 ? models[out] : undefined;
    return model ? logit(data, i, model) : Number.NaN;
  });
}

/** The same as the edge would have it: `packs` by fold. */
export function heldOutLogits(
  judge: Judge,
  samples: readonly Sample[],
  fold: Int8Array,
  packs: readonly (Uint8Array | undefined)[],
): Float64Array {
  const logits = new Float64Array(samples.length).fill(Number.NaN);
  for (const [out, pack] of packs.entries()) {
    if (!pack) continue;
    judge.use(pack);
    for (const [i, { text }] of samples.entries()) if (fold[i] === out) logits[i] = judge.logit(text);
  }
  return logits;
}
