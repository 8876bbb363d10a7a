// Which model a request asks: the path's where it names one, for what a key may use and for what is charged.
import assert from "node:assert/strict";
import { chat, keyEntry } from "../../support/filter.ts";
import { IDLE_MS, passed, refused, type Scenario } from "../../support/filter-scenario.ts";

const MINI = "gpt-4o-mini";
const azure = (model: string) => `/openai/deployments/${model}/chat/completions?api-version=2024-10-21`;
const messages = [{ role: "user", content: "Hi" }];
const claude = { anthropic_version: "vertex-2023-10-16", max_tokens: 9, messages };
const prices = {
  "gpt-4o": { prompt: "$0", completion: "$10" },
  [MINI]: { prompt: "$0", completion: "$1" },
};

/** Paths that name the model, with a body that a provider takes there. */
const named: [path: (model: string) => string, body: object][] = [
  [azure, { messages }],
  [(model) => `/OpenAI/Deployments/${model}/chat/completions`, { messages }],
  [(model) => `/v1/engines/${model}/completions`, { prompt: "Hi" }],
  [(model) => `/v1/projects/p/locations/l/publishers/anthropic/models/${model}:rawPredict`, claude],
  [(model) => `/v1/projects/p/locations/l/publishers/anthropic/models/${model}:streamRawPredict`, claude],
  [
    (model) => `/v1/projects/p/locations/l/publishers/google/models/${model}:generateContent`,
    { contents: [{ role: "user", parts: [{ text: "Hi" }] }] },
  ],
  [(model) => `/model/${model}/invoke`, claude],
  [(model) => `/model/${model}/invoke-with-response-stream`, claude],
  [(model) => `/model/${model}/converse`, { messages: [{ role: "user", content: [{ text: "Hi" }] }] }],
];

