// Does a request try to turn the model against its owner? Every span is normalised, and the rules and the
// classifier read it and each of its decoded views; the highest score of any span counts.
//
// Score: 0 … 1000. A rule that blocks on its own gives 1000; otherwise the classifier's calibrated probability and
// what weaker rules add to it (sidecar/pack/train.ts says how they are combined).
import { lenOf, lit, NONE, slice, Slice } from "../slice";
import { probability, score as classify, threshold as calibrated } from "./classifier";
import { normalise } from "./normalise";
import { Prompt, Trust } from "./prompt";
import { begin, blocking, match, ruleId, SPAN_TRUSTED, SPAN_UNTRUSTED } from "./rules";
import { next, start, view } from "./views";

export enum Judgement {
  Clean = 0,
  Injection = 1,
}

const SCORE_MAX: i32 = 1000;
const CLASSIFIER = lit("classifier");

/** The highest score of any span of the request that was judged last. */
export let judgedScore: i32 = 0;
/** The rule that blocked it, or "classifier"; NONE for a clean one. */
export let judgedWhy: Slice = NONE;

/**
 * Judges all spans. `work` is room for the longest of them. A threshold of 0 is the one that the pack was
 * calibrated for.
 */
export function judge(prompt: Prompt, work: usize, threshold: i32, untrusted: i32): Judgement {
  judgedScore = 0;
  judgedWhy = NONE;
  const usual = threshold ? threshold : probability(calibrated);
  const foreign = untrusted ? untrusted : usual;
  for (let i = 0; i < prompt.count; i++) {
    const outside = prompt.trust(i) == Trust.Untrusted;
    const found = judgeSpan(prompt.raw(i), prompt.escaped(i), outside, work);
    judgedScore = max(judgedScore, found);
    const limit = outside ? foreign : usual;
    if (found < limit) continue;
    judgedWhy = blocking >= 0 ? ruleId(blocking) : CLASSIFIER;
    return Judgement.Injection;
  }
  return Judgement.Clean;
}

/** The score of one span. */
function judgeSpan(raw: Slice, escaped: bool, outside: bool, work: usize): i32 {
  const normal = slice(work, normalise(raw, escaped, work, lenOf(raw)));
  begin(outside ? SPAN_UNTRUSTED : SPAN_TRUSTED);
  match(normal);
  let logit = classify(normal);
  for (start(raw, escaped, normal); next(); ) {
    match(view);
    logit = max(logit, classify(view));
  }
  return blocking >= 0 ? SCORE_MAX : probability(logit);
}
