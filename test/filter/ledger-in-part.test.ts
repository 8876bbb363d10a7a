// The ledger is away for some organisations only, as where a node of its Redis Cluster is: everybody else is served, held to
// their budgets and charged as if nothing was. In the profile of Envoy, where one worker has the requests of all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Call, chat, keyEntry, LocalEdge } from "../support/filter.ts";

const USED = 3;
const AWAY = "away";
const SUBJECTS = 40;

const budgets = [{ name: "answers", meter: "completion_tokens", limit: 200, window: "month" }];
const key = (organisation: string, i: number) =>
  keyEntry(`${organisation}-${i}`, "pro", { subject: `${organisation}/search/${i}` });
const policy = (more: object = {}) => ({
  tiers: { pro: { output: { max_tokens: 100 }, budgets, ...more } },
  keys: [AWAY, "acme"].flatMap((organisation) =>
    Array.from({ length: SUBJECTS }, (_, i) => key(organisation, i)),
  ),
});
const call = (organisation: string, i = 0): Call => ({
  key: `${organisation}-${i}`,
  body: chat("Hello there", { max_tokens: 50 }),
});

async function open(more: object = {}): Promise<LocalEdge> {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policy(more) });
  edge.away.add(AWAY);
  return edge;
}

test("an organisation whose ledger is away may ask on and on: leases of the others find room", async () => {
  const edge = await open();
  for (let i = 0; i < 4_200; i++) await edge.send(call(AWAY, i % SUBJECTS));
  for (let i = 0; i < SUBJECTS; i++) assert.equal((await edge.send(call("acme", i))).status, 200);
  await edge.wait(60_000);
  assert.deepEqual(await edge.budget("acme"), { spent: USED, outstanding: 0 });
});

test("an organisation whose ledger is away lets nobody else pass without a budget", async () => {
  const edge = await open({ outage: "allow" });
  for (let i = 0; ; i++) {
    assert.equal((await edge.send(call(AWAY))).status, 200);
    const answer = await edge.send(call("acme"));
    if (answer.status === 402) break;
    assert.ok(answer.status === 200 && i < 100, answer.text);
  }
  for (let i = 0; i < 10; i++) {
    assert.equal((await edge.send(call(AWAY))).status, 200);
    assert.equal((await edge.send(call("acme"))).status, 402);
  }
});

test("what an outage let through is charged within seconds although it cannot be for others, and later for them", async () => {
  const edge = await open({ outage: "allow" });
  edge.setLedgerUp(false);
  for (let i = 0; i < SUBJECTS; i++)
    for (const organisation of [AWAY, "acme"])
      assert.equal((await edge.send(call(organisation, i))).status, 200);
  edge.setLedgerUp(true);
  await edge.wait(20_000);
  const spent = async (organisation: string) =>
    (await edge.ledger.budgets(organisation)).map((record) => record.spent);
  const all = Array.from({ length: SUBJECTS }, () => USED);
  assert.deepEqual(await spent("acme"), all);
  // Half an hour in which the edge goes on trying: what it charged stays as it is.
  await edge.wait(1_800_000);
  assert.deepEqual([await spent("acme"), await spent(AWAY)], [all, []]);
  edge.away.delete(AWAY);
  await edge.wait(60_000);
  assert.deepEqual([await spent("acme"), await spent(AWAY)], [all, all]);
  assert.equal(edge.metrics.value("weir_lost_reports_total"), 0);
  assert.equal(edge.metrics.value("weir_debts_held"), 0);
});

test("while the ledger is away for all, more organisations than can be asked for at once pass as the policy says", async () => {
  const names = Array.from({ length: 400 }, (_, i) => `org${i}`);
  const keys = names.map((name) => key(name, 0));
  const edge = await LocalEdge.open({ profile: "envoy", policy: { ...policy({ outage: "allow" }), keys } });
  edge.setLedgerUp(false);
  const statuses = async (some: string[]) => {
    const answers = await Promise.all(some.map((name) => edge.send(call(name))));
    return new Set(answers.map(({ status }) => status));
  };
  assert.deepEqual(await statuses(names.slice(0, 100)), new Set([200]));
  assert.deepEqual(await statuses(names.slice(100)), new Set([200]));
});
