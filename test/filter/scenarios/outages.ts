// When the ledger is away: what is refused, what passes all the same, and that it is settled afterwards, once.
import assert from "node:assert/strict";
import { type Call, chat, type Edge, keyEntry } from "../../support/filter.ts";
import { passed, refused, type Scenario } from "../../support/filter-scenario.ts";

const policy = (tier: object, more: object = {}) => ({
  tiers: { pro: { output: { max_tokens: 100 }, ...tier } },
  keys: [keyEntry("k1", "pro"), keyEntry("k2", "pro")],
  ...more,
});
const answers = (limit: number, more: object = {}) => [
  { meter: "completion_tokens", limit, window: "month", ...more },
];
/** A request whose bound is 50 completion tokens and whose usage is 3. */
const call: Call = { key: "k1", body: chat("Hello there", { max_tokens: 50 }) };
const BOUND = 50;
const USED = 3;
const SETTLED_MS = 12_000;
const FORGOTTEN_MS = 620_000;

async function spends(edge: Edge, expected: number): Promise<void> {
  await edge.wait(SETTLED_MS);
  assert.deepEqual(await edge.budget("acme"), { spent: expected, outstanding: 0 });
}

/** Sends one after the other until one is refused, over the given workers in turn; returns how many passed. */
async function untilRefused(edge: Edge, workers = 1): Promise<number> {
  for (let count = 0; ; count++) {
    const answer = await edge.send({ ...call, worker: count % workers });
    if (answer.status === 200) continue;
    refused(edge, answer, "ledger_unavailable");
    assert.match(answer.json.error.message, /what may pass without it is used up/);
    return count;
  }
}

/** How many pass on an allowance of so many tokens when they are sent one after the other. */
const within = (allowance: number) => Math.floor((allowance - BOUND) / USED) + 1;

