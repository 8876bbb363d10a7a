// The inspection of a whole body, as the filter does it, cut off after each of its stages: what bench/inspect.ts times
// and what the differential test compares.
import { probability, score, threshold } from "../../../assembly/inspect/classifier";
import { DOUBTFUL, judge, judgedScore, useClassifier, useRules } from "../../../assembly/inspect/injection";
import { beginMemo, configureMemo, setMemoVersion } from "../../../assembly/inspect/memo";
import { normalise } from "../../../assembly/inspect/normalise";
import { findPrompt, Prompt, SPANS_MAX } from "../../../assembly/inspect/prompt";
import { begin, match, SPAN_TRUSTED } from "../../../assembly/inspect/rules";
import { next, start, view } from "../../../assembly/inspect/views";
import { Tape } from "../../../assembly/json/tape";
import { BODY_DEPTH_MAX, BODY_VALUES_MAX } from "../../../assembly/limits";
import { lenOf, lit, slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export { useClassifier, useRules };

const PATH = lit("/v1/chat/completions");
const POST = lit("POST");
const tape = new Tape(BODY_VALUES_MAX);
const prompt = new Prompt(SPANS_MAX);
let turn: u64 = 1;

/** Lets the memo work as in the filter; without it texts are not remembered, nor hashed. */
export function remember(): void {
  configureMemo(1, 2);
}

export enum Upto {
  Json = 0,
  Prompt = 1,
  Normal = 2,
  Classifier = 3,
  Rules = 4,
  Views = 5,
  /** The filter's own way, over a memo that knows none of the texts. */
  All = 6,
}

/** The score from which on the classifier blocks, 0 … 1000. */
export function blocksFrom(): i32 {
  return probability(threshold);
}

/** Inspects the body `times` times, up to and including stage `upto`; returns the last result, or i32.MIN_VALUE. */
export function inspectBody(ptr: usize, len: i32, work: usize, upto: i32, times: i32): i32 {
  let result = 0;
  for (let i = 0; i < times; i++) {
    if (tape.scan(ptr, len, BODY_DEPTH_MAX) != 0) return i32.MIN_VALUE;
    if (upto == Upto.Json) continue;
    findPrompt(tape, PATH, POST, prompt);
    if (upto == Upto.All) {
      setMemoVersion(turn++);
      beginMemo(prompt.count);
      judge(prompt, work, 0, 0, false);
      result = judgedScore;
      continue;
    }
    if (upto > Upto.Prompt) for (let n = 0; n < prompt.count; n++) result = readSpan(n, work, upto);
  }
  return result;
}

function readSpan(n: i32, work: usize, upto: i32): i32 {
  const raw = prompt.raw(n);
  const normal = slice(work, normalise(raw, prompt.escaped(n), work, lenOf(raw)));
  if (upto == Upto.Normal) return lenOf(normal);
  begin(SPAN_TRUSTED);
  let result = score(normal);
  const doubtful = result > DOUBTFUL;
  if (upto == Upto.Classifier) return result;
  result += match(normal);
  if (upto == Upto.Rules) return result;
  for (start(raw, prompt.escaped(n), normal, doubtful); next(); ) result += score(view) + match(view);
  return result;
}