export const models: Scenario[] = [
  {
    name: "the model that a path names is the one which a key may ask for or not",
    policy: { tiers: { pro: {} }, keys: [keyEntry("k1", "pro", { models: [MINI] })] },
    async run(edge) {
      for (const [path, body] of named) {
        passed(await edge.send({ key: "k1", path: path(MINI), body }));
        refused(edge, await edge.send({ key: "k1", path: path("gpt-4o"), body }), "model_not_allowed");
        passed(await edge.send({ key: "k1", path: path(MINI), body: { ...body, model: MINI } }));
        const hidden = await edge.send({ key: "k1", path: path("gpt-4o"), body: { ...body, model: MINI } });
        refused(edge, hidden, "empty_prompt");
        assert.equal(hidden.json.error.param, "/model");
        assert.match(hidden.json.error.message, /expected the model that the path names/);
      }
    },
  },
  {
    name: "a member that differs in nothing but capitals from one that is read is refused, as some servers take it for that one",
    policy: { tiers: { pro: {} }, keys: [keyEntry("k1", "pro", { models: [MINI] })] },
    async run(edge) {
      const names = [
        "Model",
        "MODEL",
        "mod\\u0045l",
        "N",
        "Max_Tokens",
        "max_Completion_tokens",
        "MAX_OUTPUT_TOKENS",
        "max_token\u017f",
        "max_to\\u212Aens",
      ];
      for (const name of [...names, "Best_of", "Models", "fallbackS"]) {
        const body = JSON.stringify(chat("Hi", { model: MINI })).replace("{", `{"${name}":"gpt-4o",`);
        const answer = await edge.send({ key: "k1", body });
        refused(edge, answer, "empty_prompt");
        assert.match(answer.json.error.message, /expected its name in small letters/, name);
      }
      passed(
        await edge.send({
          key: "k1",
          body: chat("Hi", { model: MINI, metadata: { Model: "x" }, Models2: 1, Options: {} }),
        }),
      );
      for (const name of ["Options", "option\u017f"]) {
        const body = { ...chat("Hi", { model: MINI }), [name]: { num_predict: -1 } };
        refused(edge, await edge.send({ key: "k1", path: "/api/chat", body }), "empty_prompt");
      }
    },
  },
  {
    name: "Bedrock's Converse is bounded by its own member, and charged what its answer says",
    clock: true,
    policy: {
      tiers: { pro: { tokens: "1M/day", output: { max_tokens: 100 } } },
      keys: [keyEntry("k1", "pro")],
    },
    async run(edge) {
      const body = {
        messages: [{ role: "user", content: [{ text: "Hi" }] }],
        inferenceConfig: { maxTokens: 4000 },
      };
      const usage = { inputTokens: 7, outputTokens: 30, totalTokens: 47, cacheReadInputTokens: 10 };
      const upstream = () => ({
        status: 200,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ output: { message: { role: "assistant", content: [{ text: "x" }] } }, usage }),
      });
      const answer = await edge.send({ key: "k1", path: `/model/${MINI}/converse`, body, upstream });
      passed(answer);
      assert.equal(JSON.parse(answer.upstream?.text ?? "").inferenceConfig.maxTokens, 100);
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: 47, outstanding: 0 });
    },
  },
  {
    name: "the model that a path names is the one that is charged, also of a stream",
    clock: true,
    policy: { tiers: { pro: { cost: "$1/month" } }, keys: [keyEntry("k1", "pro")], prices },
    async run(edge) {
      const body = { messages, max_tokens: 50 };
      passed(await edge.send({ key: "k1", path: azure("gpt-4o"), body }));
      passed(await edge.send({ key: "k1", path: azure(MINI), body: { ...body, model: MINI } }));
      const stream = await edge.send({ key: "k1", path: azure("gpt-4o"), body: { ...body, stream: true } });
      passed(stream);
      assert.doesNotMatch(stream.text, /usage/);
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: 30 + 3 + 30, outstanding: 0 });
      refused(edge, await edge.send({ key: "k1", path: azure("o1"), body }), "model_not_priced");
    },
  },
  {
    name: "no cheaper model is written into a body whose path names the dearer one",
    clock: true,
    policy: {
      tiers: {
        pro: {
          budgets: [{ name: "large", meter: "requests", limit: 1, window: "day", models: ["gpt-4o"] }],
          downgrade: { "gpt-4o": MINI },
        },
      },
      keys: [keyEntry("k1", "pro")],
      prices,
    },
    async run(edge) {
      passed(await edge.send({ key: "k1", path: azure("gpt-4o"), body: chat("Hi") }));
      await edge.wait(IDLE_MS);
      for (let i = 0; i < 2; i++) {
        const answer = await edge.send({ key: "k1", path: azure("gpt-4o"), body: chat("Hi") });
        refused(edge, answer, "insufficient_quota");
      }
    },
  },
  {
    name: "a path that servers read in different ways is refused where the model matters, and passes where it does not",
    policy: {
      tiers: {
        lax: { prompt: { unknown_shape: "allow" } },
        priced: { prompt: { unknown_shape: "allow" }, cost: "$1/month" },
      },
      keys: [keyEntry("k1", "lax", { models: [MINI] }), keyEntry("k2", "priced"), keyEntry("k3", "lax")],
      prices,
    },
    async run(edge) {
      const body = chat("Hi", { model: MINI });
      const paths = ["/openai/deployments%2fgpt-4o/chat/completions", "/openai//deployments/gpt-4o/chat"];
      for (const path of paths) {
        refused(edge, await edge.send({ key: "k1", path, body }), "unknown_shape");
        refused(edge, await edge.send({ key: "k2", path, body }), "unknown_shape");
        passed(await edge.send({ key: "k3", path, body }));
      }
      const escaped = "/openai/%64eployments/gpt%2D4o/chat/completions";
      refused(edge, await edge.send({ key: "k1", path: escaped, body: { messages } }), "model_not_allowed");
    },
  },
  {
    name: "a list of models that may answer instead is refused where the model matters, and passes where it does not",
    policy: {
      tiers: {
        pro: {},
        priced: { cost: "$1/month" },
        classes: { budgets: [{ meter: "requests", limit: 9, window: "day", models: ["gpt-4o"] }] },
        counted: { tokens: "1M/month" },
      },
      keys: [
        keyEntry("k1", "pro", { models: [MINI] }),
        keyEntry("k2", "priced"),
        keyEntry("k3", "classes"),
        keyEntry("k4", "counted"),
        keyEntry("k5", "pro"),
      ],
      prices,
    },
    async run(edge) {
      for (const member of ["models", "fallbacks"]) {
        const body = chat("Hi", { model: MINI, [member]: ["gpt-4o"] });
        for (const key of ["k1", "k2", "k3"]) {
          const answer = await edge.send({ key, body });
          refused(edge, answer, "model_not_allowed");
          assert.equal(answer.json.error.param, `/${member}`);
        }
        for (const key of ["k4", "k5"]) passed(await edge.send({ key, body }));
        passed(await edge.send({ key: "k1", body: chat("Hi", { model: MINI, [member]: null }) }));
      }
    },
  },
];
