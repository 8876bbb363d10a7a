// What outages let through is charged exactly once, whatever happens to the workers and messages that should see to it.
// Under both profiles.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Phase } from "../../host/abi.ts";
import { type Call, chat, keyEntry, LocalEdge, policyFor, replacePolicy } from "../support/filter.ts";

const budgets = [{ name: "answers", meter: "completion_tokens", limit: 1000, window: "month" }];
const ledger = { sync: "5s" };
const policy = {
  ledger,
  tiers: { pro: { output: { max_tokens: 100 }, budgets, outage: { allowance: "50%" } } },
  keys: [keyEntry("k1", "pro")],
};
const call: Call = { key: "k1", body: chat("Hello there", { max_tokens: 50 }) };
const BOUND = 50;
const USED = 3;
const SETTLED_MS = 40_000;
const HOUR_MS = 3_600_000;

async function charged(edge: LocalEdge): Promise<{ spent: number; debt: number }> {
  await edge.wait(SETTLED_MS);
  const [record] = await edge.ledger.budgets("acme");
  assert.equal(record?.outstanding ?? 0, 0, "nothing is held any more");
  return { spent: record?.spent ?? 0, debt: record?.debt ?? 0 };
}

async function pass(edge: LocalEdge, times: number, more: Partial<Call> = {}): Promise<void> {
  for (let i = 0; i < times; i++) assert.equal((await edge.send({ ...call, ...more })).status, 200);
}

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    test("a worker that is restarted in an outage loses nothing of it: another reports it", async () => {
      const edge = await LocalEdge.open({ profile, policy, workers: 2 });
      edge.setLedgerUp(false);
      await pass(edge, 5, { worker: 0 });
      await edge.wait(5_000);
      edge.vms[0]!.reload();
      await pass(edge, 2, { worker: 1 });
      edge.setLedgerUp(true);
      assert.deepEqual(await charged(edge), { spent: 7 * USED, debt: 7 * USED });
    });

    test("the only worker reports what it let through before it was restarted", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      edge.setLedgerUp(false);
      await pass(edge, 5);
      edge.vms[0]!.reload();
      edge.setLedgerUp(true);
      assert.deepEqual(await charged(edge), { spent: 5 * USED, debt: 5 * USED });
    });

    test("answers of the ledger that are lost, at any point, charge nothing twice", async () => {
      for (const heard of [0, 1, 2]) {
        const edge = await LocalEdge.open({ profile, policy, workers: 2 });
        edge.setLedgerUp(false);
        await pass(edge, 4);
        edge.setLedgerUp(true);
        // The first messages are heard, those of the next minutes are not.
        if (heard > 0) await edge.wait(5_000 * heard);
        edge.answersLost = true;
        await edge.wait(120_000);
        edge.answersLost = false;
        assert.deepEqual(await charged(edge), { spent: 4 * USED, debt: 4 * USED }, `${heard} heard`);
        await edge.wait(HOUR_MS);
        assert.equal((await charged(edge)).spent, 4 * USED);
        assert.equal(edge.metrics.value("weir_lost_reports_total"), 0);
        assert.equal(edge.metrics.value("weir_debts_held"), 0);
      }
    });

    test("what the ledger refuses for good of an outage is counted as lost, and told no more", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      edge.setLedgerUp(false);
      await pass(edge, 2);
      edge.setLedgerUp(true);
      edge.ledger.settle = async () => ({
        ...{ status: "unknown_lease", usableMs: 0 },
        ...{ warning: null, notices: [] },
      });
      await edge.wait(SETTLED_MS);
      assert.equal(edge.metrics.value("weir_lost_reports_total"), 1);
      assert.equal(edge.metrics.value("weir_debts_held"), 0);
      const before = edge.callouts.length;
      await edge.wait(120_000);
      assert.equal(edge.callouts.length, before);
    });

    test("a policy that is replaced in an outage gives no new allowance, but what it allows more", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const replace = (allowance: string, sync: string) => {
        const pro = { ...policy.tiers.pro, outage: { allowance } };
        replacePolicy(
          edge.vms[0]!,
          JSON.stringify(policyFor(profile, { ...policy, tiers: { pro }, ledger: { sync } })),
        );
      };
      const passes = async (): Promise<number> => {
        for (let count = 0; ; count++) if ((await edge.send(call)).status !== 200) return count;
      };
      edge.setLedgerUp(false);
      const first = await passes();
      assert.ok(first > 0);
      replace("50%", "4s");
      assert.equal(await passes(), 0);
      replace("60%", "5s");
      const more = await passes();
      assert.ok(more > 0 && (first + more) * USED <= 600, `${first} and ${more}`);
      edge.setLedgerUp(true);
      assert.deepEqual(await charged(edge), { spent: (first + more) * USED, debt: (first + more) * USED });
    });

    test("a policy that is replaced in an outage leaves what it let through to the next, charged as it was", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const vm = edge.vms[0]!;
      edge.setLedgerUp(false);
      await pass(edge, 4);
      await edge.wait(3_000);
      const other = {
        ...policy,
        tiers: { pro: { ...policy.tiers.pro, budgets: [{ ...budgets[0], name: "other" }] } },
      };
      replacePolicy(vm, JSON.stringify(policyFor(profile, other)));
      edge.setLedgerUp(true);
      await edge.wait(SETTLED_MS);
      const records = await edge.ledger.budgets("acme");
      assert.deepEqual(
        records.map(({ key, spent, debt }) => [key.split("|")[1], spent, debt]),
        [["answers", 4 * USED, 4 * USED]],
      );
    });

    test("what an outage let through is charged also when the next policy has no budgets", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      edge.setLedgerUp(false);
      await pass(edge, 4);
      const { keys } = policy;
      replacePolicy(edge.vms[0]!, JSON.stringify(policyFor(profile, { tiers: { pro: {} }, keys })));
      edge.setLedgerUp(true);
      assert.deepEqual(await charged(edge), { spent: 4 * USED, debt: 4 * USED });
    });

    test("a lease outlasts the longest outage in its proxy: what was spent of it is told before another takes its place", async () => {
      for (const on_expiry of ["charge_all", "charge_reported"]) {
        const tiers = { pro: { output: { max_tokens: 100 }, budgets } };
        const edge = await LocalEdge.open({
          profile,
          policy: { ...policy, tiers, ledger: { ...ledger, on_expiry } },
        });
        await pass(edge, 3);
        edge.setLedgerUp(false);
        await edge.wait(HOUR_MS / 4);
        await edge.ledger.sweep("acme");
        edge.setLedgerUp(true);
        await pass(edge, 1);
        assert.equal((await charged(edge)).spent, 4 * USED, on_expiry);
      }
    });

    for (const [on_expiry, lost] of [
      ["charge_all", BOUND],
      ["charge_reported", 0],
    ] as const)
      test(`a request whose worker was restarted under it is in the end charged ${lost}, by ${on_expiry}`, async () => {
        const edge = await LocalEdge.open({
          profile,
          policy: { ...policy, ledger: { ...ledger, on_expiry } },
        });
        edge.setLedgerUp(false);
        await pass(edge, 1);
        await edge.send({
          ...call,
          upstream: () => {
            edge.vms[0]!.reload();
            return { status: 200, body: "{}" };
          },
        });
        edge.setLedgerUp(true);
        assert.equal((await charged(edge)).spent, USED);
        await edge.wait(HOUR_MS);
        assert.deepEqual(await charged(edge), { spent: USED + lost, debt: USED + lost });
      });
  });
}

