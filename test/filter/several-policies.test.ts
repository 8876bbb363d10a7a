// Several policies in one VM, as several listeners of one Envoy have them: none may keep another from the ledger.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Phase } from "../../host/abi.ts";
import { exchange } from "../../host/exchange.ts";
import type { Vm } from "../../host/vm.ts";
import { answerAfter, chat, keyEntry, LocalEdge, llm, policyFor, requestOf } from "../support/filter.ts";

/** Of one request with the usage that `llm` tells. */
const USED = 8;
/** More requests than the end of a lease covers. */
const WAITING = 20;
const policyOf = (key: string) => ({
  tiers: { pro: { tokens: "1M/day", output: { max_tokens: 20 } } },
  keys: [keyEntry(key, "pro", { subject: `${key}/team` })],
});

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    test("all policies of one VM report what was used, however busy the first is", async () => {
      const edge = await LocalEdge.open({ profile, policy: policyOf("first") });
      const vm = edge.vms[0] as Vm;
      const root = vm.addRoot({ configuration: JSON.stringify(policyFor(profile, policyOf("second"))) });
      for (let second = 1; second <= 20; second++) {
        await edge.send({ key: "first", body: chat("Hello there") });
        const { status } = await exchange(
          vm,
          { ...requestOf({ key: "second", body: chat("Hello") }), root },
          llm,
        );
        assert.equal(status, 200);
        await edge.wait(1_000);
        for (const name of ["first", "second"])
          assert.ok((await edge.budget(name)).spent >= (second - 1) * USED, `${name} after ${second} s`);
      }
      await edge.wait(10_000);
      for (const name of ["first", "second"])
        assert.deepEqual(await edge.budget(name), { spent: 20 * USED, outstanding: 0 });
      assert.equal(edge.metrics.value("weir_lost_reports_total"), 0);
    });
  });
}

test("a request waits for no lease that the tick of another policy asked for: with that policy the answer would be gone", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf("first") });
  const vm = edge.vms[0] as Vm;
  const other = vm.addRoot({ configuration: JSON.stringify(policyOf("second")) });
  const call = { key: "first", body: chat("Hello there") };
  const acquire = edge.ledger.acquire.bind(edge.ledger);
  let asked = 0;
  let answer = () => {};
  const late: typeof acquire = async (command) => {
    asked++;
    edge.ledger.acquire = acquire;
    const granted = await acquire(command);
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return granted;
  };
  // Until the lease runs low, and its successor is asked for.
  for (let i = 0; asked === 0 && i < 50; i++) {
    edge.ledger.acquire = acquire;
    for (let n = 0; n < 8; n++) assert.equal((await edge.send(call)).status, 200);
    edge.clock.move(1_000);
    edge.ledger.acquire = late;
    vm.tick(other);
    for (let turns = 0; turns < 10; turns++) await turn();
  }
  assert.equal(asked, 1);
  const statuses: number[] = [];
  for (let i = 0; i < WAITING; i++) void edge.send(call).then(({ status }) => statuses.push(status));
  for (let turns = 0; turns < 10; turns++) await turn();
  vm.roots.pop();
  vm.run(Phase.Delete, other.id, vm.exports.proxy_on_delete, 0, 0, 0, 0);
  answer();
  await edge.wait(10_000);
  assert.deepEqual(statuses, Array(WAITING).fill(200));
  // What the ledger may have granted to the question is given back.
  assert.equal((await edge.budget("first")).outstanding, 0);
});

test("many policies of one ledger look after its leases once, not at the tick of each", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf("first") });
  const { shared } = edge.vms[0] as Vm;
  let reads = 0;
  const get = shared.get.bind(shared);
  shared.get = (key) => {
    reads++;
    return get(key);
  };
  const readsOf10s = async () => {
    reads = 0;
    await edge.wait(10_000);
    return reads;
  };
  const alone = await readsOf10s();
  for (let i = 0; i < 20; i++) {
    // As listeners that are put one after the other.
    await edge.wait(40);
    (edge.vms[0] as Vm).addRoot({ configuration: JSON.stringify(policyOf(`key${i}`)) });
  }
  const together = await readsOf10s();
  assert.ok(alone > 0 && together <= 3 * alone, `${together} reads, ${alone} with one policy`);
});

for (const outage of ["deny", "allow"])
  test(`a ledger that never answers does not hold up what is told to another (outage: ${outage})`, async () => {
    const at = (key: string, cluster: string) => {
      const policy = policyOf(key);
      return { ...policy, ledger: { cluster }, tiers: { pro: { ...policy.tiers.pro, outage } } };
    };
    const edge = await LocalEdge.open({ profile: "envoy", policy: at("first", "one") });
    const vm = edge.vms[0] as Vm;
    const root = vm.addRoot({ configuration: JSON.stringify(at("second", "two")) });
    const both = [vm.roots[0], root];
    // Leases where requests wait for one, debts where they pass.
    edge.setLedgerUp(outage === "deny");
    for (const [i, key] of ["first", "second"].entries()) {
      const request = { ...requestOf({ key, body: chat("Hello there") }), root: both[i] as typeof root };
      assert.equal((await exchange(vm, request, llm)).status, 200);
    }
    edge.setLedgerUp(true);
    edge.silent.add("one");
    for (let second = 0; second < 10; second++) {
      edge.clock.move(1_000);
      for (const one of both) vm.tick(one);
      for (let turns = 0; turns < 10; turns++) await turn();
    }
    assert.deepEqual(await edge.budget("second"), { spent: USED, outstanding: 0 });
  });

for (const outage of ["deny", "allow"])
  test(`a policy that does not wait for the ledger's answer keeps none from another (outage: ${outage})`, async () => {
    const at = (key: string, timeout: string) => {
      const policy = policyOf(key);
      return { ...policy, ledger: { timeout }, tiers: { pro: { ...policy.tiers.pro, outage } } };
    };
    const edge = await LocalEdge.open({ profile: "envoy", policy: at("first", "2s") });
    const vm = edge.vms[0] as Vm;
    answerAfter(vm, 100);
    // Its tick comes shortly before the other's.
    await edge.wait(900);
    vm.addRoot({ configuration: JSON.stringify(at("hasty", "10ms")) });
    // Leases where requests wait for one, debts where they pass.
    edge.setLedgerUp(outage === "deny");
    assert.equal((await edge.send({ key: "first", body: chat("Hello there") })).status, 200);
    edge.setLedgerUp(true);
    await edge.wait(20_000);
    assert.deepEqual(await edge.budget("first"), { spent: USED, outstanding: 0 });
  });
