import { beginMemo, MemoEntry, memoOf } from "../../../assembly/inspect/memo";
import { combine, exceeds, judge, judgedScore, judgedWhy } from "../../../assembly/inspect/injection";
import { findPrompt, Prompt, SPANS_MAX } from "../../../assembly/inspect/prompt";
import { Tape } from "../../../assembly/json/tape";
import { lit, slice } from "../../../assembly/slice";
import { boundPrompt, countPrompt } from "../../../assembly/tokens/prompt";

export { promptLeast, promptMost } from "../../../assembly/tokens/prompt";

export { packDirectory } from "../../../assembly/packs";
export { reserve } from "../../../assembly/memory";
export { probability } from "../../../assembly/inspect/classifier";
export {
  beginMemo,
  configureMemo,
  memoEvictions,
  memoHits,
  memoMisses,
  setMemoVersion,
} from "../../../assembly/inspect/memo";
export { configureTokens } from "../../../assembly/tokens/count";
export { useClassifier, useRules } from "../../../assembly/inspect/injection";
export { combine, exceeds, judgedScore };

const tape = new Tape(1 << 16);
const prompt = new Prompt(SPANS_MAX);
const POST = lit("POST");

export function entryOf(span: i32, ptr: usize, len: i32, escaped: bool, trust: i32): MemoEntry | null {
  return memoOf(span, slice(ptr, len), escaped, trust);
}

export function memoJudged(entry: MemoEntry): bool {
  return entry.isJudged();
}

export function memoLogit(entry: MemoEntry): i32 {
  return entry.logit;
}

export function memoRule(entry: MemoEntry): i32 {
  return entry.blocking;
}

export function memoReport(entry: MemoEntry): i32 {
  return entry.reporting;
}

export function rememberJudgement(entry: MemoEntry, logit: i32, rule: i32, reports: i32): void {
  entry.judge(logit, rule, reports);
}

export function memoTokens(entry: MemoEntry, encoding: i32): i32 {
  return entry.tokens(encoding);
}

export function rememberTokens(entry: MemoEntry, encoding: i32, tokens: i32): void {
  entry.count(encoding, tokens);
}

/** JSON and spans of a body for `path`; the number of spans, or -1. */
export function find(ptr: usize, len: i32, path: usize, pathLen: i32): i32 {
  if (scanJson(ptr, len)) return -1;
  findPrompt(tape, slice(path, pathLen), POST, prompt);
  beginMemo(prompt.count);
  return prompt.count;
}

export function scanJson(ptr: usize, len: i32): i32 {
  return tape.scan(ptr, len, 64);
}

export function judgeBody(work: usize, threshold: i32, untrusted: i32): i32 {
  return judge(prompt, work, threshold, untrusted, false);
}

export function why(): u64 {
  return judgedWhy;
}

export function countBody(len: i32, work: usize, limit: u64): u64 {
  return countPrompt(prompt, prompt.model, len, false, work, limit);
}

export function boundBody(len: i32): void {
  boundPrompt(prompt, prompt.model, len, false);
}
