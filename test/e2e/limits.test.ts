/** How often a caller may call: exact over all workers and connections, and never more than what was allowed. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, keyEntry, type World, world } from "../support/e2e.ts";

const policy = {
  tiers: {
    minute: { requests: "10/min" },
    brisk: { requests: "60/min burst 10" },
    two: { requests: ["100/hour", "2/hour"] },
    open: {},
    anonymous: { requests: "5/hour" },
  },
  keys: [
    keyEntry("literal", "acme/limits/literal", "minute"),
    keyEntry("spread", "acme/limits/spread", "minute"),
    keyEntry("spread-batch", "acme/limits/spread", "minute", { lane: "batch" }),
    keyEntry("brisk", "acme/limits/brisk", "brisk"),
    keyEntry("two", "acme/limits/two", "two"),
    keyEntry("open", "acme/limits/open", "open"),
  ],
};

const statuses = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

/** `count` requests at once, which Node sends over as many connections. */
const burst = (count: number, send: () => Promise<Answer>) =>
  Promise.all(Array.from({ length: count }, send));

describe("limits", () => {
  let w: World;
  before(async () => {
    w = await world({ policy });
  });
  after(() => w?.close());

  it("refuses the 11th request of 10/min with 429, Retry-After and the rate headers of that limit", async () => {
    for (let i = 0; i < 10; i++) {
      const answer = await w.chat("literal", "hello");
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers.get("x-ratelimit-remaining-requests"), String(9 - i));
    }
    const arrived = w.llm.seen.length;
    const denied = await w.chat("literal", "hello");
    assert.deepEqual([denied.status, denied.code], [429, "rate_limit_exceeded"]);
    assert.equal(denied.json.error.type, "rate_limit_error");
    const wait = Number(denied.headers.get("retry-after"));
    assert.ok(wait >= 1 && wait <= 6, `one request of 10/min comes back within 6 s, not ${wait}`);
    assert.equal(denied.headers.get("x-ratelimit-limit-requests"), "10");
    assert.equal(denied.headers.get("x-ratelimit-remaining-requests"), "0");
    assert.match(denied.headers.get("ratelimit") ?? "", /r=0/);
    assert.match(denied.headers.get("ratelimit-policy") ?? "", /q=10;w=60/);
    assert.equal(w.llm.seen.length, arrived, "a refused request never reaches the upstream");
  });

  it("answers 200 again after the wait that it stated, however often it was asked meanwhile", async () => {
    const first = await burst(10, () => w.chat("brisk", "hello"));
    assert.equal(statuses(first, 200), 10);
    const denied = await w.chat("brisk", "hello");
    assert.equal(denied.status, 429, denied.text);
    const wait = Number(denied.headers.get("retry-after"));
    const end = performance.now() + wait * 1000;
    // A denial debits nothing: thirty more of them do not put the end off.
    const more = await burst(30, () => w.chat("brisk", "hello"));
    assert.ok(statuses(more, 429) >= 29, "at most one came back meanwhile");
    if (statuses(more, 200) === 0) {
      await sleep(Math.max(0, end - performance.now()));
      assert.equal((await w.chat("brisk", "hello")).status, 200);
    }
  });

  it("lets exactly 10 of 60 pass that come at once to two workers", async () => {
    const answers = await burst(60, () => w.chat("spread", "hello"));
    assert.equal(statuses(answers, 200), 10);
    assert.equal(statuses(answers, 429), 50);
    const stats = await (w.envoys[0] as (typeof w.envoys)[0]).admin(
      "/stats?filter=worker_._.*cx_active|worker_.*cx_total",
    );
    const busy = [...stats.matchAll(/worker_(\d+)\.downstream_cx_total: (\d+)/g)];
    assert.equal(busy.length, 2, stats);
    for (const [, worker, total] of busy) assert.ok(Number(total) > 0, `worker ${worker} took part`);
  });

  it("gives a lane buckets of its own", async () => {
    assert.equal((await w.chat("spread", "hello")).status, 429);
    assert.equal((await w.chat("spread-batch", "hello")).status, 200);
  });

  it("debits none of several limits when one of them denies", async () => {
    const answers = [];
    for (let i = 0; i < 40; i++) answers.push(await w.chat("two", "hello"));
    assert.deepEqual(answers.map(({ status }) => status).slice(0, 3), [200, 200, 429]);
    assert.equal(statuses(answers, 200), 2);
    for (const { headers } of answers.slice(2)) {
      assert.equal(headers.get("x-ratelimit-limit-requests"), "2", "the denying limit is named to the end");
    }
  });

  it("limits callers without a key by their address", async () => {
    const one = await burst(12, () => w.chat(undefined, "hello", { from: "127.0.0.7" }));
    assert.deepEqual([statuses(one, 200), statuses(one, 429)], [5, 7]);
    const other = await w.chat(undefined, "hello", { from: "127.0.0.8" });
    assert.equal(other.status, 200, "another address has a bucket of its own");
    const seen = w.llm.seen.at(-1);
    assert.equal(seen?.headers["x-weir-subject"], "anonymous/127.0.0.8");
    assert.equal(seen?.headers["x-weir-tier"], "anonymous");
  });

  it("never takes a wrong key for an anonymous caller, nor a forwarded address for a real one", async () => {
    assert.equal((await w.chat("wrong", "hello", { from: "127.0.0.9" })).code, "invalid_api_key");
    const headers = { "x-forwarded-for": "203.0.113.9" };
    const forged = await w.chat(undefined, "hello", { from: "127.0.0.7", headers });
    assert.equal(forged.status, 429, "no proxy in front is trusted");
  });
});

describe("limits behind a trusted proxy, with a shield", () => {
  let w: World;
  before(async () => {
    const shielded = { ...policy, shield: { requests: "20/hour" }, identity: { trusted_hops: 1 } };
    w = await world({ policy: shielded });
  });
  after(() => w?.close());

  // The proxy in front is not 127.0.0.1: for that one Envoy appends its own address to x-forwarded-for.
  const by = (key: string | undefined, address: string) =>
    w.chat(key, "hello", { headers: { "x-forwarded-for": address }, from: "127.0.0.7" });

  it("limits by the address that the trusted proxy appended", async () => {
    const answers = await burst(8, () => by(undefined, "198.51.100.1, 203.0.113.1"));
    assert.equal(statuses(answers, 200), 5);
    const forged = await by(undefined, "198.51.100.2, 203.0.113.1");
    assert.equal(forged.status, 429, "what stands before the trusted entry is the client's own word");
    assert.equal((await by(undefined, "203.0.113.2")).status, 200);
    assert.equal(w.llm.seen.at(-1)?.headers["x-weir-subject"], "anonymous/203.0.113.2");
  });

  it("shields one address whatever key it shows, and a subject's denial costs the address nothing", async () => {
    const denied = [];
    for (let i = 0; i < 12; i++) denied.push(await by("two", "203.0.113.3"));
    assert.equal(statuses(denied, 200), 2);
    assert.equal(statuses(denied, 429), 10);
    const answers = await burst(30, () => by("open", "203.0.113.3"));
    assert.equal(statuses(answers, 200), 18);
    const last = answers.find(({ status }) => status === 429) as Answer;
    assert.equal(last.code, "address_limit_exceeded");
    assert.ok(Number(last.headers.get("retry-after")) > 0);
    assert.equal((await by("open", "203.0.113.4")).status, 200);
  });
});
