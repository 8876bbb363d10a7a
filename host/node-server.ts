// A gateway around the filter on node:http: what `npx weir serve` runs on machines without Envoy. For development, not
// for production: one worker, HTTP/1.1, one upstream.
//
// Responses stream chunk by chunk (server-sent events flow as they come, and a slow client holds the upstream back);
// request bodies are kept whole, as the filter needs them, up to the buffer limit (413 above). Time, ticks and callouts
// are real. `close` ends all it started.
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Pairs } from "./abi.ts";
import { type CalloutDispatcher, httpCallouts, rawPairs } from "./callouts.ts";
import { type Clock, systemClock } from "./clock.ts";
import { type ExchangeRequest, exchange, type ResponseSink, type UpstreamResponse } from "./exchange.ts";
import type { Metrics } from "./metrics.ts";
import { createVm, type LogSink, type Vm, type VmOptions } from "./vm.ts";

export interface ServeOptions {
  wasm: Uint8Array | WebAssembly.Module;
  /** The plugin configuration, as Envoy would give it. */
  policy: string | Uint8Array;
  /** `host:port` of the LLM. */
  upstream: string;
  /** Where callouts go: cluster name to `host:port`, for instance the sidecar's. */
  clusters?: Readonly<Record<string, string>>;
  /** How callouts are sent, instead of over HTTP to `clusters`. */
  callouts?: CalloutDispatcher;
  /** Default 0: any free port. */
  port?: number;
  /** Default 127.0.0.1. */
  address?: string;
  profile?: VmOptions["profile"];
  /** Bytes of a request body that are kept; default 1 MiB. */
  bodyBufferBytes?: number;
  log?: LogSink;
  metrics?: Metrics;
  clock?: Clock;
}

export interface Gateway {
  port: number;
  vm: Vm;
  /** Stops listening and drops connections; ticks go on. Resolves when all connections have ended. */
  stop(): Promise<void>;
  /** The same, and drops timers. */
  close(): Promise<void>;
}

const BODY_BYTES_DEFAULT = 1 << 20;
/** What the host holds of a body that nginx would have on disk. */
const DISK_BYTES_MAX = 16 << 20;
const TICK_CHECK_MS = 50;
const REQUEST_TIMEOUT_MS = 60_000;

/** Of a request or an answer; Envoy's bound of the former. */
const HEADER_BYTES_MAX = 60 << 10;

/** Connection-bound headers, which no proxy passes on (RFC 9110, section 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Starts the gateway. Rejects when the policy is refused (the reasons are in the log) or the port is taken. */
export async function serve(options: ServeOptions): Promise<Gateway> {
  const vm = createVm({
    wasm: options.wasm,
    profile: options.profile ?? "envoy",
    plugins: [{ configuration: options.policy }],
    clock: options.clock ?? systemClock,
    callouts: options.callouts ?? httpCallouts(options.clusters ?? {}),
    bodyBufferBytes: options.bodyBufferBytes ?? BODY_BYTES_DEFAULT,
    ...(options.clusters && { targets: Object.keys(options.clusters) }),
    ...(options.log && { log: options.log }),
    ...(options.metrics && { metrics: options.metrics }),
  });
  if (!vm.roots[0]?.ok) throw new Error("the filter refused the policy; its log says why");

  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (incoming, outgoing) => {
    handle(vm, options, incoming, outgoing).catch((error) => {
      options.log?.("error", `gateway: ${error instanceof Error ? error.message : String(error)}`);
      if (outgoing.headersSent) outgoing.destroy();
      else if (isTooLarge(error)) outgoing.writeHead(413, { connection: "close" }).end();
      else outgoing.writeHead(503).end();
    });
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, options.address ?? "127.0.0.1", resolve);
  });
  const ticks = setInterval(() => {
    try {
      vm.tickDue();
    } catch (error) {
      options.log?.("error", `gateway: tick: ${error instanceof Error ? error.message : String(error)}`);
    }
  }, TICK_CHECK_MS);
  const stop = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return {
    port: (server.address() as AddressInfo).port,
    vm,
    stop,
    close: async () => {
      clearInterval(ticks);
      await stop();
    },
  };
}

async function handle(
  vm: Vm,
  options: ServeOptions,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  const result = await exchange(
    vm,
    // nginx writes what it does not keep in memory to disk: the filter is told of it, and refuses it.
    requestOf(incoming, vm.profile.wholeRequestBody ? DISK_BYTES_MAX : vm.bodyBufferBytes),
    ({ headers, body, signal }) => forward(options.upstream, headers, body, signal),
    { sink: sinkTo(outgoing), signal: gone.signal },
  );
  if (result.aborted) outgoing.destroy();
  else outgoing.end();
  // What is left of a body that nobody needed stands in the way of the connection's next request.
  incoming.resume();
}

/** A request's body is longer than is kept. Where the filter holds the body itself, it answers before this is seen. */
class BodyTooLarge extends Error {}

