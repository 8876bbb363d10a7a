// Results as the canonical ABI lays them out (wit/inspect.wit; alignment 4, strings and lists as pointer, length):
//
//   outcome       0 verdict u8      4 code       12 detail    20 param    28 score u32   32 why    40 rules
//                48 o200k ?u32     56 cl100k ?u32    64 prompt-tokens u32   68 shape u8   72 model   80 spans    (88)
//   text-outcome  0 verdict u8      4 code       12 score u32   16 why    24 rules   32 o200k ?u32   40 cl100k ?u32   (48)
//   span          0 offset u32      4 length u32     8 trust u8    9 name u8    12 score u32                        (16)
//   ?u32          0 is there u8     4 value u32
//
// One result at a time: it is read before the next call.
import { hasBit, setBit } from "./bits";
import { take } from "./component-memory";
import { isFound, ruleId, rulesLoaded, RULES_MAX } from "./inspect/rules";
import { reserve } from "./memory";
import { lenOf, lit, NONE, ptrOf, Slice } from "./slice";
import { codeOf, Reason, REASONS } from "./verdicts.gen";

export const OUTCOME_CODE: usize = 4;
export const OUTCOME_DETAIL: usize = 12;
export const OUTCOME_PARAM: usize = 20;
export const OUTCOME_SCORE: usize = 28;
export const OUTCOME_WHY: usize = 32;
export const OUTCOME_RULES: usize = 40;
export const OUTCOME_TOKENS: usize = 48;
export const OUTCOME_PROMPT_TOKENS: usize = 64;
export const OUTCOME_SHAPE: usize = 68;
export const OUTCOME_MODEL: usize = 72;
export const OUTCOME_SPANS: usize = 80;
export const OUTCOME_BYTES: usize = 88;
export const TEXT_SCORE: usize = 12;
export const TEXT_WHY: usize = 16;
export const TEXT_RULES: usize = 24;
export const TEXT_TOKENS: usize = 32;
export const TEXT_BYTES: usize = 48;
export const SPAN_BYTES: usize = 16;

const OK = lit("ok");
const result = reserve(OUTCOME_BYTES);
const seen = reserve(RULES_MAX >> 3);
/** Names of verdicts, as bytes: `codeOf` has them as UTF-16. */
const codes = reserve((<usize>REASONS) << 3);

for (let reason = 0; reason < REASONS; reason++) {
  store<u64>(codes + ((<usize>reason) << 3), reason == Reason.None ? OK : lit(codeOf(reason)));
}

/** An empty result of `bytes`: allowed, nothing found. */
export function openResult(bytes: usize): usize {
  memory.fill(result, 0, bytes);
  memory.fill(seen, 0, RULES_MAX >> 3);
  return result;
}

export function putVerdict(to: usize, reason: Reason): void {
  store<u8>(to, reason == Reason.None ? 0 : 1);
  putText(to + OUTCOME_CODE, load<u64>(codes + ((<usize>reason) << 3)));
}

/** A string; NONE is the empty one. The bytes stay where they are until the caller has copied them. */
export function putText(to: usize, text: Slice): void {
  if (text == NONE) return;
  putList(to, ptrOf(text), lenOf(text));
}

export function putList(to: usize, ptr: usize, count: i32): void {
  store<u32>(to, <u32>ptr);
  store<u32>(to, <u32>count, 4);
}

/** `option<u32>`: none for a negative `value`. */
export function putCount(to: usize, value: i64): void {
  if (value < 0) return;
  store<u8>(to, 1);
  store<u32>(to, <u32>min<i64>(value, <i64>u32.MAX_VALUE), 4);
}

/** Adds the rules that were found in the text that was judged last. */
export function gatherRules(): void {
  const count = rulesLoaded();
  for (let rule = 0; rule < count; rule++) {
    if (isFound(rule)) setBit(seen, rule);
  }
}

/** `list<string>`: the rules gathered. */
export function putRules(to: usize): void {
  let count = 0;
  for (let i = 0; i < RULES_MAX >> 3; i++) count += popcnt<i32>(load<u8>(seen + i));
  if (!count) return;
  const list = take((<usize>count) << 3);
  let at = list;
  for (let rule = 0; rule < RULES_MAX; rule++) {
    if (!hasBit(seen, rule)) continue;
    putText(at, ruleId(rule));
    at += 8;
  }
  putList(to, list, count);
}
