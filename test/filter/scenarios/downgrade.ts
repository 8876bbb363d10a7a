// A cheaper model where a budget does not cover the one that was asked for.
import assert from "node:assert/strict";
import { type Answer, type Call, chat, type Edge, keyEntry } from "../../support/filter.ts";
import { IDLE_MS, passed, refused, type Scenario } from "../../support/filter-scenario.ts";

const prices = {
  "gpt-4o": { prompt: "$0", completion: "$10" },
  "gpt-4o-mini": { prompt: "$0", completion: "$1" },
};
const policy = (tier: object, more: object = {}) => ({
  tiers: { pro: tier },
  keys: [
    keyEntry("k1", "pro"),
    keyEntry("large-only", "pro", { subject: "acme/search/large", models: ["gpt-4o"] }),
  ],
  prices,
  ...more,
});
const downgrade = { "gpt-4*": "gpt-3.5", "gpt-4o*": "gpt-4o-mini" };
const large = { name: "large", meter: "requests", limit: 2, window: "day", models: ["gpt-4o"] };
const call: Call = { key: "k1", body: chat("Hello there", { max_tokens: 50 }) };
const AFTER_A_PAUSE = "nginx takes no other body after a pause: the denial stands";

const modelOf = (answer: Answer) => JSON.parse(answer.upstream?.text ?? "{}").model;

function downgraded(answer: Answer, model = "gpt-4o-mini"): void {
  passed(answer);
  assert.equal(modelOf(answer), model);
  assert.equal(answer.header("x-weir-model"), model);
  const { text = "", header } = answer.upstream ?? {};
  assert.equal(header?.("content-length"), String(Buffer.byteLength(text)));
}

async function twice(edge: Edge): Promise<void> {
  for (let i = 0; i < 2; i++) {
    const answer = await edge.send(call);
    passed(answer);
    assert.equal(modelOf(answer), "gpt-4o");
    assert.equal(answer.header("x-weir-model"), undefined);
  }
  await edge.wait(IDLE_MS);
}

export const downgrades: Scenario[] = [
  {
    name: "a used up budget of a model class asks the cheaper model, of the longest matching name, and says so",
    clock: true,
    except: { ngx_wasm: AFTER_A_PAUSE },
    policy: policy({ budgets: [large], downgrade }),
    async run(edge) {
      await twice(edge);
      for (let i = 0; i < 3; i++) downgraded(await edge.send(call));
      // One that is not in the class was never concerned.
      const other = await edge.send({ key: "k1", body: chat("Hi", { model: "o1" }) });
      passed(other);
      assert.equal(other.header("x-weir-model"), undefined);
    },
  },
  {
    name: "the cheaper model is held against its own budgets, and denied when they are gone too",
    clock: true,
    except: { ngx_wasm: AFTER_A_PAUSE },
    policy: policy({
      budgets: [large, { name: "all", meter: "requests", limit: 4, window: "day" }],
      downgrade,
    }),
    async run(edge) {
      await twice(edge);
      for (let i = 0; i < 2; i++) downgraded(await edge.send(call));
      await edge.wait(IDLE_MS);
      const denied = await edge.send(call);
      refused(edge, denied, "insufficient_quota");
      assert.match(denied.json.error.message, /budget all of/);
    },
  },
  {
    name: "a budget in dollars that does not cover the model covers the cheaper one, at its price",
    clock: true,
    except: { ngx_wasm: AFTER_A_PAUSE },
    policy: policy({
      budgets: [{ meter: "cost", limit: "$0.001", window: "month" }],
      downgrade: { "gpt-4o": "gpt-4o-mini" },
    }),
    async run(edge) {
      const answer = (max_tokens: number, used: number) =>
        edge.send({
          key: "k1",
          headers: [["x-mock-completion-tokens", String(used)]],
          body: chat("Hi", { max_tokens, stream: true }),
        });
      // 90 × $10 of 1,000 micro-dollars: 11 more tokens would be too many.
      passed(await answer(90, 90));
      await edge.wait(IDLE_MS);
      const cheap = await answer(11, 11);
      downgraded(cheap);
      assert.doesNotMatch(cheap.text, /usage/);
      assert.equal(JSON.parse(cheap.upstream!.text).max_tokens, 11);
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: 911, outstanding: 0 });
    },
  },
  {
    name: "a model that the key may not use is not asked: the denial stands",
    clock: true,
    policy: policy({ budgets: [large], downgrade }),
    async run(edge) {
      for (let i = 0; i < 2; i++) passed(await edge.send({ ...call, key: "large-only" }));
      await edge.wait(IDLE_MS);
      refused(edge, await edge.send({ ...call, key: "large-only" }), "insufficient_quota");
    },
  },
  {
    name: "Gemini names its model in the path, where it stays: the denial stands",
    clock: true,
    policy: policy({
      budgets: [{ ...large, models: ["gemini*"] }],
      downgrade: { "gemini-pro": "gemini-flash" },
    }),
    async run(edge) {
      const gemini: Call = {
        key: "k1",
        path: "/v1beta/models/gemini-pro:generateContent",
        body: { contents: [{ role: "user", parts: [{ text: "Hi" }] }] },
      };
      for (let i = 0; i < 2; i++) passed(await edge.send(gemini));
      await edge.wait(IDLE_MS);
      refused(edge, await edge.send(gemini), "insufficient_quota");
    },
  },
  {
    name: "where the ledger has just denied, the cheaper model is asked without another question",
    clock: true,
    policy: policy({ budgets: [large], downgrade: { "gpt-4o": "gpt-mini" } }),
    async run(edge) {
      await twice(edge);
      const first = await edge.send(call);
      if (edge.host === "ngx_wasm") refused(edge, first, "insufficient_quota");
      else downgraded(first, "gpt-mini");
      // No budget covers the cheaper model, so nothing is asked and nothing waits.
      edge.setLedgerUp(false);
      downgraded(await edge.send(call), "gpt-mini");
      await edge.wait(IDLE_MS);
      refused(edge, await edge.send(call), "ledger_unavailable");
    },
  },
  {
    name: "who needs less than what the ledger has just denied is asked for, and keeps its model",
    clock: true,
    policy: policy({
      output: { max_tokens: 80 },
      budgets: [{ name: "large", meter: "completion_tokens", limit: 100, window: "day", models: ["gpt-4o"] }],
      downgrade: { "gpt-4o": "gpt-mini" },
    }),
    async run(edge) {
      const asking = (max_tokens: number, used: number): Call => ({
        key: "k1",
        body: chat("Hello there", { max_tokens }),
        headers: [["x-mock-completion-tokens", String(used)]],
      });
      passed(await edge.send(asking(80, 80)));
      await edge.wait(IDLE_MS);
      const first = await edge.send(asking(50, 1));
      if (edge.host === "ngx_wasm") refused(edge, first, "insufficient_quota");
      else downgraded(first, "gpt-mini");
      const second = await edge.send(asking(10, 10));
      passed(second);
      assert.equal(modelOf(second), "gpt-4o");
      assert.equal(second.header("x-weir-model"), undefined);
    },
  },
];
