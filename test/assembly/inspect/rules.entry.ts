import { normalise } from "../../../assembly/inspect/normalise";
import {
  begin,
  blocking,
  found,
  isFound,
  loadRules,
  match,
  ruleCategory,
  ruleId,
  rulesLoaded,
  score,
  steps,
} from "../../../assembly/inspect/rules";
import { kind, next, start, view } from "../../../assembly/inspect/views";
import { slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export { begin, isFound, loadRules, ruleCategory, ruleId, rulesLoaded };

export function matchText(ptr: usize, len: i32): i32 {
  return match(slice(ptr, len));
}

/** Normalises and matches the main view, and the decoded ones if asked; returns the number of rules found. */
export function inspect(ptr: usize, len: i32, escaped: bool, to: usize, views: bool, trust: u32): i32 {
  begin(trust);
  const raw = slice(ptr, len);
  const normal = slice(to, normalise(raw, escaped, to, len));
  match(normal);
  if (views) for (start(raw, escaped, normal); next(); ) match(view);
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
    n += match(slice(ptr, len));
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
