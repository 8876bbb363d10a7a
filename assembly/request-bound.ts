// What a request reserves, once more: after its model has changed, or when its tokens are counted where its bytes had to do.
import { bound } from "./budget/amounts";
import { Policy, Tier } from "./policy/policy";
import { hasTools, prompt, work } from "./request-body";
import { Stream } from "./stream";
import { countPrompt } from "./tokens/prompt";

/** Reserves what the stream's model, prompt and answers can cost as they are known now. */
export function boundAnew(stream: Stream, tier: Tier): void {
  const price = changetype<Policy>(stream.policy).price(stream.model);
  bound(stream, tier, price, stream.promptTokens, stream.outputsMax);
}

/** Reserves by the tokens of the prompt at hand, whose body has `bytes`. */
export function countExactly(stream: Stream, tier: Tier, bytes: i32): void {
  stream.promptTokens = countPrompt(prompt, stream.model, bytes, hasTools(), work);
  stream.promptEstimate = stream.promptTokens;
  boundAnew(stream, tier);
}
