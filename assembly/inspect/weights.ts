// What a logit is worth: short texts are believed less, and rules add to what the classifier says.
import { LOGIT_MAX, LOGIT_ONE } from "./classifier";

/** Texts shorter than this say too little for the classifier alone. */
const SHORT_BYTES: i32 = 48;
/** What each missing byte takes off the logit: 1/16 of 1.0, so that one word never blocks by itself. */
const SHORT_STEP: i32 = LOGIT_ONE / 16;

/** The logit of a text of `bytes`. A few words look like an attack's as easily as like anything else's ("translate this
 *  text"), so short texts need a rule, or more evidence. */
export function shortened(logit: i32, bytes: i32): i32 {
  const missing = SHORT_BYTES - bytes;
  return missing > 0 ? max(logit - missing * SHORT_STEP, -LOGIT_MAX) : logit;
}

/** From this score on rules say enough by themselves for a text, or a passage, of a few words. */
export const STRONG_SCORE: i32 = 200;

/** The score of a rule that adds 1.0 to the logit. */
const EVIDENCE_ONE: i32 = 80;
/** The most that rules add: what the classifier is sure is harmless, such as a quoted attack, stays so. */
export const EVIDENCE_MAX: i32 = 2 * LOGIT_ONE;

/** What rules of these scores, added up, add to a logit. */
export function evidenceOf(scores: i32): i32 {
  return min((scores * LOGIT_ONE) / EVIDENCE_ONE, EVIDENCE_MAX);
}
