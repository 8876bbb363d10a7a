/** What outlives what: budgets over restarts of sidecar and Envoy, and requests while the sidecar is down. */
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { type Answer, keyEntry, until, type World, world } from "../support/e2e.ts";

const calls = { name: "calls", meter: "requests", limit: 10, window: "month" };
const policy = {
  tiers: {
    ten: { budgets: [calls] },
    lenient: { budgets: [calls], outage: "allow" },
    allowed: { budgets: [{ ...calls, limit: 200 }], outage: { allowance: "5%" } },
    share: {
      budgets: [{ name: "tokens", meter: "tokens", limit: 20_000, window: "month" }],
      output: { max_tokens: 20 },
      outage: { allowance: "5%" },
    },
    ample: { budgets: [{ ...calls, limit: 100_000 }] },
  },
  ledger: { sync: "200ms" },
  keys: [
    keyEntry("ten", "ten/team/key", "ten"),
    keyEntry("killed", "killed/team/key", "ten"),
    keyEntry("lenient", "lenient/team/key", "lenient"),
    keyEntry("allowed", "allowed/team/key", "allowed"),
    keyEntry("share", "share/team/key", "share"),
    keyEntry("late", "late/team/key", "ten"),
    keyEntry("ample", "ample/team/key", "ample"),
  ],
};

/** Asks until a budget or the ledger says no; the number that passed, and the refusal. */
async function drain(w: World, key: string): Promise<[number, Answer]> {
  for (let passed = 0; ; ) {
    const answer = await w.chat(key, "hello");
    if (answer.status === 200) passed++;
    else if (answer.code === "budget_busy") await sleep(1000 * Number(answer.headers.get("retry-after")));
    else return [passed, answer];
  }
}

for (const store of ["embedded", "redis"] as const) {
  describe(`a budget on the ${store} store`, { skip: store === "redis" && !hasRedis() }, () => {
    let w: World;
    before(async () => {
      w = await world({ policy, redis: store === "redis" });
    });
    after(() => w?.close());

    it("is kept over a restart of sidecar and Envoy", async () => {
      for (let i = 0; i < 6; i++) assert.equal((await w.chat("ten", "hello")).status, 200);
      await w.settled("ten/team/key", "calls", 6, 0);
      // Leases that are out when everything stops are resolved later; they never make room for more.
      for (let i = 0; i < 3; i++) assert.equal((await w.chat("killed", "hello")).status, 200);
      await w.stopSidecar();
      await w.restartEnvoy();
      await w.startSidecar();
      await redisToo(w);
      const [passed, denied] = await drain(w, "ten");
      assert.deepEqual([passed, denied.status, denied.code], [4, 402, "insufficient_quota"]);
      await w.settled("ten/team/key", "calls", 10, 0);
    });

    it("never grants again what was out when everything stopped", async () => {
      let passed = 3;
      for (let i = 0; i < 20; i++) if ((await w.chat("killed", "hello")).status === 200) passed++;
      assert.ok(passed <= 10, `${passed} of 10`);
      const record = await w.budget("killed/team/key", "calls");
      assert.ok((record?.spent ?? 0) + (record?.outstanding ?? 0) <= 10);
    });
  });
}

/** Redis has lost nothing either when it is killed: every reply was on disk. */
async function redisToo(w: World): Promise<void> {
  if (w.redis === undefined) return;
  await w.redis.restart("SIGKILL");
  await until("the ledger", async () => (await w.sidecars[0]?.ledger.ready()) === 1);
}

