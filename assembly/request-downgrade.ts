// A cheaper model in place of the client's, where a budget does not cover that one: found in the tier, put into the body,
// priced, and held against its own budgets. It happens at most once to a request, in one of two places: with the body in
// hand, if the ledger denied the like a moment ago; or after the ledger's answer, on hosts that let a body be changed
// after a pause (not nginx: there the denial stands).
import { applyBudgets } from "./budget/amounts";
import { beginMemo } from "./inspect/memo";
import { Key, matchesAny, Meter, Policy, Tier } from "./policy/policy";
import { nginx } from "./proxy-wasm/kind";
import { prompt, readWaiting, replaceModel } from "./request-body";
import { boundAnew, countExactly } from "./request-bound";
import { eq, lenOf, NONE, Slice } from "./slice";
import { Stream } from "./stream";

/** Takes the cheaper model for the body in hand, which is rewritten next, if one may be asked. */
export function takeCheaper(stream: Stream, tier: Tier): void {
  const model = cheaper(stream, tier);
  if (model != NONE && named(stream)) adopt(stream, tier, model);
}

/** The ledger has denied: puts the cheaper model into the body, which waits at the host. False: the denial stands. */
export function downgradeWaiting(stream: Stream, tier: Tier): bool {
  const model = nginx || stream.downgraded ? NONE : cheaper(stream, tier);
  return model != NONE && change(stream, tier, model);
}

function change(stream: Stream, tier: Tier, model: Slice): bool {
  const body = readWaiting(stream);
  if (body == NONE) return false;
  beginMemo(prompt.count);
  if (!named(stream) || !replaceModel(stream, model, body)) return false;
  adopt(stream, tier, model);
  if (stream.budgetMask == 0 || !tier.counts) return true;
  countExactly(stream, tier, lenOf(body));
  return true;
}

/** The model that stands in for the stream's, if the key may use it and it can be charged; else NONE. */
function cheaper(stream: Stream, tier: Tier): Slice {
  const model = tier.cheaper(stream.model);
  if (model == NONE) return NONE;
  const allowed = stream.key ? changetype<Key>(stream.key).models : NONE;
  if (allowed != NONE && !matchesAny(model, allowed)) return NONE;
  if (changetype<Policy>(stream.policy).price(model) != null) return model;
  for (let i = 0; i < tier.budgetCount; i++) {
    if (tier.budget(i).meter == Meter.Cost && tier.budget(i).covers(model)) return NONE;
  }
  return model;
}

/** Whether the body at hand names the stream's model, and not the path. */
function named(stream: Stream): bool {
  return !prompt.modelInPath && !prompt.modelEscaped && eq(prompt.model, stream.model);
}

function adopt(stream: Stream, tier: Tier, model: Slice): void {
  stream.setModel(model);
  stream.downgraded = true;
  applyBudgets(stream, tier);
  boundAnew(stream, tier);
}
