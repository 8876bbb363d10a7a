/**
 * Real `redis-server` processes for tests and benchmarks: on free loopback ports, in a directory of their own, with
 * `appendfsync always` unless told otherwise. Each is ended by its own process handle. Nothing here is used in production.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import { freePort } from "../../../demo/processes.ts";

const START_MS = 10_000;
const RETRY_MS = 25;

export interface TestRedis {
  readonly urls: string[];
  readonly cluster: boolean;
  readonly pids: number[];
  readonly nodes: readonly Node[];
  /** Kills the first node and starts it again with its data. */
  restart(signal: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

/** Whether `redis-server` is on the PATH; tests that need it say so and are skipped without it. */
export function hasRedis(): boolean {
  try {
    execFileSync("redis-server", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Tries until it works or 10 s are over. */
async function until<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const end = Date.now() + START_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw new Error(`${what} did not come up`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

export class Node {
  readonly directory = mkdtempSync(join(tmpdir(), "weir-redis-"));
  readonly port: number;
  readonly #extra: readonly string[];
  #process: ChildProcess | undefined;

  constructor(port: number, extra: readonly string[]) {
    this.port = port;
    this.#extra = extra;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async start(): Promise<void> {
    this.#process = spawn(
      "redis-server",
      [
        ...["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.directory, "--save", ""],
        ...["--appendonly", "yes", "--appendfsync", "always", ...this.#extra],
      ],
      { stdio: "ignore" },
    );
    // Never outlives the test that started it.
    const child = this.#process;
    process.once("exit", () => child.kill("SIGKILL"));
    await until("redis-server", () => this.command(["PING"]));
  }

  async command(args: string[]): Promise<unknown> {
    const client = createClient({ url: this.url, socket: { reconnectStrategy: false } });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return await client.sendCommand(args);
    } finally {
      client.destroy();
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await ended;
  }
}

async function healthy(nodes: Node[]): Promise<void> {
  await until("the cluster", async () => {
    for (const node of nodes) {
      const info = String(await node.command(["CLUSTER", "INFO"]));
      if (!info.includes("cluster_state:ok") || !info.includes(`cluster_known_nodes:${nodes.length}`))
        throw new Error(info);
    }
  });
}

async function running(nodes: Node[], cluster: boolean): Promise<TestRedis> {
  return {
    urls: nodes.map((node) => node.url),
    cluster,
    nodes,
    get pids() {
      return nodes.map((node) => node.pid);
    },
    restart: async (signal) => {
      await nodes[0]?.end(signal);
      await nodes[0]?.start();
      if (cluster) await healthy(nodes);
    },
    stop: async () => {
      for (const node of nodes) {
        await node.end("SIGKILL");
        rmSync(node.directory, { recursive: true, force: true });
      }
    },
  };
}

/** `durable: false` leaves syncing to the kernel, for tests that only compare. */
export async function startRedis({
  durable = true,
  options = [] as readonly string[],
} = {}): Promise<TestRedis> {
  const node = new Node(await freePort(), [...(durable ? [] : ["--appendfsync", "no"]), ...options]);
  await node.start();
  return running([node], false);
}

const SLOTS = 16_384;

const MASTERS = 3;
const NODE_TIMEOUT_MS = "1500";

/** A cluster of three masters that share the slots, each with a replica if asked: node 3 is that of node 0, and so on. */
export async function startRedisCluster({ replicas = false } = {}): Promise<TestRedis> {
  const nodes: Node[] = [];
  const buses: string[] = [];
  for (let i = 0; i < (replicas ? 2 * MASTERS : MASTERS); i++) {
    const [port, bus] = [await freePort(), String(await freePort())];
    const options = ["--cluster-enabled", "yes", "--cluster-port", bus];
    nodes.push(new Node(port, [...options, "--cluster-node-timeout", NODE_TIMEOUT_MS]));
    buses.push(bus);
  }
  const cluster = await running(nodes, true);
  try {
    await form(nodes, buses);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

async function form(nodes: Node[], buses: string[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.start()));
  for (const [i, node] of nodes.entries()) {
    const from = Math.floor((i * SLOTS) / MASTERS);
    const to = Math.floor(((i + 1) * SLOTS) / MASTERS) - 1;
    if (i < MASTERS) await node.command(["CLUSTER", "ADDSLOTSRANGE", String(from), String(to)]);
    if (i > 0) await nodes[0]?.command(["CLUSTER", "MEET", "127.0.0.1", String(node.port), buses[i] ?? ""]);
  }
  await healthy(nodes);
  for (const [i, node] of nodes.slice(MASTERS).entries()) {
    const master = String(await nodes[i]?.command(["CLUSTER", "MYID"]));
    await until("a replica", () => node.command(["CLUSTER", "REPLICATE", master]));
    await until("a replica's data", async () => {
      const info = String(await node.command(["INFO", "replication"]));
      if (!info.includes("master_link_status:up")) throw new Error(info);
    });
  }
}

/** A slot on its way from one master to another, as `redis-cli --cluster reshard` moves it: key by key. */
export interface Move {
  readonly keys: () => Promise<string[]>;
  readonly take: (keys: string[]) => Promise<unknown>;
  /** Takes the rest, and the slot is the other master's. */
  readonly finish: () => Promise<void>;
}

/** Begins to move the slot of `key`, which is there. */
export async function beginMove(redis: TestRedis, key: string): Promise<Move> {
  const masters = redis.nodes.slice(0, MASTERS);
  const slot = String(await masters[0]?.command(["CLUSTER", "KEYSLOT", key]));
  const counts = await Promise.all(masters.map((node) => node.command(["CLUSTER", "COUNTKEYSINSLOT", slot])));
  const source = counts.findIndex((count) => Number(count) > 0);
  const [from, to] = [masters[source] as Node, masters[(source + 1) % MASTERS] as Node];
  const [fromId, toId] = [
    String(await from.command(["CLUSTER", "MYID"])),
    String(await to.command(["CLUSTER", "MYID"])),
  ];
  await to.command(["CLUSTER", "SETSLOT", slot, "IMPORTING", fromId]);
  await from.command(["CLUSTER", "SETSLOT", slot, "MIGRATING", toId]);
  const keys = async () => (await from.command(["CLUSTER", "GETKEYSINSLOT", slot, "1000"])) as string[];
  const take = (names: string[]) =>
    from.command(["MIGRATE", "127.0.0.1", String(to.port), "", "0", "1000", "KEYS", ...names]);
  const finish = async (): Promise<void> => {
    for (let left = await keys(); left.length > 0; left = await keys()) await take(left);
    for (const node of [to, from, ...masters]) await node.command(["CLUSTER", "SETSLOT", slot, "NODE", toId]);
  };
  return { keys, take, finish };
}
