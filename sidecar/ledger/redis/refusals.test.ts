/**
 * A real Redis that answers and yet does not do what it is asked: it refuses writes, takes too long, loses an answer on its
 * way, or has gone back to an older copy. Whatever it is, a command is done whole or not at all, the same command repeated
 * counts once, and a person is told why. Needs `redis-server`.
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { listening } from "../../../test/support/listening.ts";
import { WeirError } from "../../errors.ts";
import { acquire, budget } from "../testing.ts";
import { type Acquire, type Ledger, LIMITS } from "../types.ts";
import { openRedis } from "./store.ts";
import { hasRedis, type Node, startRedis, type TestRedis } from "./testing.ts";

const GRANT = 10;
const SPENT = 7;
const BACK_MS = 10_000;

const failureOf = async (work: Promise<unknown>, code = "unavailable"): Promise<WeirError> => {
  const thrown = await work.then(
    () => undefined,
    (error) => error,
  );
  assert.ok(thrown instanceof WeirError && thrown.code === code, String(thrown));
  return thrown;
};

const settle = (ledger: Ledger, { leaseId, subject }: Acquire, sequence = 1, spent = SPENT, final = true) =>
  ledger.settle({ kind: "settle", leaseId, subject, sequence, spent: [spent], final });

/** Repeats `ask` until it is answered. */
async function answered<T>(ask: () => Promise<T>): Promise<T> {
  for (const end = Date.now() + BACK_MS; ; ) {
    try {
      return await ask();
    } catch (thrown) {
      if (Date.now() > end) throw thrown;
      await pause(20);
    }
  }
}

