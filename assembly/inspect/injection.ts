// Does a request try to turn the model against its owner? Every span is normalised, and the classifier reads it and each of its
// decoded views, and the rules what it does not find plainly harmless; the highest score of any span, or of the parts of a message
// together (together.ts), counts. A text that this worker has judged before is not read again but remembered (memo.ts).
//
// How rules and classifier make one score is `combine`, and nowhere else: the filter, the component (`weir scan`) and
// `make eval` all ask it. The score is a calibrated logit in LOGIT_ONE-ths, because that is finer than any
// probability near its ends; people and policies see `probability` of it, 0 … 1000.
//
// The length of a text counts inside the classifier (windows of one size, √length): see classifier.ts.
import { hash64 } from "../hash";
import { lenOf, lit, NONE, ptrOf, slice, Slice } from "../slice";
import {
  loadPack,
  LOGIT_MAX,
  LOGIT_ONE,
  isCertain,
  probability,
  score as classify,
  threshold as calibrated,
} from "./classifier";
import { MemoEntry, memoOf, memoOfOther, setMemoVersion } from "./memo";
import { normalise } from "./normalise";
import { bestPassage, quotes, quotingLogit } from "./passage";
import { Prompt, Trust } from "./prompt";
import {
  begin,
  blocking,
  checkRules,
  loadRules,
  match,
  OWN_RULES,
  reporting,
  RULE_TABLE_BYTES,
  ruleId,
  score as evidence,
  setOwnRules,
  SPAN_TRUSTED,
  SPAN_UNTRUSTED,
  strongest,
  strongestScore,
} from "./rules";
import { beginRun, findRun, nextPiece, runTo, togetherWork } from "./together";
import { next, start, view } from "./views";
import { EVIDENCE_MAX, evidenceOf, shortened, STRONG_SCORE } from "./weights";

export enum Judgement {
  Clean = 0,
  Injection = 1,
}

const CLASSIFIER = lit("classifier");

/** The highest score of any span of the request that was judged last, 0 … 1000. */
export let judgedScore: i32 = 0;
/** The rule that blocked it, or "classifier"; NONE for a clean one. */
export let judgedWhy: Slice = NONE;
/** The rule to name if the span that was judged last is blocked; -1 for the classifier. */
export let spanRule: i32 = -1;
/** What blocked the request is one of the policy's own rules. */
export let judgedByOwn: bool = false;
/** One of the policy's own rules that only report was found in a text that was judged. */
export let judgedReport: bool = false;

let rulesVersion: u64 = 0;
let classifierVersion: u64 = 0;
let ownVersion: u64 = 0;
let spanReport: i32 = -1;

/** Judgements made by other packs are not asked for. */
function newVersion(): void {
  setMemoVersion(rulesVersion ^ rotl<u64>(classifierVersion, 1) ^ rotl<u64>(ownVersion, 2));
}

/** Takes a rules pack over, which must stay at `ptr`; false, and the one in use stays, if it is not one. */
export function useRules(ptr: usize, len: i32): bool {
  if (!loadRules(ptr, len)) return false;
  rulesVersion = hash64(slice(ptr, len), 1);
  newVersion();
  return true;
}

//  a policy's own rules: | version u64 | 0 u64 | RuleTable | pack … |
const OWN_HEAD: usize = 16 + RULE_TABLE_BYTES;

/** Bytes that a policy's own rules need for a pack of `len` bytes. */
export function ownRulesRoom(len: i32): usize {
  return OWN_HEAD + <usize>len;
}

/** Copies a policy's own rules to `to` (`ownRulesRoom` bytes, 16-byte aligned); false if they are no pack. */
export function keepOwnRules(pack: Slice, to: usize): bool {
  memory.copy(to + OWN_HEAD, ptrOf(pack), lenOf(pack));
  store<u64>(to, hash64(pack, 3));
  return checkRules(to + OWN_HEAD, lenOf(pack), to + 16, OWN_RULES);
}

/** The pack of `len` bytes that was kept at `kept`. */
export function ownRulesPack(kept: usize, len: i32): Slice {
  return slice(kept + OWN_HEAD, len);
}

/** The own rules of the policy in hand, as kept; 0: it has none. Before any span of its body is looked at. */
export function useOwnRules(kept: usize): void {
  setOwnRules(kept ? kept + 16 : 0);
  ownVersion = kept ? load<u64>(kept) : 0;
  newVersion();
}

/** Takes a classifier pack over, which is copied; false, and the one in use stays, if it is not one. */
export function useClassifier(ptr: usize, len: i32): bool {
  if (!loadPack(ptr, len)) return false;
  classifierVersion = hash64(slice(ptr, len), 2);
  newVersion();
  return true;
}

/** The highest logit of a text or view by the classifier alone: with what is taken off short texts, and without. */
let logit: i32 = 0;
let unshortened: i32 = 0;
/** The highest logit of a passage, with the evidence of its rules. */
let passage: i32 = 0;

/** Passages below this logit are not looked for. */
const FAINT: i32 = 0;

/** Up to this logit a text is none that only misspelt words keep from being an attack: nine in ten of such are above it. */
export const DOUBTFUL: i32 = -(3 * LOGIT_ONE) / 2;

/** Takes in one normalised text; what the classifier alone says of it. */
function weigh(text: Slice): i32 {
  const whole = classify(text);
  match(text);
  if (quotes(text)) passage = max(passage, quotingLogit(text));
  else {
    logit = max(logit, shortened(whole, lenOf(text)));
    unshortened = max(unshortened, whole);
  }
  // A text full of attacks costs no look at each of them.
  if (isCertain(combined())) return whole;
  const least = max(max(passage, whole), FAINT);
  const found = bestPassage(text, least);
  if (found > least) passage = found;
  return whole;
}

