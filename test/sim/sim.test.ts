/** The simulation as a test: a few hundred seeds, the broken ledgers, and the same histories on Redis. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { acquire, budget } from "../../sidecar/ledger/testing.ts";
import { BROKEN } from "./broken.ts";
import { replayOnRedis, withTimedRedis } from "./replay.ts";
import { World } from "./world.ts";

const SEEDS = 100;
const CANARY_SEEDS = 40;
const REDIS_SEEDS = 30;

describe("the simulated ledger", () => {
  it(`keeps every rule over ${SEEDS} histories`, () => {
    for (let seed = 1; seed <= SEEDS; seed++)
      try {
        new World({ seed }).run();
      } catch (error) {
        throw new Error(`seed ${seed}: npx tsx test/sim/run.ts --seeds 1 --from ${seed}`, { cause: error });
      }
  });

  it("gives the same history for the same seed", () => {
    const [a, b] = [new World({ seed: 7 }), new World({ seed: 7 })];
    a.run();
    b.run();
    assert.deepEqual(a.history, b.history);
  });

  for (const [name, apply] of Object.entries(BROKEN))
    it(`catches a ledger in which ${name}`, () => {
      const caught = Array.from({ length: CANARY_SEEDS }, (_, i) => i + 1).some((seed) => {
        try {
          new World({ seed, apply }).run();
          return false;
        } catch {
          return true;
        }
      });
      assert.ok(caught, `not caught in ${CANARY_SEEDS} seeds`);
    });

  it(`answers on Redis as in memory, over ${REDIS_SEEDS} histories`, {
    skip: hasRedis() ? false : "redis-server is not installed",
  }, async () => {
    assert.ok((await replayOnRedis(1, REDIS_SEEDS)) > REDIS_SEEDS * 50);
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
});