describe("while the sidecar is down", () => {
  let w: World;
  before(async () => {
    const ledger = { sync: "200ms", timeout: "500ms" };
    w = await world({ policy: { ...policy, ledger }, sidecar: false });
  });
  after(() => w?.close());

  it("refuses with 503 and a clear body what needs a budget", async () => {
    const answer = await w.chat("ten", "hello");
    assert.deepEqual([answer.status, answer.code], [503, "ledger_unavailable"], answer.text);
    assert.equal(answer.json.error.type, "api_error");
    assert.match(answer.json.error.message, /ledger cannot be reached/);
    assert.ok(Number(answer.headers.get("retry-after")) > 0);
    assert.equal(w.llm.seen.length, 0);
  });

  it("lets pass, and counts, what the tier lets pass in an outage", async () => {
    assert.equal((await w.chat("lenient", "hello")).status, 200);
    assert.equal(await w.stat("weir_unbudgeted_total"), 1);
  });

  it("lets an allowance pass, to the request, and nothing beyond it", async () => {
    for (let i = 0; i < 10; i++) assert.equal((await w.chat("allowed", "hello")).status, 200, `${i}`);
    for (let i = 0; i < 3; i++) {
      const answer = await w.chat("allowed", "hello");
      assert.deepEqual([answer.status, answer.code], [503, "ledger_unavailable"], answer.text);
      assert.match(answer.json.error.message, /what may pass without it is used up/);
    }
    assert.equal(await w.stat("weir_allowance_total"), 10);
  });

  it("shares one allowance among concurrent requests of all workers", async () => {
    const headers = { "x-mock-prompt-tokens": "5", "x-mock-completion-tokens": "20" };
    let passed = 0;
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => w.chat("share", "hello", { headers })),
      );
      for (const answer of answers) {
        if (answer.status === 200) passed++;
        else assert.equal(answer.code, "ledger_unavailable", answer.text);
      }
    }
    // 1,000 tokens, 25 each; the last ones need room for what they might use.
    assert.ok(25 * passed <= 1000 && 25 * passed > 900, `${passed} passed`);
    await w.startSidecar();
    const record = await w.settled("share/team/key", "tokens", 25 * passed, 0);
    assert.equal(record.debt, 25 * passed);
  });

  it("settles what passed once the sidecar is back, exactly", async () => {
    const allowed = await w.settled("allowed/team/key", "calls", 10, 0);
    assert.equal(allowed.debt, 10);
    const lenient = await w.settled("lenient/team/key", "calls", 1, 0);
    assert.equal(lenient.debt, 1);
    assert.equal((await w.chat("allowed", "hello")).status, 200);
    await w.settled("allowed/team/key", "calls", 11, 0);
    await until("every debt to be settled", async () => (await w.stat("weir_debts_settled_total")) === 3);
    assert.equal(await w.stat("weir_lost_reports_total"), 0);
    await w.stopSidecar();
  });

  it("serves from leases at hand, and reports the usage once the sidecar is back", async () => {
    await w.startSidecar();
    let asked = 0;
    const ask = async (key: string, status: number) => {
      asked++;
      const answer = await w.chat(key, "hello");
      assert.equal(answer.status, status, answer.text);
    };
    // A subject that asks often holds a slice of more than one request.
    for (let i = 0; i < 40; i++) await ask("ample", 200);
    await w.stopSidecar();
    await ask("ample", 200);
    await w.startSidecar();
    await w.settled("ample/team/key", "calls", asked);
    await ask("ample", 200);
    await w.settled("ample/team/key", "calls", asked, 0);
  });

  it("waits for a ledger that does not answer no longer than the policy says, also if the client has left", async () => {
    await w.stopSidecar();
    const silent = createServer();
    const held = new Set<Socket>();
    silent.on("connection", (socket) => held.add(socket.on("error", () => undefined).resume()));
    await new Promise<void>((resolve) => silent.listen(w.sidecarPorts[0], "127.0.0.1", resolve));
    try {
      const abort = new AbortController();
      const left = w.chat("late", "hello", { signal: abort.signal });
      await until("the call to the ledger", () => held.size > 0);
      abort.abort();
      await assert.rejects(left);
      const start = performance.now();
      const answer = await w.chat("late", "hello");
      assert.deepEqual([answer.status, answer.code], [503, "ledger_unavailable"], answer.text);
      const waited = performance.now() - start;
      assert.ok(waited > 250 && waited < 5_000, `${waited} ms`);
    } finally {
      for (const socket of held) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
    await w.startSidecar();
    assert.equal((await w.chat("late", "hello")).status, 200);
    await w.settled("late/team/key", "calls", 1, 0);
  });

  it("serves again as soon as the sidecar is back", async () => {
    assert.equal((await w.chat("ten", "hello")).status, 200);
  });
});

describe("a sidecar with two addresses", () => {
  it("is asked at the one that answers, once the other was seen to be gone", async () => {
    // Nothing listens at port 1, while a free one may be somebody else's by the time it is asked.
    const gone = 1;
    const w = await world({
      policy: { ...policy, ledger: { leases: false } },
      workers: 1,
      edit: (text) =>
        text.replace(/(cluster_name: weir_sidecar[\s\S]*?)( *- endpoint: .*\n)/, (_, before, endpoint) =>
          [before, endpoint, endpoint.replace(/port_value: \d+/, `port_value: ${gone}`)].join(""),
        ),
    });
    try {
      const answers: Answer[] = [];
      for (let i = 0; i < 40; i++) answers.push(await w.chat("ample", "hello"));
      const refused = answers.filter(({ status }) => status !== 200);
      assert.ok(refused.length <= 1, `${refused.length} of 40: ${refused.at(-1)?.text}`);
    } finally {
      await w.close();
    }
  });
});
