/** What is told of a Redis that cannot be reached: why, and never the password. It needs no `redis-server`. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { listening } from "../../../test/support/listening.ts";
import { WeirError } from "../../errors.ts";
import { observed } from "../../log.ts";
import { makeSettings } from "../../settings.ts";
import { reasonOf } from "./connect.ts";
import { openRedis } from "./store.ts";

const PASSWORD = "s3cret-of-redis";

/** Opens a ledger on `port`; gives what the sidecar would say, and what it logs. */
async function failing(port: number, cluster: boolean): Promise<{ said: string; logged: string[] }> {
  const urls = [`redis://weir:${PASSWORD}@127.0.0.1:${port}`];
  const logged: string[] = [];
  const hooks = observed(makeSettings({ ledger: { kind: "redis", urls, cluster } }), (_level, line) =>
    logged.push(line),
  );
  try {
    await openRedis({ urls, cluster, hooks });
  } catch (thrown) {
    assert.ok(thrown instanceof WeirError && thrown.code === "unavailable");
    return { said: thrown.message, logged };
  }
  throw new Error("it connected");
}

for (const cluster of [false, true]) {
  const kind = cluster ? "a cluster" : "Redis";

  test(`${kind} that nobody listens for is told with the system's reason, once a minute`, async () => {
    const server = createServer();
    const port = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    const { said, logged } = await failing(port, cluster);
    assert.equal(said, `Redis cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`);
    assert.deepEqual(
      logged.map((line) => JSON.parse(line).message),
      [`the connection to Redis failed: connect ECONNREFUSED 127.0.0.1:${port}`],
    );
  });

  test(`${kind} that refuses the password is told with its code, without what it repeats`, async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", () =>
        socket.write(`-WRONGPASS with args beginning with: 'AUTH' 'weir' '${PASSWORD}'\r\n`.repeat(2)),
      );
    });
    const port = await listening(server);
    try {
      const { said, logged } = await failing(port, cluster);
      assert.equal(said, "Redis cannot be reached: Redis answered WRONGPASS");
      assert.match(logged.join("\n"), /the connection to Redis failed: Redis answered WRONGPASS/);
      assert.ok(!logged.join("\n").includes(PASSWORD));
    } finally {
      server.close();
    }
  });
}

for (const [what, said] of [
  ["has as many clients as it takes", "max number of clients reached"],
  ["is taken for a cluster and is none", "This instance has cluster support disabled"],
  ["has no database of that number", "DB index is out of range"],
] as const)
  test(`a Redis that ${what} is told so, and not with a code that says nothing`, async () => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end(`-ERR ${said}\r\n`);
    });
    const port = await listening(server);
    try {
      const { logged } = await failing(port, false);
      assert.ok(logged.join("\n").includes(`failed: Redis answered ${said}"`), logged.join("\n"));
    } finally {
      server.close();
    }
  });

test("a Redis that refuses in TLS is told with what it said, in words", () => {
  const message =
    "800C:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../rec_layer_s3.c:1601:\n";
  const error = Object.assign(new Error(message), {
    code: "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    reason: "tlsv13 alert certificate required",
  });
  assert.equal(reasonOf(error), "TLS: tlsv13 alert certificate required");
});
