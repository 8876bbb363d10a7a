/** A sidecar whose clock is not Redis': it learns the difference, however many commands learn it at once, and no window is a millisecond off. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { acquire, budget } from "../testing.ts";
import type { RedisCommands, ScriptCall } from "./connect.ts";
import { loadScripts } from "./scripts.ts";
import { openRedis, RedisLedger } from "./store.ts";
import { hasRedis, startRedis } from "./testing.ts";
import { withTimedRedis } from "./testing-time.ts";

const FAR_MS = 40 * 86_400_000;
const AHEAD_MS = 3 * 3_600_000 + 1_234;

it("commands that find the sidecar's clock wrong together set it right, also when Redis' clock goes back", async () => {
  let stale = 0;
  let ahead = AHEAD_MS;
  const evalSha = async (_sha: string, call: ScriptCall): Promise<unknown> => {
    const window = call.arguments[6] as Buffer;
    const now = Date.now() + ahead;
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (window.readBigInt64BE(0) <= now && now < window.readBigInt64BE(8))
      return ["granted", 1, -1, 0, 0, 1, 0];
    stale++;
    return ["stale", now];
  };
  const client = { evalSha, sAdd: async () => 1 } as unknown as RedisCommands;
  const ledger = new RedisLedger(client, loadScripts());
  const ask = () => ledger.acquire(acquire([budget("org", 1_000, { window: "hour" })]));
  for (const difference of [AHEAD_MS, 0, -AHEAD_MS]) {
    ahead = difference;
    stale = 0;
    const replies = await Promise.all(Array.from({ length: 20 }, ask));
    assert.ok(replies.every(({ outcome }) => outcome === "granted"));
    assert.equal(stale, 20);
    await ask();
    assert.equal(stale, 20);
  }
});

it("what Redis keeps is shown by a process whose clock is far ahead, which has asked for no lease", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, async (t) => {
  const redis = await startRedis({ durable: false });
  const open = () => openRedis({ urls: redis.urls, cluster: false });
  try {
    const first = await open();
    await first.acquire(acquire([budget("org", 100, { window: "hour", need: 90 })], { leaseId: "a" }));
    const report = { leaseId: "a", subject: "org", sequence: 1, spent: [90], final: true };
    await first.settle({ kind: "settle", ...report });
    await first.close();
    const { now } = Date;
    t.mock.method(Date, "now", () => now() + FAR_MS);
    const second = await open();
    const [budgets, untold] = [await second.budgets("org"), await second.untold("org")];
    await second.close();
    assert.deepEqual([budgets.map(({ spent }) => spent), untold.length], [[90], 1]);
  } finally {
    await redis.stop();
  }
});

it("begins a window on Redis with its first millisecond and ends it with its last, whatever a sidecar takes the time for", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, async () => {
  const hour = Date.UTC(2035, 0, 1, 1);
  const windows = await withTimedRedis(async (open) => {
    const ledger = open();
    const windowAt = async (org: string, time: number, off: number) => {
      Object.assign(ledger, { time, off });
      await ledger.acquire(acquire([budget(org, 100, { window: "hour" })]));
      ledger.time = time;
      return Number((await ledger.budgets(org))[0]?.key.split("|").at(-1)) - hour;
    };
    return [
      await windowAt("last", hour - 1, 1),
      await windowAt("first", hour, -1),
      await windowAt("early", hour, 1),
      await windowAt("right", hour, 0),
    ];
  });
  assert.deepEqual(windows, [-3_600_000, 0, 0, 0]);
});
