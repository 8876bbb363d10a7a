// The Kong plugins in the real kong-js-pluginserver, driven over its socket: the scenarios, and what is Kong's own.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pairs } from "../../host/abi.ts";
import type { Upstream } from "../../host/exchange.ts";
import { type Answer, chat, keyEntry } from "../support/filter.ts";
import { KongEdge, type KongEdgeOptions, PluginServer } from "../support/filter-kong.ts";
import { refused } from "../support/filter-scenario.ts";
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
  tiers: {
    pro: {
      output: { max_tokens: 100 },
      budgets: [{ meter: "completion_tokens", limit: 1000, window: "month" }],
    },
  },
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

/** Runs `work` on an edge of its own. */
async function withEdge(
  plugin: string,
  policy: object,
  work: (edge: KongEdge) => Promise<void>,
  options: KongEdgeOptions = {},
): Promise<void> {
  const edge = await KongEdge.open(server, plugin, policy, options);
  try {
    await work(edge);
  } finally {
    await edge.close();
  }
}

const open = { tiers: { anonymous: {} } };
const gone = (edge: KongEdge, answer: Answer) => {
  refused(edge, answer, "overloaded");
  assert.equal(answer.upstream, null);
};

test("a body that Kong does not hand over is refused, not let through", () =>
  withEdge("weir", open, async (edge) => {
    gone(edge, await edge.send({ body: "", headers: [["content-length", "9000"]] }));
  }));

test("a body that comes as text, which loses what is not UTF-8, is refused", () =>
  withEdge("weir", open, async (edge) => {
    edge.textBodies = true;
    gone(edge, await edge.send({ body: chat("Hello there") }));
  }));

test("more headers than Kong shows to a plugin are refused", () =>
  withEdge("weir", open, async (edge) => {
    const headers = Array.from({ length: 998 }, (_, i): [string, string] => [`x-${i}`, "1"]);
    gone(edge, await edge.send({ headers, body: chat("Hello there") }));
    const fewer = await edge.send({ headers: headers.slice(2), body: chat("Hello there") });
    assert.equal(fewer.status, 200);
  }));

test("an answer to a request that the plugin has not seen is withheld", () =>
  withEdge("weir-buffered", open, async (edge) => {
    edge.skipsAccess = true;
    const answer = await edge.send({ body: chat("Hello there") });
    assert.equal(answer.status, 503);
    assert.equal(answer.json.error.code, "overloaded");
    assert.doesNotMatch(answer.text, /Water/);
  }));

for (const [member, tier] of [
  ["response/redact", { response: { redact: ["email"] } }],
  ["response/canaries", { response: { canaries: ["You are the assistant of Acme"] } }],
  ["response/patterns", { response: { patterns: ["Project Titan"] } }],
  ["response/compressed", { response: { compressed: "refuse" } }],
  ["prompt/redact/email", { prompt: { redact: { phone: "mask", email: "reversible" } } }],
] as const) {
  test(`weir takes no policy with ${member}, which it could not keep; weir-buffered does`, async () => {
    const policy = { tiers: { anonymous: tier } };
    await assert.rejects(KongEdge.open(server, "weir", policy), new RegExp(`anonymous/${member}:`));
    await withEdge("weir-buffered", policy, async () => {});
  });
}

test("prompts are redacted by either plugin, and what is reversible is put back into the answer", async () => {
  const body = chat("Write to ann@example.com");
  const echo: Upstream = (request) => {
    const [{ content }] = JSON.parse(Buffer.from(request.body).toString()).messages;
    const message = { role: "assistant", content };
    return {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ choices: [{ index: 0, message }] }),
    };
  };
  const policy = (redact: object) => ({ tiers: { anonymous: { prompt: { redact } } } });
  await withEdge("weir", policy(["email"]), async (edge) => {
    const answer = await edge.send({ body, upstream: echo });
    assert.match(answer.upstream?.text ?? "", /Write to \[EMAIL_1\]/);
  });
  await withEdge("weir-buffered", policy({ email: "reversible" }), async (edge) => {
    const answer = await edge.send({ body, upstream: echo });
    assert.match(answer.upstream?.text ?? "", /Write to \[EMAIL_1\]/);
    assert.match(answer.text, /Write to ann@example\.com/);
  });
});

