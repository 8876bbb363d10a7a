import { normalise } from "../../../assembly/inspect/normalise";
import {
  begin,
  blocking,
  checkRules,
  found,
  isFound,
  loadRules,
  match,
  OWN_RULES,
  reporting,
  RULE_TABLE_BYTES,
  ruleCategory,
  ruleId,
  rulesLoaded,
  score,
  setOwnRules,
  steps,
} from "../../../assembly/inspect/rules";
import { kind, next, start, view } from "../../../assembly/inspect/views";
import { addTrace, clearTraces, traceAll } from "../../../assembly/inspect/traces";
import { lenOf, Slice, slice } from "../../../assembly/slice";

import { reserve } from "../../../assembly/memory";

export { reserve };
export { begin, isFound, loadRules, ruleCategory, ruleId, rulesLoaded };

const own = reserve(RULE_TABLE_BYTES);

/** Takes a policy's own rules, whose numbers start at 1024; false, and there are none, if they are no pack. */
export function loadOwnRules(ptr: usize, len: i32): bool {
  const ok = checkRules(ptr, len, own, OWN_RULES);
  setOwnRules(ok ? own : 0);
  return ok;
}

export function getReporting(): i32 {
  return reporting;
}

/** Without a classifier the rules look everywhere. */
function matchAll(text: Slice): i32 {
  traceAll((lenOf(text) + 63) >> 6);
  return match(text);
}

/** Matches as if the classifier had found one trace, in this block. */
export function matchNear(ptr: usize, len: i32, block: i32): i32 {
  begin(2);
  clearTraces();
  addTrace(block, (len + 63) >> 6);
  return match(slice(ptr, len));
}

export function matchText(ptr: usize, len: i32): i32 {
  return matchAll(slice(ptr, len));
}

/** Normalises and matches the main view, and the decoded ones if asked; returns the number of rules found. */
export function inspect(ptr: usize, len: i32, escaped: bool, to: usize, views: bool, trust: u32): i32 {
  begin(trust);
  const raw = slice(ptr, len);
  const normal = slice(to, normalise(raw, escaped, to, len));
  matchAll(normal);
  if (views) for (start(raw, escaped, normal, false); next(); ) matchAll(view);
  return found;
}

/** `upTo`: 0 normalise only, 1 with rules, 2 with views too. */
export function inspectMany(ptr: usize, len: i32, escaped: bool, to: usize, upTo: i32, times: i32): i32 {
  let n = 0;
  for (let i = 0; i < times; i++) {
    if (upTo == 0) n += normalise(slice(ptr, len), escaped, to, len);
    else n += inspect(ptr, len, escaped, to, upTo > 1, 2);
  }
  return n;
}

export function matchMany(ptr: usize, len: i32, times: i32): i32 {
  let n = 0;
  for (let i = 0; i < times; i++) {
    begin(2);
    n += matchAll(slice(ptr, len));
  }
  return n;
}

export function getBlocking(): i32 {
  return blocking;
}
export function getScore(): i32 {
  return score;
}
export function getSteps(): i32 {
  return steps;
}
export function getKind(): i32 {
  return kind;
}
