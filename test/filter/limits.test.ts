// Rate limits where more than one policy has been at their buckets. What one policy's limits do is in scenarios/limits.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exchange } from "../../host/exchange.ts";
import type { Vm } from "../../host/vm.ts";
import { chat, keyEntry, LocalEdge, llm, policyFor, replacePolicy, requestOf } from "../support/filter.ts";
import { statuses } from "../support/filter-scenario.ts";

const call = { key: "k1", body: chat("Hello there") };
const limited = (requests: unknown) => ({ tiers: { pro: { requests } }, keys: [keyEntry("k1", "pro")] });
const text = (profile: "envoy" | "ngx_wasm", requests: unknown) =>
  JSON.stringify(policyFor(profile, limited(requests)));

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    test("a limit that a new policy raises admits at once who had used up the old one", async () => {
      const edge = await LocalEdge.open({ profile, policy: limited("2/d") });
      assert.deepEqual(await statuses(edge, 3, call), [200, 200, 429]);
      replacePolicy(edge.vms[0] as Vm, text(profile, "60/min burst 2"));
      assert.deepEqual(await statuses(edge, 3, call), [200, 200, 429]);
      await edge.wait(1_000);
      assert.deepEqual(await statuses(edge, 2, call), [200, 429]);
    });

    test("a limit that a new policy leaves as it was stays used up", async () => {
      const edge = await LocalEdge.open({ profile, policy: limited("2/d") });
      assert.deepEqual(await statuses(edge, 3, call), [200, 200, 429]);
      replacePolicy(edge.vms[0] as Vm, text(profile, ["2/d", "60/min"]));
      assert.deepEqual(await statuses(edge, 1, call), [429]);
    });

    test("two policies in one VM share a limit that is the same in both, and no other", async () => {
      const edge = await LocalEdge.open({ profile, policy: limited("4/d") });
      const vm = edge.vms[0] as Vm;
      const ask = async (requests: unknown, times: number) => {
        const root = vm.addRoot({ configuration: text(profile, requests) });
        const all: number[] = [];
        for (let i = 0; i < times; i++)
          all.push((await exchange(vm, { ...requestOf(call), root }, llm)).status);
        return all;
      };
      assert.deepEqual(await statuses(edge, 2, call), [200, 200]);
      assert.deepEqual(await ask("4/d", 3), [200, 200, 429]);
      assert.deepEqual(await ask("2/s", 3), [200, 200, 429]);
      assert.deepEqual(await statuses(edge, 1, call), [429]);
    });
  });
}
