/** What one slow or greedy peer may hold of the port. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, constants, type ServerHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { openPort, type Port, type Response } from "./port.ts";

const DRIP_MS = 500;
/** 10 s, and what the look for slow requests may be late. */
const HELD_MS_MAX = 13_000;
const RESTS_MS = 6_000;
/** 20 s, and what timers may be late. */
const STREAM_MS_MAX = 22_000;

describe("the port", () => {
  let port: Port;
  let full = 0;
  const sockets = new Set<Socket>();
  /** Requests for /wait, which are answered when a test says so. */
  const waiting: Response[] = [];
  let session: ServerHttp2Session | undefined;

  before(async () => {
    port = await openPort({
      ...{ host: "127.0.0.1", port: 0, connectionsMax: 3, stopGraceMs: 100 },
      handler: (request, response) => {
        if ("stream" in request) session = request.stream.session as ServerHttp2Session;
        if (request.url === "/wait") waiting.push(response);
        request.resume().on("end", () => request.url === "/wait" || response.end("done"));
      },
      onFull: () => full++,
    });
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await port.close();
  });

  const opened = (): Socket => {
    const socket = connect(port.port, "127.0.0.1").on("error", () => undefined);
    sockets.add(socket.once("close", () => sockets.delete(socket)));
    return socket;
  };

  it("gives up requests that are not there in 10 s however they drip in, and keeps a connection that rests", async () => {
    const drip = async (first: string, more: string): Promise<number> => {
      const socket = opened();
      const started = Date.now();
      socket.write(first);
      const timer = setInterval(() => socket.write(more), DRIP_MS);
      const [answer] = await once(socket, "data");
      assert.match(String(answer), /^HTTP\/1\.1 408 /);
      clearInterval(timer);
      return Date.now() - started;
    };
    const rest = async (): Promise<void> => {
      const socket = opened();
      for (const waitMs of [RESTS_MS, 0]) {
        socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        assert.match(String(await once(socket, "data")), /^HTTP\/1\.1 200 /);
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      socket.destroy();
    };
    const [headers, body] = await Promise.all([
      drip("GET / HTTP/1.1\r\nhost: x\r\n", "a: b\r\n"),
      drip("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n", "x"),
      rest(),
    ]);
    assert.ok(headers < HELD_MS_MAX && body < HELD_MS_MAX, `${headers} and ${body} ms`);
  });

  it("begins no more than 100 requests of one connection of HTTP/2 at a time", async () => {
    const session = connectHttp2(`http://127.0.0.1:${port.port}`);
    await once(session, "remoteSettings");
    const streams = Array.from({ length: 150 }, () => session.request({ ":method": "POST", ":path": "/" }));
    let answered = 0;
    for (const stream of streams) stream.on("response", () => answered++).resume();
    for (const stream of streams.slice(100)) stream.end();
    await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
    assert.equal(answered, 0);
    for (const stream of streams.slice(0, 100)) stream.end();
    await Promise.all(streams.map((stream) => once(stream, "close")));
    assert.equal(answered, streams.length);
    session.destroy();
  });

  it("gives up a request of HTTP/2 whose body never ends, and one whose answer is never taken, in 20 s", async () => {
    const started = Date.now();
    const client = connectHttp2(`http://127.0.0.1:${port.port}`, { settings: { initialWindowSize: 0 } });
    await once(client, "remoteSettings");
    const streams = [
      client.request({ ":method": "POST", ":path": "/" }, { endStream: false }),
      client.request({ ":method": "GET", ":path": "/" }),
    ];
    await Promise.all(
      streams.map(async (stream) => {
        stream.on("error", () => undefined);
        await once(stream, "close");
        assert.equal(stream.rstCode, constants.NGHTTP2_CANCEL);
      }),
    );
    assert.ok(Date.now() - started < STREAM_MS_MAX);
    client.destroy();
  });

  it("ends a connection of HTTP/2 without traffic, also under streams that are open", async () => {
    const client = connectHttp2(`http://127.0.0.1:${port.port}`);
    const stream = client.request({ ":method": "POST", ":path": "/" }, { endStream: false });
    for (const peer of [client, stream]) peer.on("error", () => undefined);
    await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
    const closed = once(client, "close");
    // What Node does after 120 s.
    session?.emit("timeout");
    await closed;
  });

  it("closes a connection of HTTP/1.1 that asks on and on without waiting for answers", async () => {
    const asked = (count: number): string =>
      "POST /wait HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx".repeat(count);
    const [many, tooMany] = [opened(), opened()];
    let text = "";
    many.on("data", (chunk) => {
      text += chunk;
    });
    many.write(asked(100));
    await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
    tooMany.write(asked(1_000));
    await once(tooMany, "close");
    assert.equal(waiting.length, 200);
    for (const response of waiting) response.end("done");
    await new Promise((resolve) => setTimeout(resolve, DRIP_MS));
    assert.equal(text.match(/done/g)?.length, 100);
    many.destroy();
  });

  it("tells that it refuses connections above its bound", async () => {
    const held = [opened(), opened(), opened()];
    await Promise.all(held.map((socket) => once(socket, "connect")));
    assert.equal(full, 0);
    await once(opened(), "close");
    assert.equal(full, 1);
  });
});
