/** A real Redis Cluster whose nodes die and whose slots move while edges ask and report. Needs `redis-server`. */
import assert from "node:assert/strict";
import { createConnection, createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { listening } from "../../../test/support/listening.ts";
import { WeirError } from "../../errors.ts";
import { acquire, budget } from "../testing.ts";
import type { Ledger } from "../types.ts";
import { openRedis } from "./store.ts";
import { beginMove, hasRedis, type Node, startRedisCluster, type TestRedis } from "./testing.ts";

const GRANT = 10;
const SPENT = 7;
const EDGES = 6;
const TTL_MS = 1_000;
/** Outlives a slow machine's test. */
const LONG_MS = 60_000;
const AGAIN_MS = 20;
/** A replica on the same machine has long had everything. */
const SYNCED_MS = 200;
/** What is not answered for so long has not been found, however slow the machine: 1 to 6 s are usual. */
const BACK_MS = 60_000;
/** What nobody looks after ends by itself after 10 s. */
const ENDED_MS = 5_000;

/** Edges that lease, report and end leases of an organisation; what is not answered they repeat until it is. */
class Load {
  readonly #ledger: Ledger;
  readonly #org: string;
  readonly #edges: Promise<void>[];
  #stopping = false;
  answered = 0;
  spent = 0;
  readonly failures: WeirError[] = [];

  constructor(ledger: Ledger, org: string) {
    this.#ledger = ledger;
    this.#org = org;
    this.#edges = Array.from({ length: EDGES }, () => this.#edge());
  }

  /** Waits for `count` answers; throws what has ended an edge. */
  async reaches(count: number): Promise<void> {
    const ended = Promise.all(this.#edges);
    while (this.answered < count) await Promise.race([pause(1), ended]);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#edges);
  }

  async #repeated<T>(ask: () => Promise<T>): Promise<T> {
    for (const end = Date.now() + BACK_MS; ; ) {
      try {
        const reply = await ask();
        this.answered++;
        return reply;
      } catch (thrown) {
        const error = WeirError.from(thrown);
        if (!["unavailable", "refused"].includes(error.code) || Date.now() > end) throw thrown;
        this.failures.push(error);
        await pause(AGAIN_MS);
      }
    }
  }

  async #edge(): Promise<void> {
    // Two budgets and a limit that is soon reached: notices and the journal are begun while slots move.
    const budgets = [
      budget(this.#org, 1_000_000, { need: GRANT, want: GRANT }),
      budget(`${this.#org}/team`, 100, { name: "team", need: 0, want: 0 }),
    ];
    while (!this.#stopping) {
      const lease = acquire(budgets);
      const reply = await this.#repeated(() => this.#ledger.acquire(lease));
      assert.equal(reply.outcome, "granted");
      const { leaseId, subject } = lease;
      for (const [sequence, spent] of [
        [1, 3],
        [2, SPENT],
      ] as const) {
        const final = sequence === 2;
        const report = { kind: "settle", leaseId, subject, sequence, spent: [spent, spent], final } as const;
        const { status } = await this.#repeated(() => this.#ledger.settle(report));
        assert.ok(status === "applied" || status === "stale", status);
      }
      this.spent += SPENT;
      await pause(1);
    }
  }
}

async function checkBooks(ledger: Ledger, org: string, spent: number): Promise<void> {
  const records = await ledger.budgets(org);
  assert.deepEqual(
    records.map(({ key, ...record }) => [record.spent, record.outstanding, record.leases]),
    [
      [spent, 0, 0],
      [spent, 0, 0],
    ],
  );
  assert.deepEqual(await ledger.leases(org), []);
}

describe("the ledger in a Redis Cluster", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, () => {
  let redis: TestRedis;
  let ledger: Ledger;
  const told: string[] = [];

  before(async () => {
    redis = await startRedisCluster({ replicas: true });
    const hooks = { onConnectionError: (reason: string) => told.push(reason) };
    ledger = await openRedis({ urls: redis.urls, cluster: true, hooks });
  });
  after(async () => {
    await ledger.close();
    await redis.stop();
  });

  /** An open lease whose slot is moving; what begins with `first` is on the other node already. */
  const movedFirst = async (org: string, first: string, ttlMs: number) => {
    const lease = acquire([budget(org, 100, { need: GRANT })], { ttlMs, onExpiry: "charge_all" });
    await ledger.acquire(lease);
    const move = await beginMove(redis, `weir:{${org}}:windows`);
    await move.take((await move.keys()).filter((key) => key.startsWith(`weir:{${org}}:${first}`)));
    return { lease, move };
  };

  /** The master that has the organisation, and its replica. */
  const pairOf = async (org: string): Promise<[Node, Node]> => {
    const { nodes } = redis;
    const keys = await Promise.all(
      nodes.map(async (node) => String(await node.command(["KEYS", `weir:{${org}}:*`]))),
    );
    const roles = await Promise.all(nodes.map(async (node) => String(await node.command(["ROLE"]))));
    const having = nodes.filter((_, i) => keys[i] !== "");
    const isMaster = (node: Node) => roles[nodes.indexOf(node)]?.startsWith("master") === true;
    const [master, replica] = having.sort((a, b) => Number(isMaster(b)) - Number(isMaster(a)));
    assert.ok(having.length === 2 && master !== undefined && replica !== undefined && isMaster(master));
    return [master, replica];
  };

  it("is not taken for a Redis without a cluster by any of its nodes, whichever slots that has", async () => {
    const said = "Redis cannot be used: it is a node of a cluster of 3: expected WEIR_REDIS_CLUSTER=1";
    for (const url of redis.urls)
      await assert.rejects(openRedis({ urls: [url], cluster: false }), {
        code: "unavailable",
        message: said,
      });
  });

  it("is found by the one of its URLs that answers, however many hang", async () => {
    const sockets: Socket[] = [];
    const hanging = createServer((socket) => sockets.push(socket.on("error", () => undefined)));
    const port = await listening(hanging);
    const silent = Array.from({ length: 8 }, () => `redis://127.0.0.1:${port}`);
    try {
      const found = await openRedis({ urls: [...silent, ...redis.urls.slice(0, 1)], cluster: true });
      assert.equal(await found.ready(), 1);
      await found.close();
    } finally {
      for (const socket of sockets) socket.destroy();
      hanging.close();
    }
  });

  it("leaves no connections of its URLs that answer when another one already has", async () => {
    let answer = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const asked: Promise<unknown>[] = [];
    const late = createServer((socket) => {
      const node = createConnection((redis.nodes[0] as Node).port, "127.0.0.1");
      for (const one of [node, socket]) one.on("error", () => undefined);
      node.pipe(socket);
      void answered.then(() => socket.pipe(node));
      asked.push(new Promise((resolve) => socket.once("close", resolve)));
    });
    const port = await listening(late);
    const urls = [...Array(4).fill(`redis://127.0.0.1:${port}`), ...redis.urls.slice(0, 1)];
    const connections = async (): Promise<number> => {
      const lists = redis.nodes.map((node) => node.command(["CLIENT", "LIST", "TYPE", "normal"]));
      return (await Promise.all(lists)).join("").split("\n").length;
    };
    const found = await openRedis({ urls, cluster: true });
    try {
      const before = await connections();
      answer();
      await Promise.all(asked);
      await pause(SYNCED_MS);
      for (const end = Date.now() + ENDED_MS; (await connections()) > before && Date.now() < end; )
        await pause(AGAIN_MS);
      assert.ok((await connections()) <= before);
    } finally {
      await found.close();
      late.close();
    }
  });

  it("tells that one of its nodes may forget budgets", async () => {
    const told: unknown[] = [];
    const hooks = {
      onRedisTrouble: (trouble: string) => told.push(trouble),
      onRedisForgets: (forgets: boolean) => told.push(forgets),
    };
    const node = redis.nodes[1] as Node;
    await node.command(["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    const asking = await openRedis({ urls: redis.urls, cluster: true, hooks });
    try {
      await node.command(["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
      assert.equal(await asking.ready(), 1);
    } finally {
      await asking.close();
    }
    assert.deepEqual(told, [
      "the ledger's Redis may forget budgets when its memory is full: maxmemory-policy: volatile-lru: expected noeviction",
      ...[true, false],
    ]);
  });

  it("charges what was spent, once, while the organisation's slot moves from node to node", async () => {
    const org = "moving";
    const load = new Load(ledger, org);
    for (let moves = 0; moves < 3; moves++) {
      const { answered } = load;
      await load.reaches(answered + 3 * EDGES);
      const move = await beginMove(redis, `weir:{${org}}:windows`);
      for (const key of await move.keys()) {
        await move.take([key]);
        await pause(10);
      }
      await move.finish();
    }
    await load.stop();
    await checkBooks(ledger, org, load.spent);
  });

  for (const first of ["lease:", "budget:", "expiries"])
    it(`charges a report that comes when of a slot that moves only ${first} is there`, async () => {
      const org = `half-${first}`;
      const { lease, move } = await movedFirst(org, first, LONG_MS);
      const { leaseId, subject } = lease;
      const report = { kind: "settle", leaseId, subject, sequence: 1, spent: [SPENT], final: true } as const;
      const early = await ledger.settle(report).catch((thrown) => thrown);
      await move.finish();
      const { status } = await ledger.settle(report);
      assert.ok(early instanceof WeirError ? status === "applied" : status === "stale", status);
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.leases], [SPENT, 0, 0]);
    });

  for (const first of ["lease:", "budget:", "expiries"])
    it(`resolves a dead lease that a sweep finds when of a slot that moves only ${first} is there`, async () => {
      const org = `dead-${first}`;
      const { move } = await movedFirst(org, first, TTL_MS);
      await pause(TTL_MS + 50);
      await ledger
        .sweep(org)
        .catch((thrown) => assert.match(WeirError.from(thrown).code, /unavailable|refused/));
      await move.finish();
      await ledger.sweep(org);
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.leases], [GRANT, 0, 0]);
    });

  it("goes on where a replica is promoted, with scripts that it forgot, and loses nothing that it had", async () => {
    const org = "promoted";
    const load = new Load(ledger, org);
    await load.reaches(3 * EDGES);
    const [master, replica] = await pairOf(org);
    await replica.command(["CLUSTER", "FAILOVER"]);
    while (!String(await replica.command(["ROLE"])).startsWith("master")) await pause(10);
    await replica.command(["SCRIPT", "FLUSH"]);
    const { answered } = load;
    await load.reaches(answered + 10 * EDGES);
    await load.stop();
    await checkBooks(ledger, org, load.spent);
    assert.match(String(await master.command(["ROLE"])), /^slave/);
  });

  for (const [signal, what] of [
    // It refuses at once, and the others are asked a second later …
    ["SIGKILL", "ECONNREFUSED"],
    // … or it says nothing, which is seen after some rounds.
    ["SIGSTOP", "no answer within"],
  ] as const)
    it(`finds the replica that the cluster promoted for a node that got ${signal}, and tells what failed`, async (t) => {
      const org = `lost-${signal}`;
      const load = new Load(ledger, org);
      await load.reaches(3 * EDGES);
      await load.stop();
      const [master, replica] = await pairOf(org);
      await pause(SYNCED_MS);
      told.length = 0;
      process.kill(master.pid, signal);
      try {
        while (!String(await replica.command(["ROLE"])).startsWith("master")) await pause(10);
        const promoted = Date.now();
        const later = new Load(ledger, org);
        await later.reaches(EDGES).finally(() => {
          t.diagnostic(`asked for ${Date.now() - promoted} ms; told: ${[...new Set(told)].join("; ")}`);
        });
        await later.stop();
        await checkBooks(ledger, org, load.spent + later.spent);
        assert.match(told.join("\n"), new RegExp(what));
      } finally {
        // What is stopped ends by nothing else.
        await master.end("SIGKILL");
      }
      await master.start();
      while (!String(await master.command(["INFO", "replication"])).includes("master_link_status:up"))
        await pause(100);
    });
});
