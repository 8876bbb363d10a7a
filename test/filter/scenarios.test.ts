// The filter's scenarios under both host profiles, each with the ordinary build and with the one whose allocator
// traps while it serves.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { LocalEdge } from "../support/filter.ts";
import { seenCodes, verdicts } from "../support/filter-scenario.ts";
import { scenarios } from "./scenarios/index.ts";

/** Verdicts that a host cannot give, and why. */
const never = {
  envoy: ["body_unavailable"],
  ngx_wasm: [] as string[],
};

for (const profile of ["envoy", "ngx_wasm"] as const) {
  for (const kind of ["plain", "trapping"] as const) {
    describe(`${profile}, ${kind} allocator`, () => {
      for (const scenario of scenarios) {
        if (scenario.except?.[profile]) continue;
        test(scenario.name, async () => {
          const edge = await LocalEdge.open({
            profile,
            kind,
            policy: scenario.policy,
            ...(scenario.workers && { workers: scenario.workers }),
            ...(scenario.bodyBufferBytes && { bodyBufferBytes: scenario.bodyBufferBytes }),
          });
          await scenario.run(edge);
        });
      }
    });
  }
}

test("every verdict of the catalog was reached under every profile that can give it", () => {
  for (const [profile, impossible] of Object.entries(never)) {
    const seen = seenCodes.get(profile as keyof typeof never) ?? new Set();
    const missing = verdicts.map((v) => v.code).filter((code) => !seen.has(code));
    assert.deepEqual(missing, impossible, profile);
  }
});
