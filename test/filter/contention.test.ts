// Records of shared data for which others are always faster, so that a worker gives up: what was used is told all the same, later.
// That others are sometimes faster is in test/sim/fleet.test.ts.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Status } from "../../host/abi.ts";
import { SharedData } from "../../host/shared-data.ts";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";

const USED = 7;
const TICK_MS = 1_100;
const IDLE_MS = 12_000;
const policy = {
  ledger: { on_expiry: "charge_reported" },
  tiers: {
    pro: {
      output: { max_tokens: 40 },
      budgets: [{ meter: "completion_tokens", limit: 10_000_000, window: "month" }],
    },
  },
  keys: [keyEntry("k1", "pro")],
};

async function send(edge: LocalEdge, times: number): Promise<void> {
  const call = {
    key: "k1",
    body: chat("Hello there", { max_tokens: 40 }),
    headers: [["x-mock-completion-tokens", String(USED)]] as [string, string][],
  };
  for (let i = 0; i < times; i++) assert.equal((await edge.send(call)).status, 200);
}

/** Another worker is faster whenever one writes to what is there, while `contended.now`. */
function contend(t: TestContext): { now: boolean } {
  const contended = { now: false };
  const { set } = SharedData.prototype;
  t.mock.method(SharedData.prototype, "set", function (this: SharedData, ...args: Parameters<typeof set>) {
    const [, , cas] = args;
    return contended.now && cas !== 0 ? Status.CasMismatch : set.apply(this, args);
  });
  return contended;
}

for (const profile of ["envoy", "ngx_wasm"] as const) {
  test(`regression: a lease is looked after also when its record cannot be written as a report is answered, under ${profile}`, async (t) => {
    const contended = contend(t);
    const edge = await LocalEdge.open({ profile, policy });
    await send(edge, 1);
    const { ledger } = edge;
    const settle = ledger.settle.bind(ledger);
    ledger.settle = async (command) => {
      const reply = await settle(command);
      contended.now = true;
      return reply;
    };
    await edge.wait(TICK_MS);
    assert.ok(contended.now, "nothing was reported");
    contended.now = false;
    ledger.settle = settle;
    await send(edge, 1);
    await edge.wait(IDLE_MS);
    assert.deepEqual(await edge.budget("acme"), { spent: 2 * USED, outstanding: 0 });
  });

  test(`what was spent of what a worker took beforehand is told by a later tick, under ${profile}`, async (t) => {
    const contended = contend(t);
    const edge = await LocalEdge.open({ profile, policy });
    for (let i = 0; i < 10; i++) {
      await send(edge, 100);
      await edge.wait(TICK_MS);
    }
    await send(edge, 20);
    contended.now = true;
    await edge.wait(TICK_MS);
    contended.now = false;
    await edge.wait(IDLE_MS);
    assert.deepEqual(await edge.budget("acme"), { spent: 1_020 * USED, outstanding: 0 });
  });
}
