// The proxy's clock is set while requests run: by hand, or by a machine that learns the time after it has started. Rates, leases and
// waits go by the monotonic clock, so that nothing is lost, held up or let through by it. Under both profiles.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeClock } from "../../host/clock.ts";
import { createVm } from "../../host/vm.ts";
import { chat, keyEntry, LocalEdge, policyFor } from "../support/filter.ts";
import { filterModule } from "../support/filter-build.ts";
import { statuses } from "../support/filter-scenario.ts";
import { random } from "../support/random.ts";

const HOUR_MS = 3_600_000;
const SEEDS = 6;
const STEPS = 40;
const OUTPUT = 40;
/** Longer than a lease lives. */
const SETTLED_MS = 200_000;
const WAITS_MS = [100, 700, 3_000, 12_000, 40_000];
const JUMPS_MS = [500, 5_000, 60_000, HOUR_MS, 24 * HOUR_MS];

const call = { key: "k1", body: chat("Hello there", { max_tokens: OUTPUT }) };
const keys = [keyEntry("k1", "pro")];

type Pick = (below: number) => number;
const oneOf = (list: readonly number[], pick: Pick) => list[pick(list.length)] as number;

/** Sends up to 15 requests; what those that passed used. */
async function use(edge: LocalEdge, pick: Pick): Promise<number> {
  const each = 1 + pick(OUTPUT);
  let used = 0;
  for (let n = 1 + pick(15); n > 0; n--) {
    const headers: [string, string][] = [["x-mock-completion-tokens", String(each)]];
    const { status } = await edge.send({ ...call, worker: pick(2), headers });
    if (status === 200) used += each;
  }
  return used;
}

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    for (const outages of [false, true]) {
      test(`the bill is what was used, whenever the clock is set${outages ? ", also in outages" : ""}`, async () => {
        for (let seed = 1; seed <= SEEDS; seed++) {
          const pick = random(seed);
          const limit = 500 + pick(5_000);
          const budgets = [{ meter: "completion_tokens", limit, window: "month" }];
          const tier = { output: { max_tokens: OUTPUT }, budgets, outage: { allowance: "20%" } };
          const edge = await LocalEdge.open({ profile, workers: 2, policy: { tiers: { pro: tier }, keys } });
          let used = 0;
          for (let step = 0; step < STEPS; step++) {
            const what = pick(10);
            if (what < 5) used += await use(edge, pick);
            else if (what < 8) await edge.wait(oneOf(WAITS_MS, pick));
            else edge.clock.set((pick(2) ? 1 : -1) * oneOf(JUMPS_MS, pick));
            if (outages) edge.setLedgerUp(pick(4) > 0);
          }
          edge.setLedgerUp(true);
          await edge.wait(SETTLED_MS);
          const { spent, outstanding } = await edge.budget("acme");
          assert.deepEqual({ spent, outstanding }, { spent: used, outstanding: 0 }, `seed ${seed}`);
          if (!outages) assert.ok(used <= limit, `seed ${seed}: ${used} of ${limit}`);
        }
      });
    }

    test("a rate limit goes on at its own pace", async () => {
      const tiers = { pro: { requests: "60/min burst 2" } };
      for (const jump of [HOUR_MS, -HOUR_MS]) {
        const edge = await LocalEdge.open({ profile, policy: { tiers, keys } });
        assert.deepEqual(await statuses(edge, 3, call), [200, 200, 429]);
        edge.clock.set(jump);
        assert.deepEqual(await statuses(edge, 1, call), [429]);
        await edge.wait(1_000);
        assert.deepEqual(await statuses(edge, 2, call), [200, 429]);
      }
    });

    test("rules that could not be had are asked for again in a moment, not when the clock is there again", async () => {
      const rules = [{ id: "acme.titan", phrase: "Project Titan" }];
      const edge = await LocalEdge.open({ profile, policy: { tiers: { pro: {} }, keys, rules } });
      edge.setLedgerUp(false);
      await edge.wait(1_000);
      assert.deepEqual(await statuses(edge, 1, call), [503]);
      edge.clock.set(-HOUR_MS);
      edge.setLedgerUp(true);
      await edge.wait(2_000);
      assert.deepEqual(await statuses(edge, 1, call), [200]);
    });

    test("a key is valid by the clock that was set", async () => {
      const dated = [keyEntry("k1", "pro", { expires: "2026-01-01T00:30:00Z" })];
      const edge = await LocalEdge.open({ profile, policy: { tiers: { pro: {} }, keys: dated } });
      assert.deepEqual(await statuses(edge, 1, call), [200]);
      edge.clock.set(HOUR_MS);
      assert.deepEqual(await statuses(edge, 1, call), [401]);
    });

    test("a host without a monotonic clock is told at the start", async () => {
      class Stopped extends FakeClock {
        override monotonic(): bigint {
          return 0n;
        }
      }
      const log: string[] = [];
      const configuration = JSON.stringify(policyFor(profile, { tiers: { pro: {} }, keys }));
      const vm = createVm({
        wasm: await filterModule(),
        profile,
        clock: new Stopped(),
        log: (_level, message) => log.push(message),
        plugins: [{ configuration }],
      });
      // Kong would serve without the filter: there its requests are refused.
      assert.equal(vm.roots[0]?.ok ?? false, profile === "ngx_wasm");
      assert.match(log.join("\n"), /^weir: the host has no monotonic clock/m);
    });
  });
}