describe("the ledger on a Redis that does not do what it is asked", {
  skip: hasRedis() ? false : "redis-server is not installed",
}, () => {
  let redis: TestRedis;
  let node: Node;
  let ledger: Ledger;
  let org = "";
  let count = 0;
  const trouble: string[] = [];
  let forgets: boolean | undefined;

  before(async () => {
    redis = await startRedis();
    node = redis.nodes[0] as Node;
    const onRedisForgets = (told: boolean) => {
      forgets = told;
    };
    const hooks = { onRedisTrouble: (what: string) => trouble.push(what), onRedisForgets };
    ledger = await openRedis({ urls: redis.urls, cluster: false, hooks });
  });
  after(async () => {
    await ledger.close();
    await redis.stop();
  });
  beforeEach(() => {
    org = `org-${++count}`;
    trouble.length = 0;
  });

  const books = async (subject = org) => {
    const [record] = await ledger.budgets(subject);
    return [record?.spent, record?.outstanding, record?.debt, record?.leases];
  };
  const lease = () => acquire([budget(org, 100, { need: GRANT, want: GRANT })]);

  /** Redis refuses with `code` between the two; then the same commands are repeated, and count once. */
  const refuses = async (code: string, begin: () => Promise<unknown>, end: () => Promise<unknown>) => {
    const [open, next] = [lease(), lease()];
    await ledger.acquire(open);
    await begin();
    assert.equal(await ledger.ready(), 0);
    const said = `the ledger's Redis refuses: Redis answered ${code}`;
    assert.match(trouble.join("\n"), new RegExp(`^the ledger's Redis refuses: ${code} .+$`));
    assert.equal((await failureOf(ledger.acquire(next), "refused")).message, said);
    assert.equal((await failureOf(settle(ledger, open), "refused")).message, said);
    await end();
    assert.equal(await ledger.ready(), 1);
    await ledger.acquire(next);
    await settle(ledger, open);
    await settle(ledger, next);
    assert.deepEqual(await books(), [2 * SPENT, 0, 0, 0]);
  };
  const set = (name: string, value: string) => node.command(["CONFIG", "SET", name, value]);

  it("tells of a Redis that was made a replica (READONLY)", () =>
    refuses(
      "READONLY",
      () => node.command(["REPLICAOF", "127.0.0.1", "1"]),
      () => node.command(["REPLICAOF", "NO", "ONE"]),
    ));

  it("is not told by a replica that lags behind that there is no such lease, and has the report taken by the master", async () => {
    const behind = await startRedis({ options: ["--replicaof", "127.0.0.1", "1"] });
    const led = await openRedis({ urls: behind.urls, cluster: false });
    try {
      const open = lease();
      await ledger.acquire(open);
      const said = "the ledger's Redis refuses: Redis answered READONLY";
      const { leaseId, subject } = open;
      for (const ask of [
        () => settle(led, open),
        () => led.release({ kind: "release", leaseId, subject }),
        () => led.sweep(org),
      ])
        assert.equal((await failureOf(ask(), "refused")).message, said);
      assert.equal((await settle(ledger, open)).status, "applied");
      assert.deepEqual(await books(), [SPENT, 0, 0, 0]);
    } finally {
      await led.close();
      await behind.stop();
    }
  });

  it("tells of a full memory (OOM), and does a script whole or not at all", () =>
    refuses(
      "OOM",
      () => set("maxmemory", "1"),
      () => set("maxmemory", "0"),
    ));

  it("tells of too few replicas (NOREPLICAS)", () =>
    refuses(
      "NOREPLICAS",
      () => set("min-replicas-to-write", "1"),
      () => set("min-replicas-to-write", "0"),
    ));

  it("tells of somebody's script that runs too long (BUSY)", async () => {
    let script: Promise<unknown> | undefined;
    await refuses(
      "BUSY",
      async () => {
        await set("busy-reply-threshold", "50");
        script = node.command(["EVAL", "while true do end", "0"]).catch(() => undefined);
        const busy = () =>
          node.command(["PING"]).then(
            () => false,
            ({ message }) => message.startsWith("BUSY"),
          );
        for (const end = Date.now() + BACK_MS; !(await busy()); await pause(20)) assert.ok(Date.now() < end);
      },
      async () => {
        await node.command(["SCRIPT", "KILL"]);
        await script;
      },
    );
  });

  it("tells of a Redis that reads its data (LOADING), and goes on by itself with all it had", async () => {
    // So slowly that there is time to ask.
    const slow = await startRedis({ options: ["--key-load-delay", "300"] });
    const told: string[] = [];
    const hooks = { onRedisTrouble: (what: string) => told.push(what) };
    const through = await openRedis({ urls: slow.urls, cluster: false, hooks });
    try {
      const open = lease();
      await through.acquire(open);
      const fill = "for i = 1, 6000 do redis.call('SET', 'filler' .. i, '') end";
      await slow.nodes[0]?.command(["EVAL", fill, "0"]);
      const back = slow.restart("SIGKILL");
      const loading = async () => told.some((what) => what.startsWith("the ledger's Redis refuses: LOADING"));
      for (const end = Date.now() + BACK_MS; !(await loading()); await pause(20)) {
        assert.ok(Date.now() < end);
        assert.equal(await through.ready(), 0);
      }
      const said = "the ledger's Redis refuses: Redis answered LOADING";
      assert.equal((await failureOf(settle(through, open), "refused")).message, said);
      const later = await openRedis({ urls: slow.urls, cluster: false });
      await back;
      assert.equal((await answered(() => settle(through, open))).status, "applied");
      assert.equal((await settle(later, open)).status, "stale");
      const [record] = await later.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.leases], [SPENT, 0, 0]);
      await later.close();
    } finally {
      await through.close();
      await slow.stop();
    }
  });

  it("tells of a disk that takes no snapshot (MISCONF)", async () => {
    // A snapshot cannot take the place of a directory.
    const place = join(node.directory, "dump.rdb");
    await refuses(
      "MISCONF",
      async () => {
        mkdirSync(place);
        await set("save", "3600 1");
        await node.command(["BGSAVE"]);
        const failed = async () =>
          String(await node.command(["INFO", "persistence"])).includes("bgsave_status:err");
        for (const end = Date.now() + BACK_MS; !(await failed()); await pause(20))
          assert.ok(Date.now() < end);
      },
      () => set("save", ""),
    );
    rmSync(place, { recursive: true });
  });

  for (const command of ["evalsha", "time", "zadd", "ltrim", "smembers"])
    it(`tells of a user who may not run ${command}`, async () => {
      await node.command(["ACL", "SETUSER", "default", `-${command}`]);
      assert.equal(await ledger.ready(), 0);
      assert.match(trouble.join("\n"), new RegExp(`^the ledger's Redis refuses: NOPERM .*${command}`, "i"));
      await node.command(["ACL", "SETUSER", "default", "+@all"]);
      assert.equal(await ledger.ready(), 1);
    });

  for (const command of ["zadd", "zrem", "rpush", "ltrim", "set"])
    it(`holds what is out, and charges what is repeated once, where a user lost ${command} while its ledger was in use`, async () => {
      const [open, half] = [lease(), lease()];
      await ledger.acquire(open);
      await node.command(["ACL", "SETUSER", "default", `-${command}`]);
      const end = (one: Acquire, spent: number) => settle(ledger, one, 1, spent).catch(() => undefined);
      try {
        await ledger.acquire(half).catch(() => undefined);
        await end(half, 0);
        await end(open, SPENT);
      } finally {
        await node.command(["ACL", "SETUSER", "default", "+@all"]);
      }
      const [spent = 0, out = 0] = await books();
      assert.ok(
        out >= 0 && spent + out >= SPENT,
        `${spent} spent and ${out} out of ${GRANT} that were granted`,
      );
      await end(half, 0);
      await end(open, SPENT);
      assert.deepEqual(await books(), [SPENT, 0, 0, 0]);
    });

  it("asks about every command that a script runs, or that sweeps and people need beside them", () => {
    const sources = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".lua"));
    const text = sources.map((name) => readFileSync(join(import.meta.dirname, name), "utf8")).join("\n");
    const run = [...text.matchAll(/(?:redis\.p?call|write)\('([A-Z]+)'/g)].map(([, command]) => command);
    const store = readFileSync(join(import.meta.dirname, "store.ts"), "utf8");
    const sent = [...store.matchAll(/#client\.([slz]\w+)\(/g)].map(([, command = ""]) =>
      command.toUpperCase(),
    );
    // What INFO would say is not needed.
    const needed = new Set([...run, ...sent].filter((command) => command !== "INFO"));
    const list = /ipairs\(\{\n([^}]+)\}/.exec(
      readFileSync(join(import.meta.dirname, "ready.lua"), "utf8"),
    )?.[1];
    assert.deepEqual([...(list ?? "").matchAll(/[A-Z]+/g)].map(String), [...needed].sort());
  });

  for (const kind of ["lease", "budget"])
    for (const what of ["a text", "numbers of another kind", "a hash"])
      it(`names the key where somebody wrote ${what} in the place of a ${kind}, and goes on when it is deleted`, async () => {
        const open = lease();
        await ledger.acquire(open);
        const [record] = await ledger.budgets(org);
        const key = `weir:{${org}}:${kind}:${kind === "lease" ? open.leaseId : record?.key}`;
        await node.command(["DEL", key]);
        const wrong = what === "a text" ? "x" : kind === "lease" ? "\x7f".repeat(200) : "\0".repeat(79);
        await node.command(what === "a hash" ? ["HSET", key, "a", "b"] : ["SET", key, wrong]);
        const said = `the ledger's Redis has no record of the ledger in ${key}, but what somebody else wrote there: delete it, and it counts as nothing`;
        assert.equal((await failureOf(settle(ledger, open), "refused")).message, said);
        const read = kind === "lease" ? ledger.leases(org) : ledger.budgets(org);
        assert.equal((await failureOf(read, "refused")).message, said);
        await node.command(["DEL", key]);
        assert.equal((await settle(ledger, open)).status, kind === "lease" ? "unknown_lease" : "applied");
        await ledger.acquire(lease());
      });

  it("lets out no more than the limit where somebody deleted a budget while leases were out", async () => {
    const asks = (need: number) => acquire([budget(org, 100, { need, want: need })]);
    const before = asks(60);
    await ledger.acquire(before);
    const [record] = await ledger.budgets(org);
    await node.command(["DEL", `weir:{${org}}:budget:${record?.key}`]);
    const after = asks(50);
    await ledger.acquire(after);
    await settle(ledger, before);
    assert.deepEqual(await books(), [SPENT, 50, 0, 1]);
    assert.equal((await ledger.acquire(asks(50))).outcome, "denied");
    await settle(ledger, after);
    assert.deepEqual(await books(), [2 * SPENT, 0, 0, 0]);
    assert.equal((await ledger.acquire(asks(100))).outcome, "denied");
  });

  it("counts no lease out of a budget that somebody deleted, and that others began anew and have left", async () => {
    const [before, others] = [lease(), lease()];
    await ledger.acquire(before);
    await settle(ledger, before, 1, GRANT, false);
    const [record] = await ledger.budgets(org);
    await node.command(["DEL", `weir:{${org}}:budget:${record?.key}`]);
    await ledger.acquire(others);
    await settle(ledger, others);
    await settle(ledger, before, 2, GRANT);
    assert.deepEqual(await books(), [SPENT, 0, 0, 0]);
  });

  it("forgets when a lease would have ended that somebody deleted", async () => {
    const gone = acquire([budget(org, 100, { need: GRANT })], { ttlMs: LIMITS.ttlMsMin });
    await ledger.acquire(gone);
    await node.command(["DEL", `weir:{${org}}:lease:${gone.leaseId}`]);
    const due = async () => Number(await node.command(["ZCARD", `weir:{${org}}:expiries`]));
    assert.equal(await due(), 1);
    await pause(LIMITS.ttlMsMin + 50);
    await ledger.sweep(org);
    assert.equal(await due(), 0);
    assert.equal((await ledger.acquire(lease())).outcome, "granted");
  });

  it("names the journal where somebody wrote a line into it that is none", async () => {
    await ledger.acquire(lease());
    const key = `weir:{${org}}:journal`;
    await node.command(["RPUSH", key, "x"]);
    const { message } = await failureOf(ledger.journal(org), "refused");
    assert.ok(message.includes(` in ${key}, but `), message);
  });

  it("warns of a Redis that may forget budgets, and goes on", async () => {
    await set("maxmemory-policy", "allkeys-lru");
    assert.equal(await ledger.ready(), 1);
    await set("maxmemory-policy", "noeviction");
    assert.match(trouble.join("\n"), /^the ledger's Redis may forget .*: allkeys-lru: expected noeviction$/);
    assert.equal(forgets, true);
    trouble.length = 0;
    assert.equal(await ledger.ready(), 1);
    assert.deepEqual(trouble, []);
    assert.equal(forgets, false);
  });

  it("serves on a Redis that forbids the questions whether it may forget and is of a cluster, and warns of nothing", async () => {
    forgets = undefined;
    await set("maxmemory-policy", "allkeys-lru");
    await node.command(["ACL", "SETUSER", "default", "-info", "-config", "-cluster"]);
    const asked = await openRedis({ urls: redis.urls, cluster: false });
    try {
      assert.equal(await ledger.ready(), 1);
      assert.equal(await asked.ready(), 1);
      assert.deepEqual([trouble, forgets], [[], undefined]);
    } finally {
      await asked.close();
      await node.command(["ACL", "SETUSER", "default", "+@all"]);
      await set("maxmemory-policy", "noeviction");
    }
  });

  it("charges once what is repeated to a Redis that is too slow and runs everything in the end", async () => {
    const [open, next] = [lease(), lease()];
    await ledger.acquire(open);
    await node.command(["CLIENT", "PAUSE", "3000", "ALL"]);
    const [first, second] = await Promise.all([
      failureOf(settle(ledger, open)),
      failureOf(ledger.acquire(next)),
    ]);
    assert.equal(first.message, "the ledger's Redis does not answer");
    assert.match(String((second.cause as Error).message), /no answer within 2000 ms/);
    assert.equal((await answered(() => settle(ledger, open))).status, "stale");
    await answered(() => ledger.acquire(next));
    assert.deepEqual(await books(), [SPENT, GRANT, 0, 1]);
    assert.equal((await settle(ledger, next)).status, "applied");
    assert.deepEqual(await books(), [2 * SPENT, 0, 0, 0]);
  });

  /** A ledger behind a wire that may break when an answer comes, be cut where nobody hears of it, or alter what is sent. */
  const wired = async (
    work: (ledger: Ledger, wire: { breaks: boolean; to: number; cut: () => void }) => Promise<void>,
    { alter = (bytes: Buffer) => bytes, to = node.port } = {},
  ) => {
    const pairs = new Set<[Socket, Socket]>();
    const wire = {
      breaks: false,
      /** The port that new connections lead to. */
      to,
      cut: () => {
        for (const [near, far] of pairs)
          for (const socket of [near, far]) socket.removeAllListeners("data").resume();
      },
    };
    const proxy = createServer((near) => {
      const far = connectTcp(wire.to, "127.0.0.1");
      pairs.add([near, far]);
      for (const socket of [near, far]) socket.on("error", () => undefined);
      near.on("data", (bytes) => far.write(alter(bytes)));
      far.on("data", (bytes) => (wire.breaks ? near.destroy() : near.write(bytes)));
      near.on("close", () => far.destroy());
    });
    const port = await listening(proxy);
    let through: Ledger | undefined;
    try {
      through = await openRedis({ urls: [`redis://127.0.0.1:${port}`], cluster: false });
      await work(through, wire);
    } finally {
      await through?.close();
      for (const [near] of pairs) near.destroy();
      proxy.close();
    }
  };

  it("charges once what Redis did before the connection broke and the answer was lost", () =>
    wired(async (through, wire) => {
      const open = lease();
      await through.acquire(lease());
      const lost = async <T>(ask: () => Promise<T>): Promise<T> => {
        wire.breaks = true;
        await failureOf(ask());
        wire.breaks = false;
        return answered(ask);
      };
      assert.equal((await lost(() => through.acquire(open))).outcome, "granted");
      assert.deepEqual(await books(), [0, 2 * GRANT, 0, 2]);
      assert.equal((await lost(() => settle(through, open))).status, "stale");
      assert.deepEqual(await books(), [SPENT, GRANT, 0, 1]);
      const budgetKey = (await ledger.budgets(org))[0]?.key ?? "";
      const about = { kind: "adjust", subject: org, budget: budgetKey, by: "ana", reason: "test" } as const;
      // Else the answer that is lost would be that Redis does not know the script.
      await ledger.adjust({ ...about, id: `${org}-b`, amount: 1 });
      const refund = { ...about, id: `${org}-a`, amount: -5 };
      assert.deepEqual((await lost(() => through.adjust(refund))).status, "repeated");
      assert.equal((await books())[0], SPENT + 1 - 5);
    }));

  it("does not start on a Redis that cannot say what its user may run, as those before 7, and says which it is", async () => {
    const without = (bytes: Buffer) =>
      Buffer.from(
        bytes.toString("latin1").replaceAll("redis.acl_check_cmd", "redis.no_such_thing"),
        "latin1",
      );
    // Else it would run the script that it knows.
    await node.command(["SCRIPT", "FLUSH"]);
    const opening = wired(async () => undefined, { alter: without });
    const { message } = await failureOf(opening);
    assert.match(message, /^Redis cannot be used: version \d+\.\d+\.\d+: expected 7 or newer$/);
  });

  it("connects anew where the connection died without a word", () =>
    wired(async (through, wire) => {
      const open = lease();
      await through.acquire(open);
      wire.cut();
      await failureOf(settle(through, open));
      assert.equal((await answered(() => settle(through, open))).status, "applied");
      assert.deepEqual(await books(), [SPENT, 0, 0, 0]);
    }));

  it("follows its address to the new master where the old one, made its replica, keeps the connection", async () => {
    const [old, next] = await Promise.all([startRedis(), startRedis()]);
    const [from, to] = [old.nodes[0] as Node, next.nodes[0] as Node];
    const leads = async (replica: Node, master: Node) => {
      await replica.command(["REPLICAOF", "127.0.0.1", String(master.port)]);
      const info = async () => String(await replica.command(["INFO", "replication"]));
      for (
        const end = Date.now() + BACK_MS;
        !(await info()).includes("master_link_status:up");
        await pause(20)
      )
        assert.ok(Date.now() < end);
    };
    try {
      await wired(
        async (through, wire) => {
          const open = lease();
          await through.acquire(open);
          await leads(to, from);
          await to.command(["REPLICAOF", "NO", "ONE"]);
          wire.to = to.port;
          await leads(from, to);
          const said = "the ledger's Redis refuses: Redis answered READONLY";
          assert.equal((await failureOf(settle(through, open), "refused")).message, said);
          assert.equal((await answered(() => settle(through, open))).status, "applied");
        },
        { to: from.port },
      );
    } finally {
      await old.stop();
      await next.stop();
    }
  });

  it("goes on from an old copy: reports of leases that it does not have are told, and no organisation is missed", async () => {
    const [kept, after, other] = [lease(), lease(), "later"];
    await ledger.acquire(kept);
    const copy = `${node.directory}-copy`;
    await node.end("SIGKILL");
    cpSync(node.directory, copy, { recursive: true });
    await node.start();
    const spentAfter = acquire([budget(other, 100, { need: GRANT })]);
    await answered(() => ledger.acquire(after));
    await ledger.acquire(spentAfter);
    await settle(ledger, kept);
    await node.end("SIGKILL");
    rmSync(node.directory, { recursive: true });
    mkdirSync(node.directory);
    cpSync(copy, node.directory, { recursive: true });
    rmSync(copy, { recursive: true });
    await node.start();
    assert.equal((await answered(() => settle(ledger, after))).status, "unknown_lease");
    assert.deepEqual(await books(), [0, GRANT, 0, 1]);
    assert.equal((await settle(ledger, kept)).status, "applied");
    assert.deepEqual(await books(), [SPENT, 0, 0, 0]);
    // As a sweep does, which hears what Redis knows.
    assert.ok(!(await ledger.organisations()).includes(other));
    await ledger.acquire(acquire([budget(other, 100, { need: GRANT })]));
    assert.ok((await ledger.organisations()).includes(other));
  });
});
