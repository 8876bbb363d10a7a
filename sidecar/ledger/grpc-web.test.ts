/** The direct gRPC-Web way on raw HTTP: its bytes, its refusals, and what it leaves to others. */
import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { listening } from "../../test/support/listening.ts";
import { serveUnary, type UnaryMethod } from "./grpc-web.ts";

const BYTES_MAX = 64;
const methods = new Map<string, UnaryMethod>([
  ["/s/Echo", async (message) => message],
  [
    "/s/Refuse",
    async () => {
      throw new ConnectError("Größe: 100 %\r\nx: y \uD800", Code.InvalidArgument);
    },
  ],
  [
    "/s/Break",
    async () => {
      throw new Error("a secret");
    },
  ],
]);

const frame = (bytes: Buffer, flags = 0): Buffer => {
  const head = Buffer.from([flags, 0, 0, 0, 0]);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};

describe("unary gRPC-Web", () => {
  let server: Server;
  before(async () => {
    const handler = serveUnary(methods, BYTES_MAX);
    server = createServer((req, res) => {
      if (!handler(req, res)) res.writeHead(404).end("another handler");
    });
    await listening(server);
  });
  after(() => server.close());

  const post = (path: string, body: Buffer, more: Record<string, string> = {}) =>
    new Promise<{ status: number; headers: IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
      const { port } = server.address() as AddressInfo;
      const headers = { "content-type": "application/grpc-web+proto", ...more };
      const sent = request({ host: "127.0.0.1", port, path, method: "POST", headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () => {
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, body: Buffer.concat(chunks) });
        });
      });
      sent.on("error", reject);
      sent.end(body);
    });
  const trailerOf = (body: Buffer): string => {
    assert.equal(body[0], 0x80);
    assert.equal(body.readUInt32BE(1), body.length - 5);
    return body.subarray(5).toString();
  };

  it("answers one message and its trailer in one body of known length", async () => {
    const message = Buffer.from("hello");
    const { status, headers, body } = await post("/s/Echo", frame(message));
    const expected = Buffer.concat([frame(message), frame(Buffer.from("grpc-status: 0\r\n"), 0x80)]);
    assert.deepEqual([status, body], [200, expected]);
    assert.deepEqual(
      [headers["content-type"], headers["content-length"]],
      ["application/grpc-web+proto", String(expected.length)],
    );
  });

  it("takes an empty message", async () => {
    const { body } = await post("/s/Echo", frame(Buffer.alloc(0)));
    assert.deepEqual(body.subarray(0, 5), Buffer.alloc(5));
  });

  it("says a refusal in the trailer, whatever its text holds", async () => {
    const { body } = await post("/s/Refuse", frame(Buffer.alloc(0)));
    assert.equal(
      trailerOf(body),
      "grpc-status: 3\r\ngrpc-message: Gr%C3%B6%C3%9Fe: 100 %25%0D%0Ax: y %EF%BF%BD\r\n",
    );
  });

  it("tells nobody the message of an error that it does not know", async () => {
    const { body } = await post("/s/Break", frame(Buffer.alloc(0)));
    assert.equal(trailerOf(body), "grpc-status: 13\r\ngrpc-message: internal error\r\n");
  });

  it("refuses bodies that are not one frame, and frames above the limit", async () => {
    const small = frame(Buffer.from("hello"));
    for (const [body, status] of [
      [Buffer.alloc(0), 3],
      [Buffer.from([0, 0]), 3],
      [small.subarray(0, 7), 3],
      [Buffer.concat([small, small]), 3],
      [frame(Buffer.from("hello"), 1), 3],
      [frame(Buffer.alloc(BYTES_MAX)), 0],
      [frame(Buffer.alloc(BYTES_MAX + 1)), 8],
      [Buffer.from([0, 255, 255, 255, 255]), 8],
    ] as const) {
      const answer = await post("/s/Echo", body);
      assert.match(
        answer.body.toString("latin1"),
        new RegExp(`grpc-status: ${status}\r\n`),
        body.toString("hex"),
      );
    }
  });

  it("leaves other paths, encodings and content types to others", async () => {
    const body = frame(Buffer.alloc(0));
    assert.equal((await post("/s/Other", body)).status, 404);
    assert.equal((await post("/s/Echo", body, { "grpc-encoding": "gzip" })).status, 404);
    assert.equal((await post("/s/Echo", body, { "content-type": "application/grpc-web-text" })).status, 404);
    assert.equal((await post("/s/Echo", body, { "content-type": "application/proto" })).status, 404);
  });
});
