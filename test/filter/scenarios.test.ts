// The filter's scenarios under both host profiles, with the build whose allocator traps while it serves: it is the
// same code, so that one run shows both what the filter decides and that it allocates nothing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LocalEdge } from "../support/filter.ts";
import { seenCodes, verdicts } from "../support/filter-scenario.ts";
import { scenarios } from "./scenarios/index.ts";

/** Verdicts that a host cannot give, and why. */
const never = {
  // Envoy answers 413 itself when its buffer is full.
  envoy: ["body_unavailable"],
  ngx_wasm: [] as string[],
};
/** Of bounds that a scenario would take long to reach (ends.test.ts), of tokens (tokens.test.ts) and of redaction (test/filter-response). */
const elsewhere = [
  "overloaded",
  "token_not_accepted",
  "too_many_open_requests",
  "prompt_blocked",
  "prompt_unredactable",
  "answer_unredactable",
];
/** Verdicts on answers, which test/e2e and the redactor's own tests show. */
const onAnswers = ["answer_blocked", "answer_unreadable"];

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    for (const scenario of scenarios) {
      if (scenario.except?.[profile]) continue;
      test(scenario.name, async () => {
        const edge = await LocalEdge.open({
          profile,
          kind: "trapping",
          policy: scenario.policy,
          ...(scenario.workers && { workers: scenario.workers }),
          ...(scenario.bodyBufferBytes && { bodyBufferBytes: scenario.bodyBufferBytes }),
        });
        await scenario.run(edge);
      });
    }
  });
}

test("every verdict of the catalog was reached under every profile that can give it", () => {
  for (const [profile, impossible] of Object.entries(never)) {
    const seen = seenCodes.get(profile as keyof typeof never) ?? new Set();
    const missing = verdicts
      .map((v) => v.code)
      .filter((code) => !seen.has(code) && !onAnswers.includes(code) && !elsewhere.includes(code));
    assert.deepEqual(missing, impossible, profile);
  }
});
