// The Kong plugins in the real kong-js-pluginserver, driven over its socket: the scenarios, and what is Kong's own.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chat, keyEntry } from "../support/filter.ts";
import { KongEdge, PluginServer } from "../support/filter-kong.ts";
import { scenarios } from "./scenarios/index.ts";

let server: PluginServer;
before(async () => {
  server = await PluginServer.start();
});
after(() => server.stop());

describe("weir-buffered in Kong's plugin server", () => {
  for (const scenario of scenarios) {
    if (scenario.clock || scenario.except?.["kong-plugin"]) continue;
    test(scenario.name, async () => {
      const edge = await KongEdge.open(server, "weir-buffered", scenario.policy);
      try {
        await scenario.run(edge);
      } finally {
        await edge.close();
      }
    });
  }
});

const budgeted = {
  tiers: { pro: { budgets: [{ meter: "completion_tokens", limit: 1000, window: "month" }] } },
  keys: [keyEntry("k1", "pro")],
};
const call = { key: "k1", body: chat("Hello there", { max_tokens: 50 }) };

for (const [plugin, charged] of [
  ["weir", 50],
  ["weir-buffered", 3],
] as const) {
  test(`${plugin}: a request settles in the log phase, at ${charged} of its bound of 50`, async () => {
    const edge = await KongEdge.open(server, plugin, budgeted);
    try {
      assert.equal((await edge.send(call)).status, 200);
      for (let i = 0; i < 50 && (await edge.budget("acme")).spent === 0; i++) await sleep(100);
      assert.equal((await edge.budget("acme")).spent, charged);
    } finally {
      await edge.close();
    }
  });
}

test("only weir-buffered has a response phase, for which Kong would buffer answers", async () => {
  const phases = async (name: string) =>
    ((await server.call("GetPluginInfo", name)) as { Phases: string[] }).Phases;
  assert.deepEqual((await phases("weir")).sort(), ["access", "log"]);
  assert.deepEqual((await phases("weir-buffered")).sort(), ["access", "log", "response"]);
});

test("a policy that the filter refuses starts no instance, and the reason is in the error", async () => {
  await assert.rejects(
    KongEdge.open(server, "weir", { tiers: { pro: { requests: "often" } } }),
    /\/tiers\/pro\/requests/,
  );
});

test("a body that Kong does not hand over is refused, not let through", async () => {
  const edge = await KongEdge.open(server, "weir", { tiers: { anonymous: {} } });
  try {
    const answer = await edge.send({ body: "", headers: [["content-length", "9000"]] });
    assert.equal(answer.status, 503);
    assert.equal(answer.json.error.code, "overloaded");
    assert.equal(answer.upstream, null);
  } finally {
    await edge.close();
  }
});
