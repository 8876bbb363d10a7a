import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { listening } from "../test/support/listening.ts";
import { reasonOf } from "./errors.ts";

test("why a place could not be reached is told by what was found there, not by fetch alone", async () => {
  const server = createServer((request) => request.socket.destroy());
  const port = await listening(server);
  const reasonAt = async (url: string) => reasonOf(await fetch(url).catch((error) => error));
  assert.equal(await reasonAt(`http://127.0.0.1:${port}/`), "fetch failed: other side closed");
  await new Promise((resolve) => server.close(resolve));
  const refused = "fetch failed: ECONNREFUSED: connection refused";
  assert.equal(await reasonAt(`http://127.0.0.1:${port}/`), refused);
  assert.equal(await reasonAt(`http://localhost:${port}/`), refused, "of an address with several forms");
  assert.equal(
    reasonOf(new Error("the webhook's receiver answered 500")),
    "the webhook's receiver answered 500",
  );
  assert.equal(reasonOf("odd"), "failed");
});

test("an answer that cannot be unpacked is told as that, and not as what the operating system has under zlib's numbers", async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-encoding": "gzip" }).end("plain");
  });
  const port = await listening(server);
  const answer = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(reasonOf(await answer.text().catch((error) => error)), "terminated: incorrect header check");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
