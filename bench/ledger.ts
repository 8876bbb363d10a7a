/**
 * `npx tsx bench/ledger.ts [--seconds N]`: Acquire per second at each store, and over the wire, with one budget hierarchy
 * (key, team, organisation) and a grant each time, 64 in flight.
 *
 * Over the wire the sidecar is a process of its own, pinned to the last core; the client here and Redis are kept to the
 * others. "CPU each" is the sidecar's own (at the store: this process'), and "per core" is what a core that does nothing else
 * can do: what is reached on a machine that does is less. The client over gRPC-Web is as lean as Envoy's, so that it takes
 * less of the machine than the sidecar.
 */
import { fork, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  AcquireRequestSchema,
  AcquireResponseSchema,
  Ledger as LedgerService,
  Meter,
  Window,
} from "../sidecar/gen/weir/v1/ledger_pb.ts";
import { openEmbedded } from "../sidecar/ledger/embedded.ts";
import { LocalLedger } from "../sidecar/ledger/local.ts";
import { openRedis } from "../sidecar/ledger/redis/store.ts";
import { hasRedis, startRedis } from "../sidecar/ledger/redis/testing.ts";
import { acquire, budget } from "../sidecar/ledger/testing.ts";
import type { Ledger } from "../sidecar/ledger/types.ts";
import { startSidecar } from "../sidecar/server.ts";
import { type LedgerSettings, makeSettings } from "../sidecar/settings.ts";
import { optionsOf, record } from "./measure.ts";

const { seconds: SECONDS, serve: place } = optionsOf({ seconds: 3, serve: "" });
const IN_FLIGHT = 64;
const ORGANISATIONS = 16;
const LIMIT = 1e15;
/** Until V8 has compiled what is hot, a call costs several times as much. */
const WARM_CALLS = 5_000;
const WARM_MS_MAX = 8_000;
/** What one core is to do with Redis. */
const PER_CORE_MIN = 5_000;
const rows: Record<string, string | number>[] = [];

type Once = (organisation: string) => Promise<boolean>;

function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

/** CPU of this process in µs. */
async function ownCpu(): Promise<number> {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function measure(name: string, once: Once, cpuOf = ownCpu): Promise<void> {
  const latencies: number[] = [];
  const warmUntil = performance.now() + WARM_MS_MAX;
  let end = Number.POSITIVE_INFINITY;
  let cpu: Promise<number> | undefined;
  let started = 0;
  let calls = 0;
  const worker = async (index: number): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      if (!(await once(`org-${index % ORGANISATIONS}`))) throw new Error("denied");
      const then = performance.now();
      if (started > 0) latencies.push(then - now);
      else if (++calls >= WARM_CALLS || then > warmUntil) {
        started = then;
        end = then + SECONDS * 1_000;
        cpu = cpuOf();
      }
      now = then;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, i) => worker(i)));
  const seconds = (performance.now() - started) / 1_000;
  const spent = (await cpuOf()) - ((await cpu) ?? 0);
  const sorted = Float64Array.from(latencies).sort();
  const columns = [
    name.padEnd(34),
    `${Math.round(sorted.length / seconds)}/s`.padStart(9),
    `p50 ${quantile(sorted, 0.5).toFixed(1)} ms`.padStart(14),
    `p99 ${quantile(sorted, 0.99).toFixed(1)} ms`.padStart(15),
    `${(spent / sorted.length).toFixed(0)} µs CPU each`.padStart(18),
    `${Math.round((1e6 * sorted.length) / spent)}/s per core`.padStart(18),
  ];
  console.log(columns.join(" "));
  rows.push({
    contestant: name,
    "Acquire/s": Math.round(sorted.length / seconds),
    "p50 ms": quantile(sorted, 0.5).toFixed(1),
    "p99 ms": quantile(sorted, 0.99).toFixed(1),
    "CPU µs": (spent / sorted.length).toFixed(0),
    "per core": Math.round((1e6 * sorted.length) / spent),
  });
}

function onStore(ledger: Ledger): Once {
  return async (organisation) => {
    const budgets = ["/team/key", "/team", ""].map((path) => budget(organisation + path, LIMIT));
    const reply = await ledger.acquire(acquire(budgets, { subject: `${organisation}/team/key` }));
    return reply.outcome === "granted";
  };
}

