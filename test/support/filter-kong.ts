// A stand-in for Kong that drives the real kong-js-pluginserver over its socket: msgpack RPC as Kong's workers speak
// it (plugin.StartInstance, plugin.HandleEvent, plugin.Step), with the PDK calls of one request answered from here.
//
// As in Kong (kong/runloop/plugin_servers/rpc/mp_rpc.lua) a call has a connection for itself, bodies are bytes, and the
// values of a header a list. Implements `Edge`, so that the scenarios run against it. The ledger is a real sidecar port on loopback.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { Decoder, encode } from "@msgpack/msgpack";
import type { Pairs } from "../../host/abi.ts";
import { concat } from "../../host/pieces.ts";
import { buildPlugins } from "../../kong/plugin/build.ts";
import { controlHandlers, serveControl } from "../../sidecar/control/service.ts";
import { LocalLedger } from "../../sidecar/ledger/local.ts";
import { ledgerHandlers, serveLedger } from "../../sidecar/ledger/service.ts";
import { type Answer, type Call, type Edge, llm, parsed, requestOf } from "./filter.ts";
import { filterBytes } from "./filter-build.ts";
import { listening } from "./listening.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const START_MS_MAX = 20_000;

type Call2 = { Method: string; Args: unknown[] };
type Reply = { Data: "ret" | Call2; EventId: number };

/** A connection to the plugin server, which carries one call at a time, as Kong's do. */
class Connection {
  readonly #socket: Socket;
  #waiting: { resolve(value: unknown): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    void this.#read().catch((error: Error) => this.#waiting?.reject(error));
    socket.on("close", () => this.#waiting?.reject(new Error("the plugin server closed the connection")));
  }

  static async open(path: string): Promise<Connection> {
    const socket = createConnection(path);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.on("error", () => {});
    return new Connection(socket);
  }

  async #read(): Promise<void> {
    for await (const message of new Decoder().decodeStream(this.#socket)) {
      const [, , error, value] = message as [number, number, string | null, unknown];
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (error) waiting?.reject(new Error(error));
      else waiting?.resolve(value);
    }
  }

