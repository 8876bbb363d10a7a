// What a VM that lives long has room for: policies come and go, and what one of them took is there for those after it.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Vm } from "../../host/vm.ts";
import { chat, keyEntry, LocalEdge, replacePolicy } from "../support/filter.ts";

const MIB = 1 << 20;
const policyOf = (maxBytes: number) => ({ tiers: { anonymous: { prompt: { max_bytes: maxBytes } } } });

test("policies of which each lets a little larger bodies in take no more memory than the last one twice over", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf(4 * MIB) });
  const vm = edge.vms[0] as Vm;
  for (let update = 1; update <= 40; update++)
    replacePolicy(vm, JSON.stringify(policyOf(4 * MIB + update * 65_536)));
  const bytes = vm.exports.memory.buffer.byteLength;
  assert.ok(bytes <= 256 * MIB, `${bytes / MIB} MiB after 40 updates`);
});

test("regression: a worker that holds as many leases as it can asks for no more, and who is refused is charged nothing", async () => {
  const KEYS = 4_200;
  const USED = 3;
  const keys = Array.from({ length: KEYS }, (_, i) => `key-${i}`);
  const edge = await LocalEdge.open({
    profile: "envoy",
    policy: {
      tiers: { pro: { budgets: [{ meter: "completion_tokens", limit: 10_000, window: "month" }] } },
      keys: keys.map((key) => keyEntry(key, "pro", { subject: `acme/search/${key}` })),
    },
  });
  const body = chat("Hello there", { max_tokens: 50 });
  let served = 0;
  for (const key of keys) {
    const { status, text } = await edge.send({ key, body });
    if (status === 200) served++;
    else assert.match(text, /overloaded/);
  }
  assert.ok(served >= 4_096 && served < KEYS, `${served} served`);
  await edge.wait(80_000);
  await edge.ledger.sweep("acme");
  const spent = (await edge.ledger.budgets("acme")).reduce((sum, budget) => sum + budget.spent, 0);
  assert.equal(spent, served * USED);
  assert.deepEqual(await edge.ledger.leases("acme"), []);
  assert.equal((await edge.send({ key: keys[0]!, body })).status, 200, "there is room again");
});

test("leases of workers that died long ago make room for others in a subject's record", async () => {
  const edge = await LocalEdge.open({
    profile: "envoy",
    policy: {
      ledger: { on_expiry: "charge_reported" },
      tiers: { pro: { budgets: [{ meter: "requests", limit: 10_000, window: "month" }] } },
      keys: [keyEntry("k1", "pro")],
    },
  });
  // More than a record holds, and of each minute one: those of ten minutes are there at once.
  for (let death = 1; death <= 130; death++) {
    assert.equal((await edge.send({ key: "k1", body: chat("Hello there") })).status, 200, `after ${death}`);
    edge.vms[0]!.reload();
    await edge.wait(60_000);
  }
});
