// Budgets in money: what tokens of each kind cost, and what they may cost at most.
import assert from "node:assert/strict";
import { type Call, chat, keyEntry } from "../../support/filter.ts";
import { passed, refused, type Scenario, spends } from "../../support/filter-scenario.ts";

const policy = (tier: object, more: object = {}) => ({
  tiers: { pro: { output: { max_tokens: 100 }, ...tier } },
  keys: [keyEntry("k1", "pro")],
  ...more,
});
const k1 = { key: "k1" };
/** A request whose usage is 5 tokens of prompt and 3 of completion. */
const call: Call = { ...k1, body: chat("Hello there", { max_tokens: 50 }) };

/** Anthropic's answer. */
const message = (usage: object) => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body: JSON.stringify({ type: "message", content: [{ type: "text", text: "Water." }], usage }),
});

export const prices: Scenario[] = [
  {
    name: "a budget in dollars is charged by price; a model without one is refused",
    clock: true,
    policy: policy({ cost: "$50/month" }, { prices: { "gpt-4o": { prompt: "$2.50", completion: "$10" } } }),
    async run(edge) {
      // 5 × 2.5 + 3 × 10 = 42.5 micro-dollars, rounded up.
      passed(await edge.send(call));
      const answer = await edge.send({ ...k1, body: chat("Hi", { model: "o1", max_tokens: 5 }) });
      refused(edge, answer, "model_not_priced");
      assert.equal(answer.json.error.param, "/model");
      await spends(edge, 43);
    },
  },
  {
    name: "a model without a price is refused also where another budget comes before that in dollars",
    policy: policy(
      {
        budgets: [
          { meter: "completion_tokens", limit: 1000, window: "month" },
          { meter: "cost", limit: "$50", window: "day" },
        ],
      },
      { prices: { "gpt-4o": { prompt: "$2.50", completion: "$10" } } },
    ),
    async run(edge) {
      passed(await edge.send(call));
      const body = chat("Hi", { model: "o1", max_tokens: 5 });
      refused(edge, await edge.send({ ...k1, body }), "model_not_priced");
    },
  },
  {
    name: "prices are charged to their last decimal, for however many tokens",
    clock: true,
    policy: policy(
      { cost: "$900000000/month", response: { on_abort: "reserved" } },
      {
        prices: {
          "gpt-4o": { prompt: "$0.000900", completion: "$0.0375" },
          dear: { prompt: "$0", completion: "$1000000" },
        },
      },
    ),
    async run(edge) {
      const send = async (model: string, prompt: number, completion: number) =>
        passed(
          await edge.send({
            ...k1,
            body: chat("Hi", { model, max_tokens: 50 }),
            headers: [
              ["x-mock-prompt-tokens", String(prompt)],
              ["x-mock-completion-tokens", String(completion)],
            ],
          }),
        );
      // 40,000 × 0.0009 + 1,000 × 0.0375 = 73.5 micro-dollars.
      await send("gpt-4o", 40_000, 1_000);
      await spends(edge, 74);
      await send("gpt-4o", 2_500_000, 0);
      await spends(edge, 74 + 2_250);
      // A dollar for each token, of which an upstream tells absurdly many.
      await send("dear", 0, 90_000_000);
      await spends(edge, 74 + 2_250 + 90_000_000_000_000);
    },
  },
  {
    name: "what a cache is written with is charged at a price of its own, and a prompt is bounded by the highest of its prices",
    clock: true,
    policy: policy(
      { cost: "$1/month", output: { max_tokens: 10 } },
      { prices: { "claude-*": { prompt: "$15", completion: "$0", cached: "$1", cache_write: "$20" } } },
    ),
    async run(edge) {
      const usage = {
        input_tokens: 100,
        cache_creation_input_tokens: 1_000,
        cache_read_input_tokens: 10_000,
        output_tokens: 7,
      };
      const path = "/v1/messages";
      const body = chat("Hi", { model: "claude-sonnet-4-5", max_tokens: 10 });
      // 100 × 15 + 1,000 × 20 + 10,000 × 1.
      passed(await edge.send({ ...call, path, body, upstream: () => message(usage) }));
      await spends(edge, 31_500);
      // 60,000 tokens cost $0.90, and $1.20 where a cache is written with them.
      const long = chat("word ".repeat(60_000), { model: "claude-sonnet-4-5", max_tokens: 10 });
      const denied = await edge.send({ ...k1, path, body: long });
      refused(edge, denied, "insufficient_quota");
    },
  },
  {
    name: "what a cache is written with for an hour is charged at a price of its own, which bounds a prompt, too",
    clock: true,
    policy: policy(
      { cost: "$1/month", output: { max_tokens: 10 } },
      {
        prices: { "claude-*": { prompt: "$3", completion: "$0", cache_write: "$5", cache_write_1h: "$20" } },
      },
    ),
    async run(edge) {
      const usage = {
        input_tokens: 100,
        cache_creation_input_tokens: 1_000,
        cache_creation: { ephemeral_5m_input_tokens: 400, ephemeral_1h_input_tokens: 600 },
        output_tokens: 7,
      };
      const path = "/v1/messages";
      const body = chat("Hi", { model: "claude-sonnet-4-5", max_tokens: 10 });
      // 100 × 3 + 400 × 5 + 600 × 20.
      passed(await edge.send({ ...call, path, body, upstream: () => message(usage) }));
      await spends(edge, 14_300);
      // 60,000 tokens cost $0.30, and $1.20 where a cache is written with them for an hour.
      const long = chat("word ".repeat(60_000), { model: "claude-sonnet-4-5", max_tokens: 10 });
      refused(edge, await edge.send({ ...k1, path, body: long }), "insufficient_quota");
    },
  },
  {
    name: "all tokens of a request with a long prompt are charged at its prices, the cached part of the prompt counted",
    clock: true,
    policy: policy(
      { cost: "$9/month", output: { max_tokens: 10 } },
      {
        prices: {
          "claude-*": {
            prompt: "$3",
            completion: "$15",
            cached: "$1",
            long_prompt: { above: "10k", prompt: "$6", completion: "$20", cached: "$2" },
          },
        },
      },
    ),
    async run(edge) {
      const path = "/v1/messages";
      const body = chat("Hi", { model: "claude-sonnet-4-5", max_tokens: 10 });
      const send = async (cache_read_input_tokens: number) => {
        const usage = { input_tokens: 1_000, cache_read_input_tokens, output_tokens: 10 };
        passed(await edge.send({ ...call, path, body, upstream: () => message(usage) }));
      };
      // 1,000 × 3 + 9,000 × 1 + 10 × 15, and with a token more 1,000 × 6 + 9,001 × 2 + 10 × 20.
      await send(9_000);
      await spends(edge, 12_150);
      await send(9_001);
      await spends(edge, 12_150 + 24_202);
    },
  },
  {
    name: "a prompt that may be long is bounded by the higher of the prices, whichever that is",
    policy: policy(
      { cost: "$1/month", output: { max_tokens: 10 } },
      {
        prices: {
          "gpt-4o": {
            prompt: "$1",
            completion: "$0",
            long_prompt: { above: "50k", prompt: "$20", completion: "$0" },
          },
          "gpt-4.1": {
            prompt: "$20",
            completion: "$0",
            long_prompt: { above: "50k", prompt: "$1", completion: "$0" },
          },
        },
      },
    ),
    async run(edge) {
      // Without a vocabulary a word may be three tokens.
      const prompt = (words: number, model: string) => chat("word ".repeat(words), { model, max_tokens: 10 });
      passed(await edge.send({ ...call, body: prompt(10_000, "gpt-4o") }));
      for (const model of ["gpt-4o", "gpt-4.1"])
        refused(edge, await edge.send({ ...k1, body: prompt(20_000, model) }), "insufficient_quota");
    },
  },
  {
    name: "thoughts are charged at a price of their own, and bounded by the higher of the two",
    clock: true,
    policy: policy(
      { cost: "$1/month", output: { max_tokens: "100k" } },
      { prices: { "gpt-4o": { prompt: "$0", completion: "$10", reasoning: "$40" } } },
    ),
    async run(edge) {
      const usage = {
        prompt_tokens: 5,
        completion_tokens: 10,
        completion_tokens_details: { reasoning_tokens: 4 },
      };
      const upstream = () => ({
        status: 200,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ choices: [{ index: 0, message: { content: "Water." } }], usage }),
      });
      // 6 × 10 + 4 × 40.
      passed(await edge.send({ ...call, upstream }));
      await spends(edge, 220);
      // 25,001 tokens could all be thoughts: that is more than a dollar.
      const denied = await edge.send({ ...k1, body: chat("Hi", { max_tokens: 25_001 }) });
      refused(edge, denied, "insufficient_quota");
      assert.match(
        denied.json.error.message,
        /\(\$1\.00 per month\) is smaller than this request may need, which is \$1\.000040\./,
      );
    },
  },
];
