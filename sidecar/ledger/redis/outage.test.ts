/** One client through the life of a Redis: scripts that it forgets, its death, its return. Needs `redis-server`. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { createClient } from "redis";
import { WeirError } from "../../errors.ts";
import { acquire, budget } from "../testing.ts";
import type { Ledger } from "../types.ts";
import { backoff } from "./connect.ts";
import { openRedis } from "./store.ts";
import { hasRedis, startRedis, type TestRedis } from "./testing.ts";

const BACK_MS = 10_000;

describe("the Redis ledger through an outage", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, () => {
  let redis: TestRedis;
  let ledger: Ledger;
  const ran: string[] = [];
  const errors: string[] = [];

  before(async () => {
    redis = await startRedis();
    ledger = await openRedis({
      urls: redis.urls,
      cluster: false,
      hooks: {
        onScript: (name, seconds, outcome) => {
          assert.ok(seconds >= 0);
          ran.push(`${name} ${outcome}`);
        },
        onConnectionError: (reason) => errors.push(reason),
      },
    });
  });
  after(async () => {
    await ledger.close();
    await redis.stop();
  });

  const grant = () => ledger.acquire(acquire([budget("org", 1_000)]));

  it("gives Redis a script again that it has forgotten (NOSCRIPT), once, and says so", async () => {
    await grant();
    const client = createClient({ url: redis.urls[0] ?? "" });
    await client.connect();
    await client.scriptFlush();
    client.destroy();
    ran.length = 0;
    await grant();
    await grant();
    assert.deepEqual(ran, ["acquire reloaded", "acquire ok"]);
    assert.equal((await ledger.budgets("org"))[0]?.outstanding, 3);
  });

  it("fails at once while Redis is away, and goes on by itself when it is back, with all it had", async () => {
    const back = redis.restart("SIGKILL");
    const failures: WeirError[] = [];
    let slowest = 0;
    const end = Date.now() + BACK_MS;
    for (;;) {
      const started = performance.now();
      try {
        await grant();
        if (failures.length > 0) break;
      } catch (thrown) {
        assert.ok(thrown instanceof WeirError && thrown.code === "unavailable");
        assert.equal(thrown.message, "the ledger's Redis does not answer");
        failures.push(thrown);
        slowest = Math.max(slowest, performance.now() - started);
      }
      assert.ok(Date.now() < end, "it does not come back");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await back;
    assert.ok(slowest < 2_500, `an answer took ${slowest} ms`);
    assert.ok(errors.length > 0);
    assert.ok(await ledger.ready());
    assert.ok(((await ledger.budgets("org"))[0]?.outstanding ?? 0) >= 4);
  });

  it("tells a crossing once, whichever of several sidecars hears of it, and however often", async () => {
    const other = await openRedis({ urls: redis.urls, cluster: false });
    try {
      const leases = Array.from({ length: 20 }, () => acquire([budget("notices", 100, { need: 5 })]));
      await Promise.all(leases.map((lease) => ledger.acquire(lease)));
      const replies = await Promise.all(
        leases.flatMap(({ leaseId, subject }) =>
          [ledger, other, ledger, other].map((sidecar) =>
            sidecar.settle({ kind: "settle", leaseId, subject, sequence: 1, spent: [5], final: true }),
          ),
        ),
      );
      const told = replies.flatMap(({ notices }) => notices.map(({ percent }) => percent));
      assert.deepEqual(told.sort(), [100, 80]);
    } finally {
      await other.close();
    }
  });

  it("waits longer with every try, never past 2 s, and never in step with others", () => {
    const waits = (retries: number): number[] => Array.from({ length: 50 }, () => backoff(retries));
    for (const [retries, ceiling] of [
      [0, 50],
      [1, 100],
      [4, 800],
      [6, 2_000],
      [1_000, 2_000],
    ] as const) {
      const seen = waits(retries);
      assert.ok(seen.every((wait) => wait >= ceiling / 2 && wait <= ceiling));
      assert.ok(new Set(seen).size > 1);
    }
  });
});
