/**
 * The third tier: real processes, killed with SIGKILL at random moments under load. Whatever the ledger answered before a
 * kill must hold after it, and in the end every budget must hold exactly what the edges spent: nothing lost, nothing
 * charged twice. That is what DURABILITY.md promises for these settings (embedded; Redis with AOF always).
 *
 * Bounds: RUN_MS of killing per store, DRAIN_MS to finish; both stores in under a minute.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { remoteBooks } from "../../sidecar/ledger/admin.ts";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { describeKey } from "../../sidecar/ledger/types.ts";
import { Random } from "../sim/random.ts";
import { type Counts, KillEdge, LIMITS } from "./edge.ts";
import { ADMIN_TOKEN, type Processes, startProcesses } from "./processes.ts";

const EDGES = 32;
const RUN_MS = 10_000;
const DRAIN_MS = 10_000;
const BETWEEN_KILLS_MS = [100, 900] as const;
const SWEPT_MS = 15_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Kills one of them after the other until `until`; returns how often. */
async function killAround(processes: Processes, random: Random, until: number): Promise<number> {
  let kills = 0;
  while (performance.now() < until) {
    await pause(random.between(...BETWEEN_KILLS_MS));
    await processes.kill(random.pick(processes.names));
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

/** The books when no lease is open any more: those of dead edges die of age. */
async function settledBooks(port: number) {
  const books = remoteBooks(`http://127.0.0.1:${port}`, ADMIN_TOKEN);
  for (const end = performance.now() + SWEPT_MS; performance.now() < end; await pause(250))
    if ((await books.leases("org")).length === 0) return books.budgets("org");
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
        const until = performance.now() + RUN_MS;
        const edges = Array.from(
          { length: EDGES },
          (_, i) => new KillEdge(`edge-${i}`, processes.port, new Random(seed + i + 1)),
        );
        const [kills] = await Promise.all([
          killAround(processes, random, until),
          ...edges.map((edge) => edge.run(until, until + DRAIN_MS)),
        ]);
        const records = await settledBooks(processes.port);
        const { charged, counts } = sumOf(edges);
        context.diagnostic(`seed ${seed}: ${kills} kills, ${JSON.stringify(counts)}`);
        assert.ok(kills >= 3 && counts.granted > 100, "too little happened to show anything");
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