/** Also where the exchange has wrapped it. */
const isTooLarge = (error: unknown) =>
  error instanceof BodyTooLarge || (error instanceof Error && error.cause instanceof BodyTooLarge);

async function* bounded(body: IncomingMessage, most: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  // The connection is still needed, to say 413 on it.
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > most) throw new BodyTooLarge(`a request body of more than ${most} bytes`);
    yield chunk;
  }
}

function requestOf(incoming: IncomingMessage, bodyBytesMax: number): ExchangeRequest {
  const { authority, path } = target(incoming);
  const headers: Pairs = [
    [":method", incoming.method ?? "GET"],
    [":path", path],
    [":scheme", "http"],
    [":authority", authority],
  ];
  const bound = (incoming.headers.connection ?? "").toLowerCase().split(/[\s,]+/);
  for (const pair of rawPairs(incoming.rawHeaders)) {
    const [name, value] = pair;
    // The filter judges an upgrade; that to HTTP/2 it is not shown, as Envoy takes it off by itself.
    const wishes = name === "upgrade" && value.toLowerCase() !== "h2c";
    // Node has answered an expectation by now.
    const passes =
      !HOP_BY_HOP.has(name) && name !== "expect" && (name === "content-length" || !bound.includes(name));
    if (name !== "host" && (wishes || passes)) headers.push(pair);
  }
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = incoming.socket;
  const plain = remoteAddress.replace(/^::ffff:/, "");
  const address = plain.includes(":") ? `[${plain}]:${remotePort}` : `${plain}:${remotePort}`;
  const empty = incoming.headers["content-length"] === "0" || !("content-length" in incoming.headers);
  const bodiless = empty && !("transfer-encoding" in incoming.headers);
  return {
    method: incoming.method ?? "GET",
    headers,
    ...(!bodiless && { body: bounded(incoming, bodyBytesMax) }),
    properties: new Map<string, string | number>([
      ["source.address", address],
      ["source.port", remotePort],
      ["destination.address", `${localAddress}:${localPort}`],
      ["request.protocol", `HTTP/${incoming.httpVersion}`],
    ]),
  };
}

/** What is asked for, and of whom; in a request that names both, as to a proxy, that counts and not the host header. */
function target({ url = "/", headers }: IncomingMessage): { authority: string; path: string } {
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url);
  if (!absolute) return { authority: headers.host ?? "", path: url };
  const [, authority = "", path = ""] = absolute;
  return { authority, path: path.startsWith("/") ? path : `/${path}` };
}

function sinkTo(outgoing: ServerResponse): ResponseSink {
  return {
    headers(status, headers) {
      const flat: string[] = [];
      for (const [name, value] of headers) if (!HOP_BY_HOP.has(name)) flat.push(name, value);
      outgoing.writeHead(status, flat);
      outgoing.flushHeaders();
    },
    chunk(bytes) {
      if (outgoing.write(bytes) || outgoing.destroyed) return;
      return new Promise<void>((resolve) => {
        const done = () => {
          outgoing.off("drain", done);
          outgoing.off("close", done);
          resolve();
        };
        outgoing.on("drain", done);
        outgoing.on("close", done);
      });
    },
  };
}

/** Sends a request on, without an upgrade that the filter let pass: this gateway has none. The answer's body streams. */
function forward(
  upstream: string,
  headers: Pairs,
  body: Uint8Array,
  signal: AbortSignal,
): Promise<UpstreamResponse> {
  const colon = upstream.lastIndexOf(":");
  const flat: string[] = [];
  const pseudo = new Map<string, string>();
  for (const [name, value] of headers) {
    if (name.startsWith(":")) pseudo.set(name, value);
    else if (!HOP_BY_HOP.has(name) && name !== "content-length") flat.push(name, value);
  }
  flat.push("host", pseudo.get(":authority") ?? upstream);
  if (body.length > 0) flat.push("content-length", String(body.length));
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({
      host: upstream.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(upstream.slice(colon + 1)),
      method: pseudo.get(":method") ?? "GET",
      path: pseudo.get(":path") ?? "/",
      headers: flat,
      maxHeaderSize: HEADER_BYTES_MAX,
      signal,
    });
    outgoing.on("error", reject);
    // Nobody asked for it, and without a listener nothing else would ever be heard.
    outgoing.on("upgrade", (answer, socket) => {
      socket.destroy();
      reject(new Error(`the upstream switched protocols: ${answer.headers.upgrade}`));
    });
    outgoing.on("response", (answer) => {
      const answered = rawPairs(answer.rawHeaders).filter(([name]) => !HOP_BY_HOP.has(name));
      const bodiless = answer.statusCode === 204 || answer.statusCode === 304;
      resolve({
        status: answer.statusCode ?? 502,
        headers: answered,
        ...(!bodiless && { body: answer as AsyncIterable<Uint8Array> }),
      });
    });
    outgoing.end(body);
  });
}
