// By which bound a lease is asked for: the prompt's bytes while the ledger has plenty, its tokens when that is not known or
// no longer so.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { UpstreamRequest } from "../../host/exchange.ts";
import { chat, keyEntry, LocalEdge, llm } from "../support/filter.ts";

const LIMIT = 1_000_000;
const IDLE_MS = 12_000;
const TEXT = "Hello there ".repeat(400);
/** By the estimate: the tests' filter has no vocabularies. */
const TOKENS_MAX = 0.6 * TEXT.length;

const call = (text: string, used: number, worker = 0) => ({
  key: "k1",
  worker,
  body: chat(text),
  headers: [["x-mock-prompt-tokens", String(used)]] as [string, string][],
});

async function open(outage?: object) {
  const budgets = [{ meter: "prompt_tokens", limit: LIMIT, window: "month" }];
  const policy = {
    tiers: { pro: { budgets, ...(outage && { outage }) } },
    keys: [keyEntry("k1", "pro")],
  };
  const edge = await LocalEdge.open({ profile: "envoy", policy, workers: 2 });
  const acquires = () => edge.callouts.filter((path) => path.endsWith("/Acquire")).length;
  return { edge, acquires };
}

test("the ledger is asked for a budget as the policy has it", async () => {
  const own = { name: "calls", meter: "requests", limit: 9, window: "month", per: "organisation" };
  const budgets = [{ ...own, models: ["gpt-4*"], time_zone: "Asia/Tokyo", billing_day: 15 }];
  const edge = await LocalEdge.open({
    profile: "envoy",
    policy: { tiers: { pro: { budgets } }, keys: [keyEntry("k1", "pro")] },
  });
  assert.equal((await edge.send(call(TEXT, 10))).status, 200);
  const [record] = await edge.ledger.budgets("acme");
  const { start, key, limit } = record!;
  const day = new Date(start + 9 * 3_600_000).toISOString();
  assert.match(day, /-15T00:00/);
  assert.deepEqual(
    [key.split("|").slice(0, 5), limit],
    [["acme", "calls", "requests", "month", "gpt-4*"], 9],
  );
});

test("the first lease is asked for by tokens, later ones by bytes while plenty is left", async () => {
  const { edge, acquires } = await open();
  const granted: number[] = [];
  for (let i = 0; i < 2; i++) {
    assert.equal((await edge.send(call(TEXT, 10))).status, 200);
    granted.push((await edge.budget("acme")).outstanding);
    await edge.wait(IDLE_MS);
  }
  assert.equal(acquires(), 2);
  assert.ok(granted[0]! < 4 * TOKENS_MAX, String(granted));
  assert.ok(granted[1]! >= 4 * TEXT.length, String(granted));
  assert.deepEqual(await edge.budget("acme"), { spent: 20, outstanding: 0 });
});

test("what is denied by its bytes and not by its tokens passes; of many that wait, as many as fit", async () => {
  const { edge } = await open();
  assert.equal((await edge.send(call(TEXT, 10))).status, 200);
  await edge.wait(IDLE_MS);
  const left = TEXT.length - 1;
  assert.equal((await edge.send(call("Hi", LIMIT - left - 10, 1))).status, 200);
  await edge.wait(IDLE_MS);
  assert.deepEqual(await edge.budget("acme"), { spent: LIMIT - left, outstanding: 0 });
  const answers = await Promise.all(Array.from({ length: 3 }, () => edge.send(call(TEXT, 10))));
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 429, 429]);
  await edge.wait(IDLE_MS);
  assert.deepEqual(await edge.budget("acme"), { spent: LIMIT - left + 10, outstanding: 0 });
});

test("after a denial the next lease is asked for by tokens at once", async () => {
  const { edge, acquires } = await open();
  assert.equal((await edge.send(call(TEXT, 10))).status, 200);
  await edge.wait(IDLE_MS);
  assert.equal((await edge.send(call("Hi", LIMIT - 20, 1))).status, 200);
  await edge.wait(IDLE_MS);
  const asked = async () => {
    const before = acquires();
    assert.equal((await edge.send(call(TEXT, 10))).status, 402);
    return acquires() - before;
  };
  assert.equal(await asked(), 2);
  assert.equal(await asked(), 1);
});

test("in an outage the allowance is taken by tokens", async () => {
  const { edge } = await open({ allowance: "1%" });
  assert.equal((await edge.send(call(TEXT, 10))).status, 200);
  await edge.wait(IDLE_MS);
  edge.setLedgerUp(false);
  const together = 3;
  assert.ok(together * TEXT.length > LIMIT / 100 && together * TOKENS_MAX < LIMIT / 100);
  let there = 0;
  let all = () => {};
  const allThere = new Promise<void>((resolve) => {
    all = resolve;
  });
  const upstream = async (request: UpstreamRequest) => {
    if (++there === together) all();
    await allThere;
    return llm(request);
  };
  const answers = await Promise.all(
    Array.from({ length: together }, () => {
      const answer = edge.send({ ...call(TEXT, 10), upstream });
      // One that is refused must not leave the others waiting.
      return answer.then((got) => {
        if (got.status !== 200) all();
        return got.status;
      });
    }),
  );
  assert.deepEqual(answers, [200, 200, 200]);
});