test("every value of a header that comes more than once reaches the client when the answer was changed", () =>
  withEdge("weir-buffered", { tiers: { anonymous: { response: { redact: ["email"] } } } }, async (edge) => {
    const choices = [{ index: 0, message: { role: "assistant", content: "ann@example.com" } }];
    const upstream = () => ({
      headers: [
        ["content-type", "application/json"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
      ] as Pairs,
      body: JSON.stringify({ choices }),
    });
    const answer = await edge.send({ body: chat("Who?"), upstream });
    assert.match(answer.text, /\[EMAIL_1\]/);
    assert.deepEqual(answer.all("set-cookie"), ["a=1", "b=2"]);
  }));

test("a client that leaves before the answer is charged as the policy says, like everywhere", () =>
  withEdge("weir", budgeted, async (edge) => {
    assert.equal((await edge.send({ ...call, signal: AbortSignal.abort() })).status, 499);
    await edge.wait(1_500);
    // delivered: no completion.
    assert.equal((await edge.budget("acme")).spent, 0);
    const strict = { ...budgeted.tiers.pro, response: { on_abort: "reserved" } };
    await withEdge("weir", { ...budgeted, tiers: { pro: strict } }, async (other) => {
      await other.send({ ...call, signal: AbortSignal.abort() });
      for (let i = 0; i < 50 && (await other.budget("acme")).spent === 0; i++) await sleep(100);
      assert.equal((await other.budget("acme")).spent, 50);
    });
  }));

test("policies of one sidecar share a subject's bucket, whichever route it comes by", () => {
  const policy = (more: object) => ({
    tiers: { pro: { requests: "3/min", ...more } },
    keys: [keyEntry("k1", "pro")],
  });
  return withEdge("weir", policy({}), async (one) => {
    const other = policy({ prompt: { max_tokens: 100 } });
    await withEdge(
      "weir",
      other,
      async (two) => {
        const ask = async (edge: KongEdge) => (await edge.send({ key: "k1", body: chat("Hi") })).status;
        assert.deepEqual([await ask(one), await ask(two), await ask(one)], [200, 200, 200]);
        assert.deepEqual([await ask(two), await ask(one)], [429, 429]);
      },
      { sidecar: one.sidecar },
    );
  });
});

test("fifty at once over as many connections on a budget for ten: ten pass", () =>
  withEdge(
    "weir",
    {
      tiers: { pro: { budgets: [{ meter: "requests", limit: 10, window: "day" }] } },
      keys: [keyEntry("k1", "pro")],
    },
    async (edge) => {
      const all = await Promise.all(Array.from({ length: 50 }, () => edge.send(call)));
      assert.equal(all.filter(({ status }) => status === 200).length, 10);
    },
  ));

test("Kong is told the schema of the configuration: a policy and where the sidecar is", async () => {
  const { Schema } = (await server.call("GetPluginInfo", "weir-buffered")) as {
    Schema: { name: string; fields: { config: { type: string; fields: Record<string, object>[] } }[] };
  };
  assert.equal(Schema.name, "weir-buffered");
  const [{ config } = { config: undefined }] = Schema.fields;
  const fields = Object.assign({}, ...(config?.fields ?? []));
  assert.deepEqual(Object.keys(fields), ["policy", "sidecar"]);
  assert.equal(fields.policy.required, true);
  // A Lua pattern: %s and %d are its classes.
  const pattern = new RegExp(fields.sidecar.match.replaceAll("%s", "\\s").replaceAll("%d", "\\d"));
  for (const good of [fields.sidecar.default, "weir-sidecar.internal:8081"]) assert.match(good, pattern);
  for (const bad of ["weir-sidecar", "http://weir-sidecar:8081", "a b:1", ":"])
    assert.doesNotMatch(bad, pattern);
});
