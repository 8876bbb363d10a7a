import { beginMemo, configureMemo, memoOf, MEMO_ENTRIES } from "../../../assembly/inspect/memo";
import {
  absorb,
  begin,
  finish,
  hashHigh,
  hashLow,
  hashText,
  keyHash,
} from "../../../assembly/inspect/memo-hash";
import {
  Judgement,
  judge,
  judgedScore,
  judgedWhy,
  useClassifier,
  useRules,
} from "../../../assembly/inspect/injection";
import { findPrompt, Prompt, SPANS_MAX } from "../../../assembly/inspect/prompt";
import { Tape } from "../../../assembly/json/tape";
import { lit, lenOf, NONE, slice } from "../../../assembly/slice";
import { configureTokens } from "../../../assembly/tokens/count";
import { countPrompt } from "../../../assembly/tokens/prompt";

export { packDirectory } from "../../../assembly/packs";
export { reserve } from "../../../assembly/memory";
export {
  memoEvictions,
  memoHits,
  memoJudged,
  memoLogit,
  memoMisses,
  memoRule,
  memoTokens,
  rememberJudgement,
  rememberTokens,
  setMemoVersion,
} from "../../../assembly/inspect/memo";
export { absorb, beginMemo, begin, configureMemo, configureTokens, finish, hashHigh, hashLow, keyHash };
export { judgedScore, judgedWhy, useClassifier, useRules, MEMO_ENTRIES };

const tape = new Tape(1 << 16);
const prompt = new Prompt(SPANS_MAX);
const POST = lit("POST");
const MODEL = lit("gpt-4o");

export function hash(ptr: usize, len: i32, tag: u32, tag2: u64): void {
  hashText(slice(ptr, len), tag, tag2);
}

/** Hashes `times` times, for benchmarks. */
export function hashMany(ptr: usize, len: i32, times: i32): void {
  for (let i = 0; i < times; i++) hashText(slice(ptr, len), <u32>i, 0);
}

export function entryOf(span: i32, ptr: usize, len: i32, escaped: bool, trust: i32): usize {
  return memoOf(span, slice(ptr, len), escaped, trust);
}

/** JSON and spans; the number of spans, or -1. */
export function scanBody(ptr: usize, len: i32): i32 {
  if (tape.scan(ptr, len, 64)) return -1;
  findPrompt(tape, NONE, POST, prompt);
  beginMemo();
  return prompt.count;
}

export function scanJson(ptr: usize, len: i32): i32 {
  return tape.scan(ptr, len, 64);
}

export function judgeBody(work: usize, threshold: i32, untrusted: i32): i32 {
  return judge(prompt, work, threshold, untrusted);
}

export function countBody(len: i32, work: usize): u64 {
  return countPrompt(prompt, MODEL, len, false, work);
}
