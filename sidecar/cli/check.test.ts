// What `weir check` refuses beside what the filter does (test/filter/policies): what only the sidecar can judge.
import assert from "node:assert/strict";
import { test } from "node:test";
import { filterBytes } from "../../test/support/filter-build.ts";
import { problemsOf } from "./check.ts";

const bytes = await filterBytes();
const problems = (policy: object) => problemsOf(JSON.stringify(policy), bytes);

test("a time zone that the ledger's calendar does not know is refused, and so is an offset", () => {
  const budget = (time_zone: string) => ({
    meter: "requests",
    name: time_zone,
    limit: 5,
    window: "day",
    time_zone,
  });
  const tiers = {
    free: { tokens: "1M/month" },
    pro: { budgets: ["Europe/Berlin", "Europe/Berln", "Etc/GMT+2"].map(budget) },
    team: { budgets: ["UTC", "+02:00", "-0530"].map(budget) },
  };
  const expected = 'expected an IANA time zone such as "Europe/Berlin"';
  assert.deepEqual(problems({ tiers }), [
    `/tiers/pro/budgets/1/time_zone: "Europe/Berln": ${expected}`,
    `/tiers/team/budgets/1/time_zone: "+02:00": ${expected}`,
    `/tiers/team/budgets/2/time_zone: "-0530": ${expected}`,
  ]);
  assert.deepEqual(problems({ tiers: { pro: { budgets: [budget("Europe/Berlin")] } } }), []);
});
