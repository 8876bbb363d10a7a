/** What one slow or greedy peer may hold of the port. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { openPort, type Port } from "./port.ts";

const DRIP_MS = 500;
/** 10 s, and what the look for slow requests may be late. */
const HELD_MS_MAX = 13_000;
const RESTS_MS = 6_000;

describe("the port", () => {
  let port: Port;
  let full = 0;
  const sockets = new Set<Socket>();

  before(async () => {
    port = await openPort({
      ...{ host: "127.0.0.1", port: 0, connectionsMax: 3, stopGraceMs: 100 },
      handler: (request, response) => {
        request.resume().on("end", () => response.end("done"));
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

  it("tells that it refuses connections above its bound", async () => {
    const held = [opened(), opened(), opened()];
    await Promise.all(held.map((socket) => once(socket, "connect")));
    assert.equal(full, 0);
    await once(opened(), "close");
    assert.equal(full, 1);
  });
});