for (const outage of [{ allowance: "50%" }, "allow"] as const)
  test(`more subjects than can be remembered: ${outage === "allow" ? "they pass, and are counted" : "they are refused"}`, async () => {
    const many = 3_000;
    // Budgets with long names, of which few subjects fit into a record.
    const models = Array.from({ length: 2 }, (_, i) => `${"m".repeat(120)}${i}`);
    const long = Array.from({ length: 7 }, (_, i) => ({
      ...{ name: `${"n".repeat(120)}${i}`, meter: "requests", limit: 1000, window: "day" },
      models: ["gpt-4o", ...models],
    }));
    const tiers = { anonymous: { ...policy.tiers.pro, budgets: [...budgets, ...long], outage } };
    const edge = await LocalEdge.open({ profile: "envoy", policy: { tiers, ledger } });
    edge.setLedgerUp(false);
    let passed = 0;
    for (let i = 0; i < many; i++) {
      const from = `10.0.${i >> 8}.${i & 255}`;
      const answer = await edge.send({ body: call.body, from });
      if (answer.status === 200) passed++;
      else assert.equal(answer.json.error.code, "ledger_unavailable");
    }
    const untracked = edge.metrics.value("weir_untracked_total") ?? 0;
    const remembered = passed - untracked;
    assert.ok(remembered > 1_000 && remembered < many, `${remembered} of ${many}`);
    if (outage === "allow") assert.equal(passed, many);
    else assert.equal(untracked, 0);
    edge.setLedgerUp(true);
    await edge.wait(120_000);
    const records = (await edge.ledger.budgets("anonymous")).filter(({ key }) => key.includes("|answers|"));
    assert.equal(records.length, remembered);
    assert.ok(records.every(({ spent, debt }) => spent === USED && debt === USED));
    assert.equal(edge.metrics.value("weir_debts_settled_total"), remembered);
  });