/** The combined score of what has been read of a text so far. */
function combined(): i32 {
  const found = strongestScore >= STRONG_SCORE ? unshortened : logit;
  return combine(blocking >= 0, found, evidence, passage, strongestScore);
}

/** From this score on a rule is named as what blocked a text; weaker ones only helped. */
const NAMED_SCORE: i32 = 160;

/**
 * One score of what rules and classifier say about a text and its views: LOGIT_MAX (a probability of 1) when a rule
 * blocks by itself; otherwise the highest logit with `scores` on top, the sum of the scores of the rules found, or that
 * of a passage with the rules around it if it is higher. `best` is the highest score of one rule: with a strong one and a
 * sum well above the threshold, which only a classifier that is not far from it gives, the score is LOGIT_MAX, too.
 */
export function combine(blocked: bool, logit: i32, scores: i32, passage: i32, best: i32): i32 {
  if (blocked) return LOGIT_MAX;
  const sum = min(max(logit + evidenceOf(scores), passage), LOGIT_MAX);
  return best >= STRONG_SCORE && sum > calibrated + EVIDENCE_MAX / 2 ? LOGIT_MAX : sum;
}

/** Whether a combined score is an injection: from `limit` (1 … 1000) on, or for 0 above the pack's own threshold. */
export function exceeds(logit: i32, limit: i32): bool {
  return limit ? probability(logit) >= limit : logit > calibrated;
}

/**
 * Judges all spans. `work` is room for the longest of them. A threshold of 0 is the one that the pack was
 * calibrated for; an `untrusted` of 0 is `threshold`. With `lenient`, what is found in system texts is reported and judging goes
 * on, unless one of the policy's own rules blocks there.
 */
export function judge(prompt: Prompt, work: usize, threshold: i32, untrusted: i32, lenient: bool): Judgement {
  beginJudging();
  for (let i = 0; i < prompt.count; i++) {
    const trust = prompt.trust(i);
    const entry = memoOf(i, prompt.raw(i), prompt.escaped(i), trust);
    const logit = judgeOnce(entry, prompt.raw(i), prompt.escaped(i), trust, work);
    if (convicts(logit, limitOf(trust, threshold, untrusted)) && !excused(trust, lenient))
      return Judgement.Injection;
  }
  return judgeTogether(prompt, threshold, untrusted, lenient) ? Judgement.Injection : Judgement.Clean;
}

/** Whether what was just found is only reported, for where it stands. */
function excused(trust: i32, lenient: bool): bool {
  if (!lenient || trust != Trust.System || judgedByOwn) return false;
  judgedReport = true;
  return true;
}

/** A new body is in hand: nothing is said about it yet. */
export function beginJudging(): void {
  judgedScore = 0;
  judgedWhy = NONE;
  judgedReport = false;
  judgedByOwn = false;
}

/** Judges what the texts of a message's parts are together, until one is an injection; whether one is. */
export function judgeTogether(prompt: Prompt, threshold: i32, untrusted: i32, lenient: bool): bool {
  for (let from = 0; findRun(prompt, from); from = runTo) {
    const trust = prompt.trust(runTo - 1);
    const limit = limitOf(trust, threshold, untrusted);
    for (let spaced = 0; spaced <= 1; spaced++) {
      beginRun();
      for (let text = nextPiece(prompt, !!spaced); text != NONE; text = nextPiece(prompt, !!spaced)) {
        const logit = judgeOnce(memoOfOther(text, true, trust), text, true, trust, togetherWork);
        if (convicts(logit, limit) && !excused(trust, lenient)) return true;
      }
    }
  }
  return false;
}

/** Takes the score of one text in: whether it is an injection. */
export function convicts(logit: i32, limit: i32): bool {
  judgedScore = max(judgedScore, probability(logit));
  if (spanReport >= 0) judgedReport = true;
  if (!exceeds(logit, limit)) return false;
  judgedWhy = whyBlocked(spanRule);
  judgedByOwn = spanRule >= OWN_RULES;
  return true;
}

/** The threshold for a text of class `trust`. */
export function limitOf(trust: i32, threshold: i32, untrusted: i32): i32 {
  return trust == Trust.Untrusted && untrusted ? untrusted : threshold;
}

/** The name of what blocked a text: `rule`, or the classifier. */
export function whyBlocked(rule: i32): Slice {
  return rule >= 0 ? ruleId(rule) : CLASSIFIER;
}

/** The combined score of one text, as its `entry` in the memo has it, or read anew; sets `spanRule`. */
function judgeOnce(entry: MemoEntry | null, raw: Slice, escaped: bool, trust: i32, work: usize): i32 {
  if (entry != null && entry.isJudged()) {
    spanRule = entry.blocking;
    spanReport = entry.reporting;
    return entry.logit;
  }
  const logit = judgeText(raw, escaped, trust, work);
  if (entry != null) entry.judge(logit, spanRule, spanReport);
  return logit;
}

/** The combined score of one text, read anew; sets `spanRule`, and leaves in rules.ts which rules were found. */
export function judgeText(raw: Slice, escaped: bool, trust: i32, work: usize): i32 {
  const normal = slice(work, normalise(raw, escaped, work, lenOf(raw)));
  begin(trust == Trust.Untrusted ? SPAN_UNTRUSTED : SPAN_TRUSTED);
  logit = -LOGIT_MAX;
  unshortened = -LOGIT_MAX;
  passage = -LOGIT_MAX;
  const doubtful = weigh(normal) > DOUBTFUL;
  for (start(raw, escaped, normal, doubtful); next(); ) weigh(view);
  spanRule = blocking >= 0 ? blocking : strongestScore >= NAMED_SCORE ? strongest : -1;
  spanReport = blocking < 0 ? reporting : -1;
  return combined();
}