export const outages: Scenario[] = [
  {
    name: "the ledger is down: 503 and a clear message; back again: 200",
    policy: policy({ budgets: answers(1000) }),
    async run(edge) {
      edge.setLedgerUp(false);
      const denied = await edge.send(call);
      refused(edge, denied, "ledger_unavailable");
      assert.match(denied.json.error.message, /ledger/);
      edge.setLedgerUp(true);
      passed(await edge.send(call));
    },
  },
  {
    name: "a lease at hand serves while the ledger is down, and is reported when it is back",
    clock: true,
    policy: policy({ budgets: answers(10_000) }),
    async run(edge) {
      passed(await edge.send(call));
      edge.setLedgerUp(false);
      passed(await edge.send(call));
      await edge.wait(2_000);
      edge.setLedgerUp(true);
      await spends(edge, 6);
    },
  },
  {
    name: "outage: allow lets everything pass while the ledger is down, and settles it when it is back",
    clock: true,
    policy: policy({ budgets: answers(100), outage: "allow" }),
    async run(edge) {
      edge.setLedgerUp(false);
      for (let i = 0; i < 40; i++) passed(await edge.send(call));
      passed(await edge.send({ key: "k1", body: chat("No bound of its own") }));
      await edge.wait(60_000);
      edge.setLedgerUp(true);
      // More than the whole budget: it is debt, and what comes next is denied.
      await spends(edge, 41 * USED);
      refused(edge, await edge.send(call), "insufficient_quota");
    },
  },
  {
    name: "an allowance lets its share pass in an outage, whichever worker serves, and settles it once",
    clock: true,
    workers: 2,
    policy: policy({ budgets: answers(1000), outage: { allowance: "10%" } }),
    async run(edge) {
      edge.setLedgerUp(false);
      assert.equal(await untilRefused(edge, 2), within(100));
      await edge.wait(60_000);
      refused(edge, await edge.send(call), "ledger_unavailable");
      edge.setLedgerUp(true);
      await spends(edge, within(100) * USED);
      passed(await edge.send(call));
      await spends(edge, (within(100) + 1) * USED);
    },
  },
  {
    name: "the lease at hand serves first, then the allowance",
    clock: true,
    policy: policy({ budgets: answers(100_000), outage: { allowance: "0.1%" } }),
    async run(edge) {
      // The lease is a slice for four requests: of 200 tokens.
      passed(await edge.send(call));
      edge.setLedgerUp(false);
      const count = await untilRefused(edge);
      // On nginx the lease was asked for before the body was known, and is larger.
      if (edge.host === "envoy") assert.equal(count + 1, within(200) + within(100));
      else assert.ok(count + 1 > within(100));
      edge.setLedgerUp(true);
      await spends(edge, (count + 1) * USED);
    },
  },
  {
    name: "an allowance is one for each budget, whichever models are asked",
    clock: true,
    policy: policy({
      budgets: [
        ...answers(1000, { name: "all" }),
        ...answers(1000, { name: "large", models: ["o1"] }),
        ...answers(1000, { name: "small", models: ["gpt-4o"] }),
      ],
      outage: { allowance: "10%" },
    }),
    async run(edge) {
      const large: Call = { ...call, body: chat("Hello there", { model: "o1", max_tokens: 50 }) };
      edge.setLedgerUp(false);
      for (let i = 0; i < 7; i++) passed(await edge.send(large));
      assert.equal(await untilRefused(edge), within(100 - 7 * USED));
      refused(edge, await edge.send(large), "ledger_unavailable");
      edge.setLedgerUp(true);
      await spends(edge, (7 + within(100 - 7 * USED)) * USED);
    },
  },
  {
    name: "an outage soon after another has what that one left of the allowance; a later one has all of it",
    clock: true,
    policy: policy({ budgets: answers(1000), outage: { allowance: "10%" } }),
    async run(edge) {
      edge.setLedgerUp(false);
      for (let i = 0; i < 7; i++) passed(await edge.send(call));
      edge.setLedgerUp(true);
      await spends(edge, 7 * USED);
      edge.setLedgerUp(false);
      assert.equal(await untilRefused(edge), within(100 - 7 * USED));
      edge.setLedgerUp(true);
      const spent = (7 + within(100 - 7 * USED)) * USED;
      await spends(edge, spent);
      edge.setLedgerUp(false);
      refused(edge, await edge.send(call), "ledger_unavailable");
      edge.setLedgerUp(true);
      await edge.wait(FORGOTTEN_MS);
      edge.setLedgerUp(false);
      assert.equal(await untilRefused(edge), within(100));
      edge.setLedgerUp(true);
      await spends(edge, spent + within(100) * USED);
    },
  },
  {
    name: "subjects have allowances of their own, and all their budgets must cover a request",
    clock: true,
    policy: policy({
      budgets: [
        ...answers(1000, { per: "organisation" }),
        { meter: "requests", limit: 40, window: "day", per: "organisation" },
      ],
      outage: { allowance: "10%" },
    }),
    async run(edge) {
      edge.setLedgerUp(false);
      assert.equal(await untilRefused(edge), 4);
      for (let i = 0; i < 4; i++) passed(await edge.send({ ...call, key: "k2" }));
      refused(edge, await edge.send({ ...call, key: "k2" }), "ledger_unavailable");
      edge.setLedgerUp(true);
      await spends(edge, 8 * USED);
    },
  },
  {
    name: "what is under way when the ledger comes back is settled when it ends",
    clock: true,
    policy: policy({ budgets: answers(1000), outage: { allowance: "20%" } }),
    async run(edge) {
      edge.setLedgerUp(false);
      passed(await edge.send(call));
      const slow = await edge.send({
        ...call,
        upstream: async () => {
          edge.setLedgerUp(true);
          await edge.wait(SETTLED_MS);
          assert.deepEqual(await edge.budget("acme"), { spent: USED, outstanding: 0 });
          // Another outage meanwhile: its usage goes the same way.
          edge.setLedgerUp(false);
          passed(await edge.send(call));
          const usage = { prompt_tokens: 5, completion_tokens: 9 };
          return {
            status: 200,
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ choices: [{ index: 0, message: { content: "Water." } }], usage }),
          };
        },
      });
      passed(slow);
      edge.setLedgerUp(true);
      await spends(edge, 2 * USED + 9);
    },
  },
  {
    name: "what the upstream failed to answer in an outage takes nothing of the allowance",
    clock: true,
    policy: policy({ budgets: answers(1000), outage: { allowance: "5%" } }),
    async run(edge) {
      edge.setLedgerUp(false);
      for (let i = 0; i < 5; i++) {
        const failed = await edge.send({ ...call, headers: [["x-mock-status", "500"]] });
        assert.equal(failed.status, 500);
      }
      passed(await edge.send(call));
      refused(edge, await edge.send(call), "ledger_unavailable");
      edge.setLedgerUp(true);
      await spends(edge, USED);
    },
  },
];
