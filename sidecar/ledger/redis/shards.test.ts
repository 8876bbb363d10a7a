/**
 * A sidecar on a real Redis Cluster without replicas, of which one node is away: the organisations of the others are served
 * as if nothing was, also by a sidecar that starts meanwhile, and everybody is told. Needs `redis-server`.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { examineSidecar } from "../../doctor/sidecar.ts";
import { Ledger as LedgerService, ReportStatus } from "../../gen/weir/v1/ledger_pb.ts";
import { observed } from "../../log.ts";
import { type Sidecar, startSidecar } from "../../server.ts";
import { makeSettings } from "../../settings.ts";
import { acquire, budget } from "../testing.ts";
import { hasRedis, type Node, startRedisCluster, type TestRedis } from "./testing.ts";

const GRANT = 10;
const TTL_MS = 1_000;
const WAIT_MS = 20_000;
const AT_ONCE_MS = 500;
/** Some rounds of looking whether nodes answer. */
const HANGS_MS = 5_000;

describe("a sidecar on a Redis Cluster of which one node is away", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, () => {
  let redis: TestRedis;
  let sidecar: Sidecar;
  const log: string[] = [];
  const sidecars: Sidecar[] = [];
  /** Sorted: so they are swept in this order. */
  const lost: string[] = [];
  const served: string[] = [];

  const start = async () => {
    const ledger = { kind: "redis", urls: redis.urls, cluster: true } as const;
    const settings = makeSettings({ port: 0, ledger, sweepIntervalMs: 200, stopGraceMs: 100 });
    const started = await startSidecar(
      settings,
      observed(settings, (_level, line) => log.push(line)),
    );
    sidecars.push(started);
    return started;
  };
  const get = async ({ port }: Sidecar, path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  const lease = (org: string, ttlMs = 60_000) => {
    const onExpiry = "charge_all" as const;
    return acquire([budget(org, 1_000, { need: GRANT, want: GRANT })], { ttlMs, onExpiry });
  };
  const until = async (what: string, reached: () => Promise<boolean>) => {
    for (const end = Date.now() + WAIT_MS; !(await reached()); await pause(50))
      assert.ok(Date.now() < end, what);
  };

  before(async () => {
    redis = await startRedisCluster();
    for (const node of redis.nodes)
      await node.command(["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    sidecar = await start();
    const ofNode = async (key: string) => {
      const slot = Number(await redis.nodes[0]?.command(["CLUSTER", "KEYSLOT", key]));
      return Math.floor((slot * redis.nodes.length) / 16_384);
    };
    for (let i = 0; lost.length < 2 || served.length < 4; i++) {
      const org = `${lost.length < 2 ? "a" : "b"}-${i}`;
      const away = (await ofNode(`{${org}}`)) === 0;
      if (away && lost.length < 2) lost.push(org);
      if (!away && lost.length === 2) served.push(org);
    }
    // The one key that is of all organisations is not on the node that will be away.
    assert.notEqual(await ofNode("weir:organisations"), 0);
  });
  after(async () => {
    for (const one of sidecars) await one.close();
    await redis.stop();
  });

  it("is as ready as its nodes are, says so, and serves who is on the others", async () => {
    assert.deepEqual(await get(sidecar, "/healthz"), { status: 200, text: "ok\n" });
    for (const org of [...lost, ...served]) await sidecar.ledger.acquire(lease(org, TTL_MS));
    await redis.nodes[0]?.end("SIGKILL");
    await until("it is told", async () => (await get(sidecar, "/healthz")).text !== "ok\n");
    assert.deepEqual(await get(sidecar, "/healthz"), {
      status: 200,
      text: "ok, but only 66 % of the nodes of Redis answer: organisations on the others have no ledger\n",
    });
    assert.match((await get(sidecar, "/metrics")).text, /^weir_sidecar_ledger_ready 0\.66\d+$/m);
    const url = `http://127.0.0.1:${sidecar.port}`;
    const findings = await examineSidecar({ url, timeoutMs: 3_000, adminToken: "" });
    const store = findings.find(({ check }) => check === "sidecar.store");
    assert.deepEqual([store?.level, /^only 66 % of the nodes/.test(store?.text ?? "")], ["fail", true]);
    assert.match(log.join("\n"), /1 of 3 nodes of the ledger's Redis Cluster do not answer or refuse/);
    for (const org of served) assert.equal((await sidecar.ledger.acquire(lease(org))).outcome, "granted");
    await assert.rejects(sidecar.ledger.acquire(lease(lost[0] as string)));
  });

  it("resolves dead leases of an organisation although the sweep of one before it failed", async () => {
    const last = served.at(-1) as string;
    await sidecar.ledger.acquire(lease(last, TTL_MS));
    await until("the dead lease is charged", async () => {
      const [record] = await sidecar.ledger.budgets(last);
      return record?.spent === 2 * GRANT;
    });
  });

  it("starts meanwhile, and serves who is on the others", async () => {
    const second = await start();
    const never = [...served, "c-1", "c-2", "c-3", "c-4"];
    const asked = never.map((org) => second.ledger.acquire(lease(org)).then(() => org));
    const answered = (await Promise.allSettled(asked)).flatMap((reply) =>
      reply.status === "fulfilled" ? reply.value : [],
    );
    for (const org of served) assert.ok(answered.includes(org), org);
  });

  it("has all of it again by itself when the node is back, with what it held", async () => {
    await (redis.nodes[0] as Node).start();
    for (const one of sidecars)
      await until("it is ready", async () => (await get(one, "/healthz")).text === "ok\n");
    for (const org of lost)
      await until("its dead lease is charged", async () => {
        const [record] = await sidecar.ledger.budgets(org);
        return record?.spent === GRANT && record.leases === 0;
      });
  });

  it("asks a node that hangs nothing more, so that who is on the others does not wait with it", async () => {
    const { pid } = redis.nodes[0] as Node;
    const leases = [lost[0], served[0]].map((org) => lease(org as string));
    for (const one of leases) await sidecar.ledger.acquire(one);
    const baseUrl = `http://127.0.0.1:${sidecar.port}`;
    const edge = createClient(LedgerService, createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }));
    let sequence = 0n;
    const report = async () => {
      const started = performance.now();
      sequence++;
      const reports = leases.map(({ leaseId, subject }) => ({ leaseId, subject, sequence, spent: [1n] }));
      const { results } = await edge.settle({ reports, partly: true });
      return { statuses: results.map(({ status }) => status), ms: performance.now() - started };
    };
    process.kill(pid, "SIGSTOP");
    try {
      await until("it is left alone", async () => (await report()).ms < AT_ONCE_MS);
      for (const end = Date.now() + HANGS_MS; Date.now() < end; await pause(100)) {
        const { statuses, ms } = await report();
        assert.deepEqual(statuses, [ReportStatus.UNSPECIFIED, ReportStatus.APPLIED]);
        assert.ok(ms < AT_ONCE_MS, `an answer took ${ms} ms`);
        assert.match((await get(sidecar, "/healthz")).text, /^ok, but only 66 %/);
        assert.equal((await get(sidecar, "/livez")).text, "ok\n");
      }
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await until("it is asked again", async () => (await report()).statuses[0] === ReportStatus.APPLIED);
  });
});

describe("a new organisation on a Redis Cluster", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, () => {
  it("is served while the node that knows all names is away, and known afterwards", async () => {
    const redis = await startRedisCluster();
    try {
      for (const node of redis.nodes)
        await node.command(["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
      const { urls } = redis;
      const settings = makeSettings({ port: 0, ledger: { kind: "redis", urls, cluster: true } });
      const { ledger, close } = await startSidecar(settings);
      const key = "weir:organisations";
      const slot = Number(await redis.nodes[0]?.command(["CLUSTER", "KEYSLOT", key]));
      const node = redis.nodes[Math.floor((slot * redis.nodes.length) / 16_384)] as Node;
      await node.end("SIGKILL");
      const names = Array.from({ length: 12 }, (_, i) => `new-${i}`);
      const served: string[] = [];
      for (const org of names)
        await ledger.acquire(acquire([budget(org, 10)])).then(
          () => served.push(org),
          () => undefined,
        );
      assert.ok(served.length > 0 && served.length < names.length, `${served}`);
      await node.start();
      for (const end = Date.now() + WAIT_MS; (await ledger.ready()) < 1; await pause(50))
        assert.ok(Date.now() < end);
      for (const org of served) await ledger.acquire(acquire([budget(org, 10)]));
      const known = await ledger.organisations();
      for (const org of served) assert.ok(known.includes(org), org);
      await close();
    } finally {
      await redis.stop();
    }
  });
});
