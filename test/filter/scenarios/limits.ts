// Local limits: GCRA in shared data, bursts and refills, the shield, and the headers that tell of them.
import assert from "node:assert/strict";
import { chat, keyEntry } from "../../support/filter.ts";
import { passed, refused, type Scenario, statuses } from "../../support/filter-scenario.ts";

const body = chat("Hello there");
const limited = (requests: unknown, more: object = {}) => ({
  tiers: { pro: { requests, ...more } },
  keys: [
    keyEntry("k1", "pro"),
    keyEntry("k2", "pro"),
    keyEntry("k3", "pro", { lane: "batch", subject: "acme/search/k1" }),
  ],
});
const times = (n: number, status: number) => Array.from({ length: n }, () => status);

export const limits: Scenario[] = [
  {
    name: "the eleventh request of 10/min is 429 and names the limit; after the stated wait it is 200",
    clock: true,
    policy: limited("10/min"),
    async run(edge) {
      const first = await edge.send({ key: "k1", body });
      passed(first);
      assert.equal(first.header("ratelimit-policy"), '"requests";q=10;w=60');
      assert.equal(first.header("ratelimit"), '"requests";r=9;t=6');
      assert.equal(first.header("x-ratelimit-limit-requests"), "10");
      assert.equal(first.header("x-ratelimit-remaining-requests"), "9");
      assert.equal(first.header("x-ratelimit-reset-requests"), "6s");
      assert.deepEqual(await statuses(edge, 9, { key: "k1", body }), times(9, 200));
      await edge.wait(1_500);
      const denied = await edge.send({ key: "k1", body });
      refused(edge, denied, "rate_limit_exceeded");
      assert.equal(denied.header("retry-after"), "5");
      assert.equal(denied.header("ratelimit"), '"requests";r=0;t=5');
      assert.equal(denied.header("x-ratelimit-reset-requests"), "4.500s");
      passed(await edge.send({ key: "k2", body }));
      await edge.wait(4_499);
      refused(edge, await edge.send({ key: "k1", body }), "rate_limit_exceeded");
      await edge.wait(1);
      passed(await edge.send({ key: "k1", body }));
    },
  },
  {
    name: "the eleventh request of 10/min is 429 with the time to wait",
    policy: limited("10/min"),
    async run(edge) {
      assert.deepEqual(await statuses(edge, 10, { key: "k1", body }), times(10, 200));
      refused(edge, await edge.send({ key: "k1", body }), "rate_limit_exceeded");
      passed(await edge.send({ key: "k2", body }));
    },
  },
  ...(
    [
      ["may wait a minute", "1/min", undefined],
      ["are told not to sleep an hour", "1/hour", "false"],
    ] as const
  ).map(
    ([what, requests, shouldRetry]): Scenario => ({
      name: `clients that retry by themselves ${what}`,
      policy: limited(requests),
      async run(edge) {
        passed(await edge.send({ key: "k1", body }));
        const answer = await edge.send({ key: "k1", body });
        refused(edge, answer, "rate_limit_exceeded");
        assert.equal(Number(answer.header("retry-after")) > 60, shouldRetry === "false");
        assert.equal(answer.header("x-should-retry"), shouldRetry);
      },
    }),
  ),
  {
    name: "a burst comes back at the rate, never beyond itself",
    clock: true,
    policy: limited("60/min burst 5"),
    async run(edge) {
      assert.deepEqual(await statuses(edge, 6, { key: "k1", body }), [...times(5, 200), 429]);
      await edge.wait(2_000);
      assert.deepEqual(await statuses(edge, 3, { key: "k1", body }), [200, 200, 429]);
      await edge.wait(3_600_000);
      assert.deepEqual(await statuses(edge, 6, { key: "k1", body }), [...times(5, 200), 429]);
    },
  },
  {
    name: "of several limits the one that denies is named, and a denial debits none",
    clock: true,
    policy: limited(["5/s", "8/min"]),
    async run(edge) {
      assert.deepEqual(await statuses(edge, 5, { key: "k1", body }), times(5, 200));
      for (let i = 0; i < 20; i++) {
        const denied = await edge.send({ key: "k1", body });
        refused(edge, denied, "rate_limit_exceeded");
        assert.equal(denied.header("ratelimit-policy"), '"requests";q=5;w=1');
      }
      await edge.wait(1_000);
      // 8 of the minute's limit, less the 5 that were admitted: the 20 denials cost nothing.
      assert.deepEqual(await statuses(edge, 3, { key: "k1", body }), times(3, 200));
      const denied = await edge.send({ key: "k1", body });
      assert.equal(denied.header("ratelimit-policy"), '"requests";q=8;w=60');
    },
  },
  {
    name: "of several limits that deny, the one with the longest wait is told: after it a request passes, and not before",
    clock: true,
    policy: limited(["2/s", "2/min", "2/h burst 4"]),
    async run(edge) {
      assert.deepEqual(await statuses(edge, 2, { key: "k1", body }), times(2, 200));
      const denied = await edge.send({ key: "k1", body });
      refused(edge, denied, "rate_limit_exceeded");
      assert.equal(denied.header("ratelimit-policy"), '"requests";q=2;w=60');
      assert.equal(denied.header("retry-after"), "30");
      assert.match(
        denied.json.error.message,
        /^Rate limit reached: 2 requests per 60 s for .* Try again in 30 s\.$/,
      );
      await edge.wait(29_999);
      refused(edge, await edge.send({ key: "k1", body }), "rate_limit_exceeded");
      await edge.wait(1);
      passed(await edge.send({ key: "k1", body }));
    },
  },
  {
    name: "two workers share one bucket",
    workers: 2,
    except: { "kong-plugin": "one plugin server serves all nginx workers" },
    policy: limited("10/min"),
    async run(edge) {
      const all: number[] = [];
      for (let i = 0; i < 14; i++) all.push((await edge.send({ key: "k1", worker: i % 2, body })).status);
      assert.deepEqual(all, [...times(10, 200), ...times(4, 429)]);
    },
  },
  {
    name: "lanes have buckets of their own",
    policy: limited("2/min"),
    async run(edge) {
      assert.deepEqual(await statuses(edge, 3, { key: "k1", body }), [200, 200, 429]);
      assert.deepEqual(await statuses(edge, 3, { key: "k3", body }), [200, 200, 429]);
    },
  },
  {
    name: "the shield limits an address before anyone asks for its key",
    policy: { ...limited("100/s"), shield: { requests: "3/min" } },
    async run(edge) {
      refused(edge, await edge.send({ key: "wrong", from: "198.51.100.1", body }), "invalid_api_key");
      refused(edge, await edge.send({ key: "wrong", from: "198.51.100.1", body }), "invalid_api_key");
      passed(await edge.send({ key: "k1", from: "198.51.100.1", body }));
      const denied = await edge.send({ key: "k1", from: "198.51.100.1", body });
      refused(edge, denied, "address_limit_exceeded");
      passed(await edge.send({ key: "k1", from: "198.51.100.2", body }));
    },
  },
  {
    name: "a subject's denial gives the shield's request back",
    policy: { ...limited("1/min"), shield: { requests: "3/min" } },
    async run(edge) {
      passed(await edge.send({ key: "k1", body }));
      for (let i = 0; i < 5; i++) refused(edge, await edge.send({ key: "k1", body }), "rate_limit_exceeded");
      passed(await edge.send({ key: "k2", body }));
    },
  },
];
