/** The simulation as a test: a few hundred seeds, the broken ledgers, and the same histories on Redis. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { BROKEN } from "./broken.ts";
import { replayOnRedis } from "./replay.ts";
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
});
