// What a worker takes out of a lease beforehand (assembly/budget/purse.ts): that it spares shared data its rounds, and that
// the bill stays right whatever workers do with it: under both profiles, with several workers on one budget.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { UpstreamRequest } from "../../host/exchange.ts";
import { SharedData } from "../../host/shared-data.ts";
import { chat, keyEntry, LocalEdge, llm, replacePolicy } from "../support/filter.ts";
import { random } from "../support/random.ts";

const OUTPUT = 40;
const IDLE_MS = 12_000;
/** A lease's life at the ledger, and some more. */
const LEASE_MS = 90_000;
const policyOf = (limit: number) => ({
  tiers: {
    pro: {
      output: { max_tokens: OUTPUT },
      budgets: [{ meter: "completion_tokens", limit, window: "month" }],
    },
  },
  keys: [keyEntry("k1", "pro")],
});
const call = (used: number, more: object = {}) => ({
  key: "k1",
  body: chat("Hello there", { max_tokens: OUTPUT }),
  headers: [["x-mock-completion-tokens", String(used)]] as [string, string][],
  ...more,
});

/** Requests until the slice has grown. */
const WARM = 1_000;
const USED = 7;

async function send(edge: LocalEdge, times: number): Promise<void> {
  for (let i = 0; i < times; i++) assert.equal((await edge.send(call(USED))).status, 200);
}

/** A slice that is used up quickly doubles. */
async function sendUntilAmple(edge: LocalEdge): Promise<void> {
  for (let i = 0; i < 10; i++) {
    await send(edge, WARM / 10);
    await edge.wait(1_100);
  }
}

/** Writes of shared data while `work` runs. */
async function writes(work: () => Promise<void>): Promise<number> {
  const { set } = SharedData.prototype;
  let count = 0;
  SharedData.prototype.set = function (...args) {
    count++;
    return set.apply(this, args);
  };
  try {
    await work();
  } finally {
    SharedData.prototype.set = set;
  }
  return count;
}

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    test("of requests from an ample lease most write no shared data", async () => {
      const edge = await LocalEdge.open({ profile, policy: policyOf(10_000_000) });
      await sendUntilAmple(edge);
      const made = await writes(() => send(edge, 300));
      assert.ok(made <= 30, String(made));
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: (WARM + 300) * USED, outstanding: 0 });
    });

    test("random requests of three workers, some used above their bound, are charged exactly", async () => {
      for (let seed = 1; seed <= 6; seed++) {
        const edge = await LocalEdge.open({ profile, policy: policyOf(50_000_000), workers: 3 });
        const next = random(seed);
        let expected = 0;
        for (let round = 0; round < 25; round++) {
          const sent = Array.from({ length: 1 + next(40) }, () => {
            const used = next(10) === 0 ? OUTPUT + next(100) : next(OUTPUT);
            expected += used;
            return edge.send(call(used, { worker: next(3) }));
          });
          for (const answer of await Promise.all(sent)) assert.equal(answer.status, 200);
          if (next(3) > 0) await edge.wait(next(1_500));
        }
        await edge.wait(IDLE_MS);
        const { spent, outstanding } = await edge.budget("acme");
        assert.deepEqual({ seed, spent, outstanding }, { seed, spent: expected, outstanding: 0 });
        assert.equal(edge.metrics.value("weir_unsettled_total"), 0);
      }
    });

    test("a budget that three workers use up is never exceeded, and is used to the last request", async () => {
      const limit = 60_000;
      const edge = await LocalEdge.open({ profile, policy: policyOf(limit), workers: 3 });
      const next = random(7);
      let admitted = 0;
      for (let refused = 0; refused < 30; ) {
        const answers = await Promise.all(
          Array.from({ length: 12 }, (_, i) => edge.send(call(OUTPUT, { worker: i % 3 }))),
        );
        for (const { status } of answers) {
          if (status === 200) admitted += OUTPUT;
          else {
            assert.ok(status === 402 || status === 429, String(status));
            refused++;
          }
        }
        assert.ok(admitted <= limit, `${admitted} of ${limit}`);
        await edge.wait(refused > 0 ? 4_000 : next(200));
      }
      assert.ok(admitted > limit - OUTPUT, `${admitted} of ${limit}`);
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: admitted, outstanding: 0 });
    });

    test("regression: what a dead worker had of another's lease comes back when that has not changed for an hour", async () => {
      const edge = await LocalEdge.open({ profile, policy: policyOf(10_000_000), workers: 2 });
      await sendUntilAmple(edge);
      assert.equal((await edge.send(call(USED, { worker: 1 }))).status, 200);
      edge.vms[1]!.reload();
      await edge.wait(IDLE_MS);
      assert.ok((await edge.budget("acme")).outstanding > 0, "the dead worker had a part");
      await edge.wait(3_600_000 + LEASE_MS);
      await edge.ledger.sweep("acme");
      // What was not told of it is charged like all that a dead lease leaves: whole, as long as the policy says nothing else.
      const { spent, outstanding } = await edge.budget("acme");
      assert.equal(outstanding, 0);
      assert.ok(spent >= (WARM + 1) * USED, String(spent));
    });

    test("a policy that ends has told what was spent under it, and what is in flight settles after it", async () => {
      const edge = await LocalEdge.open({ profile, policy: policyOf(10_000_000) });
      await sendUntilAmple(edge);
      await send(edge, 50);
      const vm = edge.vms[0]!;
      const [first] = vm.roots;
      const answers = Array.from({ length: 10 }, () =>
        edge.send(
          call(USED, {
            upstream: (request: UpstreamRequest) => {
              // The first of them to go upstream sees the policy end.
              if (vm.roots[0] === first) replacePolicy(vm);
              return llm(request);
            },
          }),
        ),
      );
      for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: (WARM + 50 + 10) * USED, outstanding: 0 });
    });
  });
}

