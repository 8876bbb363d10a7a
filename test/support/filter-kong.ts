// A stand-in for Kong that drives the real kong-js-pluginserver over its socket: msgpack RPC as Kong's workers speak
// it (plugin.StartInstance, plugin.HandleEvent, plugin.Step), with the PDK calls of one request answered from here.
//
// Implements `Edge`, so that the scenarios run against it. The ledger is a real sidecar port on loopback.
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
import { buildPlugins } from "../../kong/plugin/build.ts";
import { LocalLedger } from "../../sidecar/ledger/local.ts";
import { ledgerHandlers, serveLedger } from "../../sidecar/ledger/service.ts";
import { type Answer, type Call, type Edge, llm, parsed, requestOf } from "./filter.ts";
import { filterBytes } from "./filter-build.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const START_MS_MAX = 20_000;

type Call2 = { Method: string; Args: unknown[] };
type Reply = { Data: "ret" | Call2; EventId: number };

/** The plugin server as a process, and one connection to it. */
export class PluginServer {
  readonly #child: ChildProcess;
  readonly #folder: string;
  #socket!: Socket;
  #next = 1;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
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

  static async start(): Promise<PluginServer> {
    const folder = mkdtempSync(join(tmpdir(), "weir-kong-"));
    const plugins = join(folder, "plugins");
    mkdirSync(plugins);
    await buildPlugins(plugins);
    writeFileSync(join(folder, "weir.wasm"), await filterBytes());
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
    const server = new PluginServer(child, folder);
    await server.#connect(join(folder, "js_pluginserver.sock"));
    return server;
  }