test("nginx: in an outage that lets everything pass, no model is asked that is dearer than the one that is charged", async () => {
  const price = (prompt: string, completion: string) => ({ prompt, completion });
  const edge = await LocalEdge.open({
    profile: "ngx_wasm",
    policy: {
      ledger,
      prices: { "gpt-4o": price("$2.50", "$10"), "gpt-4o-mini": price("$0.15", "$0.60") },
      tiers: {
        pro: {
          output: { max_tokens: 100 },
          budgets: [{ meter: "cost", limit: "$0.0004", window: "month" }],
          downgrade: { "gpt-4o": "gpt-4o-mini" },
          outage: "allow",
        },
      },
      keys: policy.keys,
    },
  });
  // The ledger denies, and for a moment it is remembered.
  assert.equal((await edge.send(call)).status, 402);
  edge.setLedgerUp(false);
  const asked: string[] = [];
  for (let i = 0; i < 3; i++) {
    const { status, upstream } = await edge.send(call);
    assert.equal(status, i === 0 ? 429 : 200);
    if (upstream) asked.push(JSON.parse(upstream.text).model);
  }
  assert.deepEqual(asked, ["gpt-4o-mini", "gpt-4o-mini"]);
  edge.setLedgerUp(true);
  assert.equal((await charged(edge)).spent, 2 * 3);
});

test("regression: nginx: what had to be sent again in an outage had to be for as long as it lasted, where it came after the second it was told", async () => {
  const redact = { prompt: { redact: { email: "redact" } } };
  const cost = (limit: string) => ({ budgets: [{ meter: "cost", limit, window: "month" }] });
  const outcomes = async (tier: object) => {
    const prices = { "gpt-4o": { prompt: "$1", completion: "$1" } };
    const tiers = { pro: { output: { max_tokens: 100 }, ...tier } };
    const edge = await LocalEdge.open({ profile: "ngx_wasm", policy: { ...policy, prices, tiers } });
    edge.setLedgerUp(false);
    const seen: string[] = [];
    for (let i = 0; i < 3; i++) {
      const { status, json } = await edge.send({ key: "k1", body: chat("Is it bob@example.com?") });
      seen.push(status === 200 ? "passed" : json.error.code);
      await edge.wait(1_000);
    }
    return seen;
  };
  const passes = ["budget_busy", "passed", "passed"];
  assert.deepEqual(await outcomes({ ...cost("$10"), outage: "allow", ...redact }), passes);
  assert.deepEqual(await outcomes({ ...cost("$10"), outage: { allowance: "50%" } }), passes);
  const refused = ["ledger_unavailable", "ledger_unavailable", "ledger_unavailable"];
  assert.deepEqual(await outcomes({ ...cost("$10"), outage: "deny", ...redact }), refused);
  assert.deepEqual(await outcomes({ ...cost("$0.0002"), outage: { allowance: "1%" } }), refused, "used up");
});

test("nginx: an answer that an outage let through without its bound costs what was delivered, where that is more than was reserved", async () => {
  const delivered = 200;
  const words = Array.from({ length: delivered }, () => ({
    choices: [{ index: 0, delta: { content: "tide " } }],
  }));
  const events = [...words.map((event) => JSON.stringify(event)), "[DONE]"];
  const answer = events.map((event) => Buffer.from(`data: ${event}\n\n`));
  for (const whole of [true, false]) {
    const cost = [{ meter: "cost", limit: "$10", window: "month" }];
    const tiers = { pro: { output: { max_tokens: 100 }, budgets: cost, outage: "allow" } };
    // A token costs a micro-dollar.
    const prices = { "gpt-4o": { prompt: "$1", completion: "$1" } };
    const edge = await LocalEdge.open({ profile: "ngx_wasm", policy: { ...policy, prices, tiers } });
    edge.setLedgerUp(false);
    const body = chat("Hello there", { max_tokens: 5_000, stream: true });
    const upstream = () => ({
      status: 200,
      headers: { "content-type": "text/event-stream" },
      body: whole ? answer : answer.slice(0, -1),
    });
    const { upstream: sent } = await edge.send({ ...call, body, upstream });
    assert.equal(JSON.parse(sent?.text ?? "").max_tokens, 5_000, "nginx takes no other body after a pause");
    edge.setLedgerUp(true);
    const { spent } = await charged(edge);
    assert.ok(spent >= delivered, `${spent} of ${delivered}`);
  }
});

for (const [what, debt] of [
  ["a report", 0],
  ["what an outage let through", USED],
] as const)
  test(`${what} that is under way when its policy is replaced is told again by the next`, async () => {
    const edge = await LocalEdge.open({ profile: "envoy", policy });
    const vm = edge.vms[0]!;
    edge.setLedgerUp(debt === 0);
    await pass(edge, 1);
    edge.setLedgerUp(true);
    const [first] = vm.roots;
    assert.equal(vm.addRoot({ configuration: JSON.stringify(policy) }).ok, true);
    edge.clock.move(6_000);
    vm.tick(first);
    assert.ok(vm.callouts.pending > 0);
    // Its root context is gone before the answer comes.
    vm.roots.splice(0, 1);
    vm.run(Phase.Delete, first!.id, vm.exports.proxy_on_delete, 0, 0, 0, 0);
    edge.answersLost = true;
    await vm.settled();
    edge.answersLost = false;
    assert.deepEqual(await charged(edge), { spent: USED, debt });
  });
