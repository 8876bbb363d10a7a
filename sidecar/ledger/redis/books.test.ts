/** What people read of a Redis ledger beside what proxies ask of it. Needs `redis-server`. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { acquire, budget } from "../testing.ts";
import type { Ledger } from "../types.ts";
import { openRedis } from "./store.ts";
import { hasRedis, startRedis, type TestRedis } from "./testing.ts";

/** More than commands may wait at once (connect.ts). */
const BUDGETS = 10_500;
const AT_ONCE = 500;

describe("the books of a Redis ledger", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, () => {
  let redis: TestRedis;
  let ledger: Ledger;

  before(async () => {
    redis = await startRedis({ durable: false });
    ledger = await openRedis({ urls: redis.urls, cluster: false });
  });
  after(async () => {
    await ledger.close();
    await redis.stop();
  });

  it("are read of an organisation with more budgets and leases than commands may wait, and proxies are answered meanwhile", async () => {
    const grant = (key: number) => ledger.acquire(acquire([budget(`acme/search/key-${key}`, 100)]));
    for (let i = 0; i < BUDGETS; i += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, (_, n) => grant(i + n)));
    const [budgets, leases] = await Promise.all([
      ledger.budgets("acme"),
      ledger.leases("acme"),
      ...Array.from({ length: AT_ONCE }, (_, n) => grant(n)),
    ]);
    assert.deepEqual([budgets.length, leases.length], [BUDGETS, BUDGETS]);
    assert.deepEqual(
      budgets.map(({ key }) => key),
      budgets.map(({ key }) => key).sort(),
    );
  });
});