  async #connect(path: string): Promise<void> {
    for (const end = Date.now() + START_MS_MAX; ; await sleep(50)) {
      const socket = createConnection(path);
      const connected = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      });
      if (connected) {
        this.#socket = socket;
        break;
      }
      if (Date.now() > end) throw new Error(`the plugin server did not start:\n${this.output}`);
    }
    const answers = new Decoder().decodeStream(this.#socket);
    void (async () => {
      for await (const message of answers) {
        const [, id, error, value] = message as [number, number, string | null, unknown];
        const waiting = this.#waiting.get(id);
        this.#waiting.delete(id);
        if (error) waiting?.reject(new Error(error));
        else waiting?.resolve(value);
      }
    })().catch(() => {});
  }

  call(method: string, ...args: unknown[]): Promise<unknown> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.write(encode([0, id, `plugin.${method}`, args]));
    });
  }

  async stop(): Promise<void> {
    this.#socket.destroy();
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill();
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One request in Kong. */
interface State {
  call: Call;
  headers: Pairs;
  body: string;
  shared: Map<string, string>;
  exit: { status: number; body: string; headers: Record<string, string> } | null;
  response: { status: number; headers: Pairs; body: string } | null;
}

export class KongEdge implements Edge {
  readonly host = "kong-plugin";
  readonly ledger = new LocalLedger();
  readonly #server: PluginServer;
  readonly #instance: number;
  readonly #phases: string[];
  readonly #sidecar: Server;
  #up = true;

  private constructor(server: PluginServer, instance: number, phases: string[], sidecar: Server) {
    this.#server = server;
    this.#instance = instance;
    this.#phases = phases;
    this.#sidecar = sidecar;
  }

  static async open(server: PluginServer, plugin: string, policy: object): Promise<KongEdge> {
    let edge: KongEdge | undefined;
    const ledger = new LocalLedger();
    const handle = connectNodeAdapter({ routes: (router) => serveLedger(router, ledgerHandlers(ledger)) });
    const sidecar = createServer((request, response) => {
      if (edge?.up === false) request.destroy();
      else handle(request, response);
    });
    await new Promise<void>((resolve) => sidecar.listen(0, "127.0.0.1", resolve));
    const config = {
      policy: JSON.stringify(policy),
      sidecar: `127.0.0.1:${(sidecar.address() as AddressInfo).port}`,
    };
    try {
      const started = await server.call("StartInstance", { Name: plugin, Config: JSON.stringify(config) });
      const info = (await server.call("GetPluginInfo", plugin)) as { Phases: string[] };
      edge = new KongEdge(server, (started as { Id: number }).Id, info.Phases, sidecar);
    } catch (error) {
      sidecar.close();
      throw error;
    }
    Object.assign(edge, { ledger });
    return edge;
  }

  get up(): boolean {
    return this.#up;
  }

  async send(call: Call): Promise<Answer> {
    const request = requestOf(call);
    const body = call.body === undefined ? "" : bodyText(request.body);
    const headers = [...(request.headers as Pairs)];
    if (body && !call.chunked) headers.push(["content-length", String(Buffer.byteLength(body))]);
    const state: State = { call, headers, body, shared: new Map(), exit: null, response: null };
    await this.#phase("access", state);
    const upstream = state.exit ? null : { headers: [...state.headers], text: state.body };
    if (!state.exit) {
      state.response = await respond(state);
      if (this.#phases.includes("response")) await this.#phase("response", state);
    }
    const ended = state.exit
      ? {
          status: state.exit.status,
          headers: Object.entries(state.exit.headers) as Pairs,
          body: state.exit.body,
        }
      : state.response!;
    state.response = ended;
    await this.#phase("log", state);
    const find = (pairs: Pairs) => (name: string) => pairs.find(([header]) => header === name)?.[1];
    return {
      status: ended.status,
      header: find(ended.headers),
      text: ended.body,
      json: parsed(ended.body),
      upstream: upstream && { header: find(upstream.headers), text: upstream.text, complete: true },
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
      const value = answer(state, Method, Args);
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
    this.#sidecar.closeAllConnections();
    await new Promise((resolve) => this.#sidecar.close(resolve));
  }
}

function bodyText(body: unknown): string {
  if (typeof body === "string") return body;
  const bytes = Array.isArray(body) ? Buffer.concat(body as Uint8Array[]) : Buffer.from(body as Uint8Array);
  return bytes.toString("latin1") === bytes.toString() ? bytes.toString() : bytes.toString();
}

/** The upstream's answer as Kong would have it. */
async function respond(state: State): Promise<{ status: number; headers: Pairs; body: string }> {
  try {
    const { signal } = new AbortController();
    const answer = await (state.call.upstream ?? llm)({
      headers: state.headers,
      body: Buffer.from(state.body),
      signal,
    });
    const given = answer.headers ?? {};
    const headers = Array.isArray(given) ? given : (Object.entries(given) as Pairs);
    return { status: answer.status ?? 200, headers: [...headers], body: bodyText(answer.body ?? "") };
  } catch {
    return { status: 502, headers: [], body: "" };
  }
}

const record = (pairs: Pairs) => Object.fromEntries(pairs);

/** What Kong answers to one PDK call. */
function answer(state: State, method: string, args: unknown[]): unknown {
  const { call, headers } = state;
  const [first, second, third] = args as [string, string, Record<string, string>];
  const from = call.from ?? "203.0.113.7";
  const put = (to: Pairs) => {
    const at = to.findIndex(([name]) => name === first);
    if (at < 0) to.push([first, second]);
    else to[at] = [first, second];
  };
  switch (method) {
    case "kong.request.get_method":
      return call.method ?? "POST";
    case "kong.request.get_scheme":
      return "http";
    case "kong.request.get_host":
      return "localhost";
    case "kong.request.get_path_with_query":
      return call.path ?? "/v1/chat/completions";
    case "kong.request.get_headers":
      return record(headers);
    case "kong.request.get_raw_body":
      return state.body;
    case "kong.client.get_ip":
      return from.replace(/[[\]]/g, "");
    case "kong.client.get_port":
      return 4711;
    case "kong.service.request.set_header":
      return put(headers);
    case "kong.service.request.clear_header":
      state.headers = headers.filter(([name]) => name !== first);
      return;
    case "kong.service.request.set_raw_body":
      state.body = first;
      state.headers = headers.filter(([name]) => name !== "content-length");
      state.headers.push(["content-length", String(Buffer.byteLength(first))]);
      return;
    case "kong.ctx.shared.set":
      state.shared.set(first, second);
      return;
    case "kong.ctx.shared.get":
      return state.shared.get(first) ?? null;
    case "kong.service.response.get_status":
    case "kong.response.get_status":
      return state.response?.status;
    case "kong.service.response.get_headers":
      return record(state.response?.headers ?? []);
    case "kong.service.response.get_raw_body":
      return state.response?.body ?? "";
    case "kong.response.set_header":
      return put(state.response!.headers);
    case "kong.response.exit":
      state.exit = { status: Number(first), body: second, headers: third };
      return;
    default:
      throw new Error(`the plugin called ${method}, which this Kong does not have`);
  }
}
