/**
 * The third tier: real processes, killed with SIGKILL at random moments under load. Whatever the ledger answered before a
 * kill must hold after it, and in the end every budget must hold exactly what the edges spent: nothing lost, nothing
 * charged twice. That is what DURABILITY.md promises for these settings (embedded; Redis with AOF always).
 *
 * Bounds: KILLS per store, or RUN_MS_MAX of them on a slow machine, then DRAIN_MS_MAX to finish; under a minute in all.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WeirError } from "../../sidecar/errors.ts";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { remoteBooks } from "../../sidecar/ledger/remote-books.ts";
import { describeKey } from "../../sidecar/ledger/types.ts";
import { QUIET_ROUNDS } from "../../sidecar/sweeper.ts";
import { Random } from "../sim/random.ts";
import { type Counts, KillEdge, LIMITS, TTL_MS } from "./edge.ts";
import { ADMIN_TOKEN, type Processes, SWEEP_MS, startProcesses } from "./processes.ts";

const EDGES = 32;
const KILLS = 6;
const ANSWERS_BETWEEN = 20;
const MORE_MS_MAX = 400;
const RUN_MS_MAX = 12_000;
const DRAIN_MS_MAX = 8_000;
/** The last lease dies, its organisation may have been passed over just before, and the sidecar finds its Redis again. */
const SWEPT_MS_MAX = TTL_MS + QUIET_ROUNDS * SWEEP_MS + 5_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Kills one after the other, each time at a random moment of work that is really going on; returns how often. */
async function killAround(
  processes: Processes,
  random: Random,
  edges: KillEdge[],
  until: number,
): Promise<number> {
  const answered = (): number => edges.reduce((sum, { counts }) => sum + counts.granted + counts.denied, 0);
  let kills = 0;
  while (kills < KILLS && performance.now() < until) {
    const before = answered();
    while (answered() < before + ANSWERS_BETWEEN && performance.now() < until) await pause(5);
    await pause(random.between(0, MORE_MS_MAX));
    // In turn, so that each is killed; which of their states is hit is chance.
    await processes.kill(processes.names[kills % processes.names.length] ?? "");
    kills++;
  }
  return kills;
}

function sumOf(edges: KillEdge[]): { charged: Map<string, number>; counts: Counts } {
  const charged = new Map<string, number>();
  const counts: Counts = { granted: 0, denied: 0, repeated: 0, reports: 0, abandoned: 0 };
  for (const edge of edges) {
    for (const [path, amount] of edge.charged) charged.set(path, (charged.get(path) ?? 0) + amount);
    for (const name of Object.keys(counts) as (keyof Counts)[]) counts[name] += edge.counts[name];
  }
  return { charged, counts };
}

/** The books when no lease is open any more: those of dead edges die of age. Just after a kill of Redis the sidecar is
 *  still reconnecting and answers `unavailable`: it is asked again. */
async function settledBooks(port: number) {
  const books = remoteBooks(`http://127.0.0.1:${port}`, ADMIN_TOKEN);
  for (const end = performance.now() + SWEPT_MS_MAX; performance.now() < end; await pause(250)) {
    try {
      if ((await books.book("org")).leases.length === 0) return await books.budgets("org");
    } catch (thrown) {
      if (!["unavailable", "refused"].includes(WeirError.from(thrown).code)) throw thrown;
    }
  }
  throw new Error("leases stay open");
}

describe("the ledger under kill -9", () => {
  for (const store of ["embedded", "redis"] as const)
    it(`loses nothing and charges nothing twice, ${store}`, {
      skip: store === "embedded" || hasRedis() ? false : "redis-server is not installed",
    }, async (context) => {
      const seed = Date.now() % 1_000_000;
      const random = new Random(seed);
      const processes = await startProcesses(store);
      try {
        const until = performance.now() + RUN_MS_MAX;
        const edges = Array.from(
          { length: EDGES },
          (_, i) => new KillEdge(`edge-${i}`, processes.port, new Random(seed + i + 1)),
        );
        let over = false;
        const work = Promise.all(edges.map((edge) => edge.run(() => over, until + DRAIN_MS_MAX)));
        const killing = killAround(processes, random, edges, until).finally(() => {
          over = true;
        });
        const [kills] = await Promise.all([killing, work]);
        const records = await settledBooks(processes.port);
        const { charged, counts } = sumOf(edges);
        context.diagnostic(`seed ${seed}: ${kills} kills, ${JSON.stringify(counts)}`);
        assert.ok(kills >= 2 && counts.granted > 40, "too little happened to show anything");
        const held = new Map(records.map(({ key, spent }) => [describeKey(key).subject, spent]));
        assert.deepEqual([...held].sort(), [...charged].sort(), "charged is not what was spent");
        for (const { key, spent, outstanding, debt, limitMax } of records)
          assert.ok(outstanding === 0 && debt === 0 && spent <= limitMax, `${key}: ${spent} of ${limitMax}`);
        assert.ok((held.get("org") ?? 0) <= LIMITS.all);
      } finally {
        await processes.stop();
      }
    });
});
