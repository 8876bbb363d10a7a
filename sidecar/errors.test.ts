import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { reasonOf } from "./errors.ts";

test("why a place could not be reached is told by what was found there, not by fetch alone", async () => {
  const server = createServer((request) => request.socket.destroy()).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
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