interface Served {
  readonly port: number;
  /** CPU of the sidecar so far, in µs. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

/** The sidecar in a process of its own, on one core where `taskset` can do that. */
async function serve(place: string): Promise<Served> {
  const child = fork(import.meta.filename, ["--serve", place], { execArgv: ["--import", "tsx"] });
  const next = (): Promise<number> => new Promise((resolve) => child.once("message", resolve));
  const port = await next();
  spawnSync("taskset", ["-a", "-p", "-c", String(availableParallelism() - 1), String(child.pid)]);
  return {
    port,
    cpu: () => {
      const answer = next();
      child.send("cpu");
      return answer;
    },
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function runServer(place: string): Promise<void> {
  const ledger: LedgerSettings = place.startsWith("redis:")
    ? { kind: "redis", urls: [place], cluster: false }
    : { kind: "embedded", directory: place };
  const { port } = await startSidecar(makeSettings({ port: 0, ledger }));
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  process.send?.(port);
}

/** `org/team/key`, the team and the organisation, as the edge sends them. */
function message(organisation: string): MessageInitShape<typeof AcquireRequestSchema> {
  return {
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
  };
}

/** Where the name of the lease stands in a prepared request. */
const PLACE = "00000000-0000-4000-8000-000000000000";

/** A unary gRPC-Web call as Envoy makes it, all bytes of it but the lease's name. */
function prepare(organisation: string): Buffer {
  const request = create(AcquireRequestSchema, { ...message(organisation), leaseId: PLACE });
  const bytes = toBinary(AcquireRequestSchema, request);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(bytes.length, 1);
  const head = [
    "POST /weir.v1.Ledger/Acquire HTTP/1.1",
    "host: sidecar",
    "content-type: application/grpc-web+proto",
    `content-length: ${frame.length + bytes.length}`,
    "\r\n",
  ].join("\r\n");
  return Buffer.concat([Buffer.from(head), frame, bytes]);
}

/** A connection that is kept, for one call at a time. */
class Line {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #done: ((granted: boolean) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  constructor(port: number) {
    this.#socket = createConnection({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.on("data", (chunk) => this.#receive(chunk));
    this.#socket.on("error", (error) => this.#failed?.(error));
    this.#socket.on("close", () => this.#failed?.(new Error("the sidecar closed the connection")));
  }

  call(prepared: Buffer): Promise<boolean> {
    const request = Buffer.from(prepared);
    request.write(randomUUID(), request.indexOf(PLACE), "latin1");
    return new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#failed = undefined;
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length > 0 ? Buffer.concat([this.#received, chunk]) : chunk;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return;
    const head = this.#received.toString("latin1", 0, end);
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    if (!head.startsWith("HTTP/1.1 200") || length === undefined) {
      this.#failed?.(new Error(`not the answer of a unary call: ${head}`));
      return;
    }
    const body = this.#received.subarray(end + 4);
    if (body.length < Number(length)) return;
    this.#received = Buffer.alloc(0);
    const answer = fromBinary(AcquireResponseSchema, body.subarray(5, 5 + body.readUInt32BE(1)));
    this.#done?.(answer.granted.length === 3);
  }
}

function gRpcWeb(port: number): { once: Once; close(): void } {
  const lines = Array.from({ length: IN_FLIGHT }, () => new Line(port));
  const free = [...lines];
  const prepared = new Map<string, Buffer>();
  const once = async (organisation: string) => {
    const bytes = prepared.get(organisation) ?? prepare(organisation);
    prepared.set(organisation, bytes);
    const line = free.pop();
    if (!line) throw new Error("more calls in flight than lines");
    const granted = await line.call(bytes);
    free.push(line);
    return granted;
  };
  return {
    once,
    close() {
      for (const line of lines) line.close();
    },
  };
}

/** Keeps a process off the sidecar's core, where `taskset` can do that and there is another one. */
function keepOff(pid: number): void {
  const cores = availableParallelism();
  if (cores > 1) spawnSync("taskset", ["-a", "-p", "-c", `0-${cores - 2}`, String(pid)]);
}

/** `place`: a Redis URL, or a directory for the embedded store. */
async function overRpc(store: string, place: string): Promise<void> {
  const served = await serve(place);
  keepOff(process.pid);
  const web = gRpcWeb(served.port);
  const gRPC = createClient(
    LedgerService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${served.port}` }),
  );
  const clients: [string, Once][] = [
    ["gRPC-Web, HTTP/1.1", web.once],
    ["gRPC", async (organisation) => (await gRPC.acquire(message(organisation))).granted.length === 3],
  ];
  for (const [name, once] of clients) await measure(`${store}, ${name}`, once, served.cpu);
  web.close();
  await served.stop();
}

async function compare(): Promise<void> {
  console.log(`Acquire with three budgets, ${IN_FLIGHT} in flight, ${SECONDS} s each`);
  await measure("pure machine in memory", onStore(new LocalLedger()));

  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const embedded = await openEmbedded({ directory });
  await measure("embedded (LMDB, synced)", onStore(embedded));
  await embedded.close();
  await overRpc("embedded", directory);
  rmSync(directory, { recursive: true, force: true });

  if (hasRedis()) {
    for (const durable of [true, false]) {
      const redis = await startRedis({ durable });
      for (const pid of redis.pids) keepOff(pid);
      const ledger = await openRedis({ urls: redis.urls, cluster: false });
      await measure(`Redis, appendfsync ${durable ? "always" : "no"}`, onStore(ledger));
      await ledger.close();
      await overRpc(`Redis, ${durable ? "always" : "no"}`, redis.urls[0] ?? "");
      await redis.stop();
    }
  } else {
    console.log("redis-server is not installed: no figures for Redis");
  }
  for (const row of rows.filter(({ contestant }) => /^Redis.*gRPC-Web/.test(String(contestant)))) {
    const enough = Number(row["per core"]) >= PER_CORE_MIN ? "at least" : "less than";
    console.log(
      `${row.contestant}: one core of the sidecar does ${row["per core"]} Acquire/s, ${enough} ${PER_CORE_MIN}`,
    );
  }
  record("ledger", rows);
}

if (place) await runServer(place);
else await compare();
