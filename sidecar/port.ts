/**
 * One TCP port for two protocols: connections that open with HTTP/2's preface go to node:http2 (h2c: gRPC, Connect),
 * all others to node:http (gRPC-Web, Connect, plain routes). TLS is the business of the proxy or mesh in front.
 *
 * Stopping: no new connections; idle ones end at once, busy ones after their last response, all of them after the grace.
 * Bounds: connections; 100 requests under way on each; 10 s for the first bytes of a connection, and for all of an HTTP/1.1 request from
 * its first byte on; 20 s for one of HTTP/2 with its answer; 120 s without any traffic.
 */
import { createServer as createHttpServer } from "node:http";
import { constants, createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { type AddressInfo, createServer as createNetServer, type Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";

/** A handler of node:http or node:http2, with Connect's names for what the two have in common. */
export type Handler = ReturnType<typeof connectNodeAdapter>;
export type Request = Parameters<Handler>[0];
export type Response = Parameters<Handler>[1];

export interface Port {
  readonly port: number;
  /** Resolves when every connection has ended. */
  close(): Promise<void>;
}

export interface PortOptions {
  readonly host: string;
  readonly port: number;
  readonly connectionsMax: number;
  readonly stopGraceMs: number;
  readonly handler: Handler;
  /** A connection more than `connectionsMax` was refused. */
  readonly onFull: () => void;
}

const PREFACE = Buffer.from("PRI ");
const FIRST_BYTES_MS = 10_000;
const REQUEST_MS = 10_000;
/** Of HTTP/2, where a peer may as well never take its answer. */
const STREAM_MS = 20_000;
/** How often requests that take too long are looked for. */
const CHECK_MS = 1_000;
const IDLE_MS = 120_000;
/** Under way on one connection. Clients that have more open another. */
const REQUESTS_MAX = 100;

/** Whether the bytes so far begin an HTTP/2 connection; undefined while it could still be either. */
function isHttp2(head: Buffer): boolean | undefined {
  const length = Math.min(head.length, PREFACE.length);
  if (!head.subarray(0, length).equals(PREFACE.subarray(0, length))) return false;
  return length === PREFACE.length ? true : undefined;
}

/** Reads just enough of a connection to know its protocol, puts it back, and hands the connection on. */
function route(socket: Socket, to: (socket: Socket, http2: boolean) => void): void {
  const timer = setTimeout(() => socket.destroy(), FIRST_BYTES_MS);
  socket.once("close", () => clearTimeout(timer));
  let head = Buffer.alloc(0);
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const http2 = isHttp2(head);
    if (http2 === undefined) return;
    clearTimeout(timer);
    socket.removeListener("readable", onReadable);
    socket.unshift(head);
    to(socket, http2);
  };
  socket.on("readable", onReadable);
}

/** Listens. Rejects with the error of the operating system if it cannot. */
export async function openPort(options: PortOptions): Promise<Port> {
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const overHttp2 = new WeakSet<Socket>();
  /** Requests under way, per HTTP/1.1 connection. */
  const busy = new Map<Socket, number>();
  let stopping = false;

  const timeouts = { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: IDLE_MS };
  const http = createHttpServer(
    { ...timeouts, connectionsCheckingInterval: CHECK_MS },
    (request, response) => {
      const { socket } = request;
      const waiting = (busy.get(socket) ?? 0) + 1;
      // Answers go out in order: there is none to be given to the one that is too many.
      if (waiting > REQUESTS_MAX) return void socket.destroy();
      busy.set(socket, waiting);
      if (stopping) response.setHeader("connection", "close");
      response.once("close", () => {
        const left = (busy.get(socket) ?? 1) - 1;
        if (left > 0) busy.set(socket, left);
        else busy.delete(socket);
        if (stopping && left <= 0) socket.end();
      });
      options.handler(request, response);
    },
  );
  http.timeout = IDLE_MS;
  // It never listens itself, and looks for slow requests only from when it is told that it does.
  http.emit("listening");
  const http2 = createHttp2Server({ settings: { maxConcurrentStreams: REQUESTS_MAX } }, options.handler);
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    // Not closed: that waits for streams that never end, and for what a peer that resets too many is not heard saying.
    session.setTimeout(IDLE_MS, () => session.destroy());
    session.on("stream", (stream) => {
      const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), STREAM_MS);
      stream.once("close", () => clearTimeout(timer));
    });
  });

  const net = createNetServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      busy.delete(socket);
    });
    // A peer that resets its connection is its own business; the protocol's servers see their own errors.
    socket.on("error", () => socket.destroy());
    route(socket, (routed, speaksHttp2) => {
      if (speaksHttp2) overHttp2.add(routed);
      (speaksHttp2 ? http2 : http).emit("connection", routed);
    });
  });
  net.maxConnections = options.connectionsMax;
  net.on("drop", options.onFull);
  await new Promise<void>((resolve, reject) => {
    net.once("error", reject);
    net.listen(options.port, options.host, resolve);
  });

  const close = async (): Promise<void> => {
    stopping = true;
    const closed = new Promise<void>((resolve) => net.close(() => resolve()));
    for (const session of sessions) session.close();
    for (const socket of sockets) if (!overHttp2.has(socket) && !busy.has(socket)) socket.end();
    const timer = setTimeout(() => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
    }, options.stopGraceMs);
    await closed;
    clearTimeout(timer);
    http.close();
  };
  return { port: (net.address() as AddressInfo).port, close };
}
