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

class Node {
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
      if (!info.includes("cluster_state:ok") || !info.includes("cluster_known_nodes:3"))
        throw new Error(info);
    }
  });
}

async function running(nodes: Node[], cluster: boolean): Promise<TestRedis> {
  return {
    urls: nodes.map((node) => node.url),
    cluster,
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
export async function startRedis({ durable = true } = {}): Promise<TestRedis> {
  const node = new Node(await freePort(), durable ? [] : ["--appendfsync", "no"]);
  await node.start();
  return running([node], false);
}

const SLOTS = 16_384;

/** A cluster of three masters that share the slots. */
export async function startRedisCluster(): Promise<TestRedis> {
  const nodes: Node[] = [];
  const buses: string[] = [];
  for (let i = 0; i < 3; i++) {
    const [port, bus] = [await freePort(), String(await freePort())];
    nodes.push(new Node(port, ["--cluster-enabled", "yes", "--cluster-port", bus]));
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
    const from = Math.floor((i * SLOTS) / nodes.length);
    const to = Math.floor(((i + 1) * SLOTS) / nodes.length) - 1;
    await node.command(["CLUSTER", "ADDSLOTSRANGE", String(from), String(to)]);
    if (i > 0) await nodes[0]?.command(["CLUSTER", "MEET", "127.0.0.1", String(node.port), buses[i] ?? ""]);
  }
  await healthy(nodes);
}