  call(id: number, method: string, args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(encode([0, id, `plugin.${method}`, args]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The plugin server as a process, and a pool of connections to it. */
export class PluginServer {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #idle: Connection[] = [];
  readonly #all: Connection[] = [];
  #next = 1;
  output = "";

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (text) => {
        this.output += text;
      });
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** With Weir's plugins, or with `others` alone: file names and CommonJS. */
  static async start(wasm?: Uint8Array, others?: Record<string, string>): Promise<PluginServer> {
    const folder = mkdtempSync(join(tmpdir(), "weir-kong-"));
    const plugins = join(folder, "plugins");
    mkdirSync(plugins);
    for (const [name, text] of Object.entries(others ?? {})) writeFileSync(join(plugins, name), text);
    if (!others) {
      await buildPlugins(plugins);
      writeFileSync(join(folder, "weir.wasm"), wasm ?? (await filterBytes()));
    }
    const child = spawn(
      process.execPath,
      [join(root, "node_modules/kong-pdk/bin/kong-js-pluginserver"), "-d", plugins, "-p", folder],
      {
        env: {
          ...process.env,
          // The server loads ts-node, which does not know the TypeScript of this project.
          TS_NODE_COMPILER: join(root, "node_modules/kong-pdk/node_modules/typescript"),
          TS_NODE_SKIP_PROJECT: "true",
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    process.once("exit", () => child.kill("SIGKILL"));
    const server = new PluginServer(child, folder);
    await server.#ready();
    return server;
  }

  get #path(): string {
    return join(this.#folder, "js_pluginserver.sock");
  }

  async #ready(): Promise<void> {
    for (const end = Date.now() + START_MS_MAX; ; await sleep(50)) {
      const connection = await Connection.open(this.#path).catch(() => undefined);
      if (connection) return connection.close();
      if (Date.now() > end) throw new Error(`the plugin server did not start:\n${this.output}`);
    }
  }

  async call(method: string, ...args: unknown[]): Promise<unknown> {
    let connection = this.#idle.pop();
    if (!connection) {
      connection = await Connection.open(this.#path);
      this.#all.push(connection);
    }
    try {
      return await connection.call(this.#next++, method, args);
    } finally {
      this.#idle.push(connection);
    }
  }

  async stop(): Promise<void> {
    for (const connection of this.#all) connection.close();
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill();
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface Message {
  status: number;
  headers: Pairs;
  body: Uint8Array;
}

/** One request in Kong. */
interface State {
  call: Call;
  headers: Pairs;
  body: Uint8Array;
  shared: Map<string, string>;
  exit: Message | null;
  response: Message | null;
}

export interface KongEdgeOptions {
  /** `host:port` of a ledger that runs already; else the edge has one of its own. */
  sidecar?: string;
}

/** A sidecar's port with a ledger in memory, which is there or not as `isUp` says. */
export async function ledgerPort(ledger: LocalLedger, isUp: () => boolean): Promise<Server> {
  const handle = connectNodeAdapter({
    routes: (router) => {
      serveLedger(router, ledgerHandlers(ledger));
      serveControl(router, controlHandlers());
    },
  });
  const sidecar = createServer((request, response) => {
    if (isUp()) handle(request, response);
    else request.destroy();
  });
  await listening(sidecar);
  return sidecar;
}

export class KongEdge implements Edge {
  readonly host = "kong-plugin";
  readonly ledger = new LocalLedger();
  readonly #server: PluginServer;
  #sidecar: Server | undefined;
  #instance = 0;
  #phases: string[] = [];
  #up = true;
  /** Bodies as text, as Kong before 3.0 has them. */
  textBodies = false;
  /** The access phase does not reach the plugin server, as while that starts anew. */
  skipsAccess = false;

  private constructor(server: PluginServer) {
    this.#server = server;
  }

  static async open(
    server: PluginServer,
    plugin: string,
    policy: object,
    options: KongEdgeOptions = {},
  ): Promise<KongEdge> {
    const edge = new KongEdge(server);
    try {
      await edge.#start(plugin, policy, options);
      return edge;
    } catch (error) {
      edge.#sidecar?.close();
      throw error;
    }
  }

  async #start(plugin: string, policy: object, options: KongEdgeOptions): Promise<void> {
    if (!options.sidecar) this.#sidecar = await ledgerPort(this.ledger, () => this.#up);
    const config = { policy: JSON.stringify(policy), sidecar: options.sidecar ?? this.sidecar };
    const instance = { Name: plugin, Config: JSON.stringify(config) };
    this.#instance = ((await this.#server.call("StartInstance", instance)) as { Id: number }).Id;
    this.#phases = ((await this.#server.call("GetPluginInfo", plugin)) as { Phases: string[] }).Phases;
  }

  /** `host:port` of its own ledger. */
  get sidecar(): string {
    return `127.0.0.1:${(this.#sidecar!.address() as AddressInfo).port}`;
  }

  async send(call: Call): Promise<Answer & { all(name: string): string[] }> {
    const request = requestOf(call);
    const body = await concat(request.body);
    const headers = [...(request.headers as Pairs)];
    if (body.length > 0 && !call.chunked) headers.push(["content-length", String(body.length)]);
    const state: State = { call, headers, body, shared: new Map(), exit: null, response: null };
    if (!this.skipsAccess) await this.#phase("access", state);
    const upstream = state.exit ? null : { headers: [...state.headers], body: state.body };
    if (!state.exit) {
      state.response = await respond(state);
      if (this.#phases.includes("response")) await this.#phase("response", state);
    }
    const ended = state.exit ?? state.response!;
    state.response = ended;
    await this.#phase("log", state);
    const find = (pairs: Pairs) => (name: string) => pairs.find(([header]) => header === name)?.[1];
    const text = Buffer.from(ended.body).toString();
    return {
      status: ended.status,
      header: find(ended.headers),
      all: (name) => ended.headers.filter(([header]) => header === name).map(([, value]) => value),
      text,
      json: parsed(text),
      upstream: upstream && {
        header: find(upstream.headers),
        text: Buffer.from(upstream.body).toString(),
        complete: true,
      },
      aborted: "",
    };
  }

  /** Runs one phase: an event, and its PDK calls until it returns or the request is over. */
  async #phase(phase: string, state: State): Promise<void> {
    let reply = (await this.#server.call("HandleEvent", {
      InstanceId: this.#instance,
      EventName: phase,
    })) as Reply;
    while (reply.Data !== "ret") {
      const { Method, Args } = reply.Data;
      const given = answer(state, Method, Args);
      const value = this.textBodies && given instanceof Uint8Array ? Buffer.from(given).toString() : given;
      if (Method === "kong.response.exit") return;
      reply = (await this.#server.call("Step", { EventId: reply.EventId, Data: value })) as Reply;
    }
  }

  async budget(organisation: string): Promise<{ spent: number; outstanding: number }> {
    const [first] = await this.ledger.budgets(organisation);
    return { spent: first?.spent ?? 0, outstanding: first?.outstanding ?? 0 };
  }

  setLedgerUp(up: boolean): void {
    this.#up = up;
  }

  wait(ms: number): Promise<void> {
    return sleep(ms);
  }

  async close(): Promise<void> {
    await this.#server.call("CloseInstance", this.#instance);
    this.#sidecar?.closeAllConnections();
    await new Promise((resolve) => (this.#sidecar ? this.#sidecar.close(resolve) : resolve(undefined)));
  }
}

/** The upstream's answer as Kong would have it. */
async function respond(state: State): Promise<Message> {
  const signal = state.call.signal ?? new AbortController().signal;
  // nginx's own status for a client that left before there was an answer.
  if (signal.aborted) return { status: 499, headers: [], body: new Uint8Array(0) };
  try {
    const answer = await (state.call.upstream ?? llm)({ headers: state.headers, body: state.body, signal });
    const given = answer.headers ?? {};
    const headers = Array.isArray(given) ? given : (Object.entries(given) as Pairs);
    return { status: answer.status ?? 200, headers: [...headers], body: await concat(answer.body) };
  } catch {
    return { status: 502, headers: [], body: new Uint8Array(0) };
  }
}

type Headers = Record<string, string | string[]>;

/** Headers as Kong sends them to a plugin server: every value in a list. */
function multiMap(pairs: Pairs): Headers {
  const map: Record<string, string[]> = {};
  for (const [name, value] of pairs) map[name] = [...(map[name] ?? []), value];
  return map;
}

const flat = (headers: Headers): Pairs =>
  Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value): [string, string] => [name, value]),
  );

const without = (pairs: Pairs, names: string[]) => pairs.filter(([name]) => !names.includes(name));

/** What Kong answers to one PDK call. Bodies are bytes in both directions. */
function answer(state: State, method: string, args: unknown[]): unknown {
  const { call, headers } = state;
  const [name, value] = args as [string, string];
  switch (method) {
    case "kong.request.get_method":
      return call.method ?? "POST";
    case "kong.request.get_path_with_query":
      return call.path ?? "/v1/chat/completions";
    case "kong.request.get_headers":
      return multiMap([...headers, ["host", "localhost"]]);
    case "kong.request.get_raw_body":
      return state.body;
    case "kong.client.get_ip":
      return (call.from ?? "203.0.113.7").replace(/[[\]]/g, "");
    case "kong.service.request.set_headers": {
      const set = args[0] as Headers;
      state.headers = [...without(headers, Object.keys(set)), ...flat(set)];
      return;
    }
    case "kong.service.request.clear_header":
      state.headers = without(headers, [name]);
      return;
    case "kong.service.request.set_raw_body":
      state.body = args[0] as Uint8Array;
      state.headers = without(headers, ["content-length"]);
      state.headers.push(["content-length", String(state.body.length)]);
      return;
    case "kong.ctx.shared.set":
      state.shared.set(name, value);
      return;
    case "kong.ctx.shared.get":
      return state.shared.get(name) ?? null;
    case "kong.service.response.get_status":
    case "kong.response.get_status":
      return state.response?.status;
    case "kong.service.response.get_headers":
      return multiMap(state.response?.headers ?? []);
    case "kong.service.response.get_raw_body":
      return state.response?.body ?? new Uint8Array(0);
    case "kong.response.set_headers": {
      const set = args[0] as Headers;
      const response = state.response!;
      response.headers = [...without(response.headers, Object.keys(set)), ...flat(set)];
      return;
    }
    case "kong.response.clear_header":
      state.response!.headers = without(state.response!.headers, [name]);
      return;
    case "kong.response.exit":
      state.exit = {
        status: args[0] as number,
        body: args[1] as Uint8Array,
        headers: flat(args[2] as Headers),
      };
      return;
    default:
      throw new Error(`the plugin called ${method}, which this Kong does not have`);
  }
}
