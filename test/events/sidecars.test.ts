// Policies of one VM whose events go to different sidecars: more of them one after the other than at once.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exchange } from "../../host/exchange.ts";
import { answerAfter, chat, llm, policyFor, replacePolicy, requestOf } from "../support/filter.ts";
import { edgeWithEvents, keyEntry, PROFILES } from "./support.ts";

const policyOf = (sidecar: number) => ({
  events: {},
  tiers: { pro: {} },
  keys: [keyEntry("key", "pro")],
  ledger: { cluster: `127.0.0.1:${9000 + sidecar}` },
});

for (const profile of PROFILES)
  describe(profile, () => {
    const open = async (sidecar: number) => {
      const targets: string[] = [];
      const onCallout = (_: unknown, target: string) => void targets.push(target);
      return { ...(await edgeWithEvents(profile, policyOf(sidecar), { onCallout })), targets };
    };
    const configuration = (sidecar: number) => JSON.stringify(policyFor(profile, policyOf(sidecar)));

    test("sidecars that no policy names any more make room for others, and what waits for them still goes there", async () => {
      const { edge, receiver, targets } = await open(0);
      for (let sidecar = 0; sidecar < 12; sidecar++) {
        if (sidecar > 0) replacePolicy(edge.vms[0]!, configuration(sidecar));
        assert.equal((await edge.send({ key: "key", body: chat("Hello") })).status, 200);
        // Every third policy ends before its events have gone.
        if (sidecar % 3 !== 2) await edge.wait(1_000);
      }
      await edge.wait(2_000);
      const all = Array.from({ length: 12 }, (_, sidecar) => `127.0.0.1:${9000 + sidecar}`);
      assert.deepEqual([...targets].sort(), [...all].sort());
      assert.equal(receiver.events().length, 12);
      assert.equal(
        new Set(receiver.batches.map(({ edge }) => edge)).size,
        12,
        "each sidecar has an edge of its own",
      );
      assert.equal(edge.metrics.value("weir_events_dropped_total"), 0);
    });

    test("what waits for a sidecar that is away and named no more is lost when another takes its room, and counted", async () => {
      const { edge } = await open(0);
      edge.setLedgerUp(false);
      await edge.send({ key: "key", body: chat("Hello") });
      await edge.wait(1_000);
      for (let sidecar = 1; sidecar <= 4; sidecar++) replacePolicy(edge.vms[0]!, configuration(sidecar));
      edge.setLedgerUp(true);
      assert.equal((await edge.send({ key: "key", body: chat("Hello") })).status, 200);
      await edge.wait(2_000);
      assert.equal(edge.metrics.value("weir_events_dropped_total"), 1);
      assert.equal(edge.metrics.value("weir_events_sent_total"), 1);
    });
  });

test("a policy that hardly waits for its sidecar lets those that do have their events told", async () => {
  const { edge, receiver } = await edgeWithEvents("envoy", policyOf(0));
  const vm = edge.vms[0]!;
  answerAfter(vm, 100);
  const hasty = { ...policyOf(0), ledger: { ...policyOf(0).ledger, timeout: "10ms" } };
  vm.addRoot({ configuration: JSON.stringify(policyFor("envoy", hasty)) });
  assert.equal((await edge.send({ key: "key", body: chat("Hello") })).status, 200);
  await edge.wait(2_000);
  assert.equal(receiver.events().length, 1);
});

test("a policy that finds no room beside others has its requests refused, and takes nothing from the others", async () => {
  const { edge } = await edgeWithEvents("envoy", policyOf(0));
  const vm = edge.vms[0]!;
  const roots = [1, 2, 3, 4].map((sidecar) =>
    vm.addRoot({ configuration: JSON.stringify(policyOf(sidecar)) }),
  );
  assert.deepEqual(
    roots.map(({ ok }) => ok),
    [true, true, true, true],
    "or Envoy would let all requests pass unseen",
  );
  const send = async (root: (typeof roots)[number] | undefined) => {
    const request = requestOf({ key: "key", body: chat("Hello") });
    const { status, body, upstream } = await exchange(vm, { ...request, ...(root && { root }) }, llm);
    return { status, code: JSON.parse(body.toString()).error?.code, reached: upstream !== null };
  };
  for (const root of [undefined, ...roots.slice(0, 3)])
    assert.deepEqual(await send(root), { status: 200, code: undefined, reached: true });
  assert.deepEqual(await send(roots[3]), { status: 503, code: "overloaded", reached: false });
  assert.ok(
    edge.log.some((line) => line.includes("more sidecars than 4")),
    edge.log.join("\n"),
  );
});
