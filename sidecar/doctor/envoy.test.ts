/** The doctor's judgement of the way to the sidecar, from what an Envoy tells of itself. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clusterFindings } from "./envoy.ts";
import type { PolicyDocument } from "./policy.ts";

const seen = { filters: [], disabled: [], turnedOff: [], statsTags: [], clusters: [], stats: "" };
const empty = [{ name: "weir_sidecar" }];

const BUDGETS = "every request of a tier with budgets is refused as ledger_unavailable";
const RULES = "every request of a tier that inspects is refused as rules_unavailable";
const rule = { id: "acme.titan", phrase: "project titan" };

const NEEDS: [string, PolicyDocument, string][] = [
  ["budgets", { tiers: { pro: { tokens: "1M/month" } } }, BUDGETS],
  ["rules of its own", { tiers: { pro: {} }, rules: [rule] }, RULES],
  ["events", { tiers: { pro: {} }, events: {} }, "events are lost"],
  [
    "all three",
    { tiers: { pro: { cost: "$5/day" } }, rules: [rule], events: {} },
    `${BUDGETS}, ${RULES}, events are lost`,
  ],
];

describe("the way to the sidecar", () => {
  for (const [what, policy, harm] of NEEDS)
    it(`is missed where the policy has ${what}, and what that does is told`, () => {
      const texts = (clusterStatuses: object[]) =>
        clusterFindings({ ...seen, clusterStatuses: clusterStatuses as never }, policy).map(
          ({ level, text }) => `${level} ${text}`,
        );
      assert.deepEqual(texts([]), [`fail there is no cluster weir_sidecar: ${harm}`]);
      assert.deepEqual(texts(empty), [`fail weir_sidecar has no endpoint: ${harm}`]);
    });

  it("is not needed by a policy without any of these", () => {
    const [finding] = clusterFindings({ ...seen, clusterStatuses: [] }, { tiers: { pro: {} } });
    assert.deepEqual(finding, {
      check: "envoy.cluster",
      level: "ok",
      text: "the policy has no budgets, rules or events, so no sidecar is needed",
    });
  });
});
