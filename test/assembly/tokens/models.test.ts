import assert from "node:assert/strict";
import { test } from "node:test";
import { tokens } from "./support.ts";

const { exports, put } = await tokens({ packs: {}, textBytes: 8192 });
const [O200K, CL100K, ESTIMATE] = [0, 1, 2];

test("a model name maps to OpenAI's encoding or, when it is not OpenAI's, to an estimate", () => {
  const cases: Record<string, number | undefined> = {
    "gpt-4o": O200K,
    "gpt-4o-mini-2024-07-18": O200K,
    "GPT-4o": O200K,
    "ft:gpt-4o:acme::1": O200K,
    "openai/gpt-4.1-nano": O200K,
    "gpt-5": O200K,
    "o1-preview": O200K,
    o3: O200K,
    "o4-mini": O200K,
    "chatgpt-4o-latest": O200K,
    "gpt-4": CL100K,
    "gpt-4-turbo": CL100K,
    "gpt-3.5-turbo-0613": CL100K,
    "gpt-35-turbo-16k": CL100K,
    "text-embedding-3-large": CL100K,
    "gpt-40": ESTIMATE,
    o1x: ESTIMATE,
    "claude-sonnet-4": ESTIMATE,
    "": ESTIMATE,
  };
  for (const [model, expected] of Object.entries(cases)) {
    assert.equal(exports.modelEncoding(put(model)), expected, model);
  }
});

test("a model name tells its family wherever the family stands in it", () => {
  const cases = {
    "anthropic.claude-3": 1,
    "models/gemini-2.5-pro": 2,
    "meta/Llama-3": 3,
    mixtral: 4,
    qwen: 0,
    "": 0,
  };
  for (const [model, expected] of Object.entries(cases))
    assert.equal(exports.modelFamily(put(model)), expected, model);
});

test("a chat's frame costs three tokens a message, one a name, and three for the answer", () => {
  assert.equal(exports.chatOverhead(1, 0), 6);
  assert.equal(exports.chatOverhead(4, 2), 17);
});