test("what was taken beforehand of many leases, of which some have one place, is charged to each as it was spent", async () => {
  const keys = Array.from({ length: 150 }, (_, i) => `key-${i}`);
  const edge = await LocalEdge.open({
    profile: "envoy",
    policy: {
      ...policyOf(1_000_000),
      keys: keys.map((key) => keyEntry(key, "pro", { subject: `acme/search/${key}` })),
    },
  });
  const next = random(1);
  const expected = new Map<string, number>();
  for (let i = 0; i < 1_500; i++) {
    const key = keys[next(keys.length)] ?? "";
    const used = next(OUTPUT);
    assert.equal((await edge.send(call(used, { key }))).status, 200);
    expected.set(`acme/search/${key}`, (expected.get(`acme/search/${key}`) ?? 0) + used);
    if (i % 100 === 0) await edge.wait(1_100);
  }
  await edge.wait(IDLE_MS);
  const budgets = await edge.ledger.budgets("acme");
  assert.deepEqual(
    new Map(budgets.map(({ key, spent }) => [key.slice(0, key.indexOf("|")), spent])),
    expected,
  );
});

test("a lease goes on as long as it is used, and back when it was not for three seconds", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf(10_000_000) });
  await sendUntilAmple(edge);
  const before = edge.callouts.filter((path) => path.endsWith("/Acquire")).length;
  for (let i = 0; i < 20; i++) {
    await send(edge, 1);
    await edge.wait(2_000);
  }
  assert.equal(edge.callouts.filter((path) => path.endsWith("/Acquire")).length, before);
  assert.ok((await edge.budget("acme")).outstanding > 0);
  await edge.wait(6_000);
  assert.equal((await edge.budget("acme")).outstanding, 0);
});

test("of several budgets none is exceeded, whichever place it has, and all are used together", async () => {
  const ample = { name: "calls", meter: "requests", limit: 1_000_000, window: "month" };
  const tight = { name: "answers", meter: "completion_tokens", limit: 6_000, window: "month" };
  for (const budgets of [
    [ample, tight],
    [tight, ample],
  ]) {
    const { tiers, keys } = policyOf(0);
    const policy = { tiers: { pro: { ...tiers.pro, budgets } }, keys };
    const edge = await LocalEdge.open({ profile: "envoy", policy });
    let admitted = 0;
    for (let refused = 0; refused < 3; ) {
      if ((await edge.send(call(OUTPUT))).status === 200) admitted++;
      else refused++;
    }
    assert.equal(admitted, tight.limit / OUTPUT);
    await edge.wait(IDLE_MS);
    const spent = (await edge.ledger.budgets("acme")).map((budget) => budget.spent);
    assert.deepEqual(new Set(spent), new Set([admitted, admitted * OUTPUT]));
  }
});

test("in steady traffic the next lease is there before the last is used up: no request waits for it", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf(10_000_000) });
  await sendUntilAmple(edge);
  const asked = () => edge.callouts.filter((path) => path.endsWith("/Acquire")).length;
  const before = asked();
  for (let second = 0; second < 100; second++) {
    const ahead = asked();
    await send(edge, 20);
    assert.equal(asked(), ahead, `in second ${second}`);
    await edge.wait(1_000);
  }
  assert.ok(asked() > before, "no lease was used up");
});

// nginx asks for a lease before it knows the request: its slices are large from the start.
test("after a pause in which the lease went back, one slice serves a burst that took several before", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: policyOf(10_000_000) });
  const asked = async (work: () => Promise<void>) => {
    const before = edge.callouts.length;
    await work();
    return edge.callouts.slice(before).filter((path) => path.endsWith("/Acquire")).length;
  };
  const first = await asked(() => send(edge, 200));
  assert.ok(first >= 3, String(first));
  await edge.wait(IDLE_MS);
  assert.equal((await edge.budget("acme")).outstanding, 0);
  assert.equal(await asked(() => send(edge, 80)), 1);
  // Every pause halves it.
  for (let pause = 0; pause < 8; pause++) {
    await edge.wait(IDLE_MS);
    await send(edge, 1);
  }
  const { outstanding } = await edge.budget("acme");
  assert.ok(outstanding <= 4 * OUTPUT, String(outstanding));
});
