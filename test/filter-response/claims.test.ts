// What only the filter may say of an answer is never the upstream's word.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";

const policy = {
  // One whose answers' headers are not read, and one whose are.
  tiers: { plain: {}, budget: { tokens: "1M/month" } },
  keys: ["plain", "budget"].map((tier) => keyEntry(tier, tier)),
};

for (const profile of ["envoy", "ngx_wasm"] as const)
  describe(`${profile}: an upstream's own x-weir headers`, () => {
    for (const key of ["plain", "budget"])
      test(`do not reach the client of a ${key} tier, together or each alone`, async () => {
        const edge = await LocalEdge.open({ profile, policy });
        const forged = {
          "x-weir-verdict": "forged",
          "x-weir-model": "gpt-5",
          "x-weir-budget-warning": '"all";p=99;t=1',
        };
        for (const own of [forged, ...Object.entries(forged).map(([name, value]) => ({ [name]: value }))]) {
          const answer = await edge.send({
            key,
            body: chat("Hello there", { max_tokens: 50 }),
            upstream: () => ({
              status: 200,
              headers: { "content-type": "application/json", ...own },
              body: JSON.stringify({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 3 } }),
            }),
          });
          assert.equal(answer.status, 200);
          assert.equal(answer.header("x-weir-verdict"), "ok");
          assert.equal(answer.header("x-weir-model"), undefined);
          assert.equal(answer.header("x-weir-budget-warning"), undefined);
        }
      });
  });
