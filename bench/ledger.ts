/**
 * `npx tsx bench/ledger.ts [--seconds N]`: Acquire per second at the store, for each store, and by RPC, with one budget
 * hierarchy (key, team, organisation) and a grant each time, 200 in flight.
 *
 * Redis and the measuring process share what cores there are; run it under `taskset -c 0` for the figure of one core,
 * which then covers client and Redis together. CPU is this process's own, so for Redis it is what a sidecar spends.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Ledger as LedgerService, Meter, Window } from "../sidecar/gen/weir/v1/ledger_pb.ts";
import { openEmbedded } from "../sidecar/ledger/embedded.ts";
import { LocalLedger } from "../sidecar/ledger/local.ts";
import { openRedis } from "../sidecar/ledger/redis/store.ts";
import { hasRedis, startRedis } from "../sidecar/ledger/redis/testing.ts";
import { acquire, budget } from "../sidecar/ledger/suite.ts";
import type { Ledger } from "../sidecar/ledger/types.ts";
import { startSidecar } from "../sidecar/server.ts";
import { makeSettings } from "../sidecar/settings.ts";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "3" } } });
const SECONDS = Number(values.seconds);
const IN_FLIGHT = 200;
const ORGANISATIONS = 16;
const LIMIT = 1e15;

type Once = (organisation: string) => Promise<boolean>;

function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

async function measure(name: string, once: Once): Promise<void> {
  const latencies: number[] = [];
  const warmUntil = performance.now() + 500;
  const end = warmUntil + SECONDS * 1_000;
  let cpu = process.cpuUsage();
  let started = 0;
  const worker = async (index: number): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      if (!(await once(`org-${index % ORGANISATIONS}`))) throw new Error("denied");
      const then = performance.now();
      if (now >= warmUntil) {
        if (started === 0) {
          started = now;
          cpu = process.cpuUsage();
        }
        latencies.push(then - now);
      }
      now = then;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, i) => worker(i)));
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = Float64Array.from(latencies).sort();
  const columns = [
    name.padEnd(34),
    `${Math.round(sorted.length / seconds)}/s`.padStart(9),
    `p50 ${quantile(sorted, 0.5).toFixed(1)} ms`.padStart(14),
    `p99 ${quantile(sorted, 0.99).toFixed(1)} ms`.padStart(15),
    `${((user + system) / sorted.length).toFixed(0)} µs CPU each`.padStart(18),
  ];
  console.log(columns.join(" "));
}

function onStore(ledger: Ledger): Once {
  return async (organisation) => {
    const budgets = ["/team/key", "/team", ""].map((path) => budget(organisation + path, LIMIT));
    const reply = await ledger.acquire(acquire(budgets, { subject: `${organisation}/team/key` }));
    return reply.outcome === "granted";
  };
}

async function overRpc(redisUrl: string): Promise<void> {
  const ledger = { kind: "redis", urls: [redisUrl], cluster: false } as const;
  const sidecar = await startSidecar(makeSettings({ port: 0, ledger }));
  const baseUrl = `http://127.0.0.1:${sidecar.port}`;
  const client = createClient(LedgerService, createGrpcTransport({ baseUrl }));
  await measure("Redis, gRPC, client included", async (organisation) => {
    const reply = await client.acquire({
      leaseId: randomUUID(),
      edge: "edge-1",
      subject: `${organisation}/team/key`,
      ttlMs: 60_000,
      budgets: ["/team/key", "/team", ""].map((path) => ({
        name: "monthly",
        subject: organisation + path,
        meter: Meter.TOKENS,
        limit: BigInt(LIMIT),
        window: Window.MONTH,
        need: 1n,
        want: 1n,
      })),
    });
    return reply.granted.length === 3;
  });
  await sidecar.close();
}

console.log(`Acquire with three budgets, ${IN_FLIGHT} in flight, ${SECONDS} s each`);
await measure("pure machine in memory", onStore(new LocalLedger()));

const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
const embedded = openEmbedded({ directory });
await measure("embedded (LMDB, synced)", onStore(embedded));
await embedded.close();
rmSync(directory, { recursive: true, force: true });

if (hasRedis()) {
  for (const durable of [true, false]) {
    const redis = await startRedis({ durable });
    const ledger = await openRedis({ urls: redis.urls, cluster: false });
    await measure(`Redis, appendfsync ${durable ? "always" : "no"}`, onStore(ledger));
    await ledger.close();
    if (durable) await overRpc(redis.urls[0] ?? "");
    await redis.stop();
  }
} else {
  console.log("redis-server is not installed: no figures for Redis");
}
