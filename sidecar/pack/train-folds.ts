// Cross-validation by source: what a model says about sources that it has not seen. Sources of one origin (the
// part of the name before "_", and its disguised twin "obf:…") stay together; origins are dealt out to FOLDS
// folds, the largest first to the smallest fold. The own corpus is always trained on and never judged, unless
// there is nothing else.
import type { Bag, Dataset } from "./features.ts";
import { logit, type TrainOptions, train } from "./train-model.ts";

export const FOLDS = 6;

/** Where a source comes from: `obf:cyberseceval_pi_multi` is of `cyberseceval`. */
export function origin(source: string): string {
  return source.replace(/^obf:/, "").split("_")[0] ?? source;
}

/** The fold of each bag, or -1 for always trained on. */
export function folds(bags: readonly Bag[]): Int8Array {
  const own = (bag: Bag) => bag.source.startsWith("own_");
  const onlyOwn = bags.every(own);
  const key = (bag: Bag) => (onlyOwn ? bag.source : origin(bag.source));
  const rows = new Map<string, number>();
  for (const bag of bags) if (onlyOwn || !own(bag)) rows.set(key(bag), (rows.get(key(bag)) ?? 0) + 1);
  const filled = new Array<number>(FOLDS).fill(0);
  const foldOf = new Map<string, number>();
  for (const [name, count] of [...rows].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))) {
    const fold = filled.indexOf(Math.min(...filled));
    filled[fold] = (filled[fold] ?? 0) + count;
    foldOf.set(name, fold);
  }
  return Int8Array.from(bags, (bag) => (onlyOwn || !own(bag) ? (foldOf.get(key(bag)) ?? 0) : -1));
}

/** Raw scores of every bag that is in a fold, by a model trained without that fold; NaN for the others. */
export function heldOutScores(data: Dataset, fold: Int8Array, options: TrainOptions): Float64Array {
  const scores = new Float64Array(data.bags.length).fill(Number.NaN);
  for (let out = 0; out < FOLDS; out++) {
    const rest: number[] = [];
    for (let i = 0; i < fold.length; i++) if (fold[i] !== out) rest.push(i);
    if (rest.length === fold.length) continue;
    const model = train(data, rest, options);
    for (let i = 0; i < fold.length; i++) if (fold[i] === out) scores[i] = logit(data, i, model);
  }
  return scores;
}
