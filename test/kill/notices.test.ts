/**
 * A notice outlives the sidecar that made it: killed after the ledger has kept it and before a receiver has taken it, it
 * is told by the next one, under the same id, and by no later one.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { startScripted } from "../../sidecar/events/testing.ts";
import { Ledger, Meter, Window } from "../../sidecar/gen/weir/v1/ledger_pb.ts";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { startProcesses } from "./processes.ts";

const WAIT_MS = 20_000;
/** Several sweeps: whoever would tell it again has had the time. */
const QUIET_MS = 3_000;

async function until(what: string, is: () => boolean): Promise<void> {
  for (const end = performance.now() + WAIT_MS; !is(); await sleep(10))
    assert.ok(performance.now() < end, `waited for ${what}`);
}

/** Spends a budget whole, in one report. */
async function spendAll(port: number): Promise<void> {
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = createClient(Ledger, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
  const lease = { edge: "edge-1", leaseId: "lease-1" };
  await client.acquire({
    ...{ ...lease, subject: "acme", ttlMs: 60_000 },
    budgets: [
      {
        ...{ name: "monthly", subject: "acme", meter: Meter.TOKENS, window: Window.MONTH },
        ...{ limit: 100n, need: 100n, want: 100n },
      },
    ],
  });
  await client.settle({
    edge: "edge-1",
    reports: [{ leaseId: "lease-1", subject: "acme", sequence: 1n, spent: [100n], final: true }],
  });
}

describe("notices under kill -9", () => {
  for (const store of ["embedded", "redis"] as const)
    it(`are told by the next sidecar under the same id, and then no more, ${store}`, {
      skip: store === "embedded" || hasRedis() ? false : "redis-server is not installed",
    }, async () => {
      let answers = false;
      const receiver = await startScripted((_, response) => {
        if (answers) response.end();
      });
      const processes = await startProcesses(store, {
        WEIR_WEBHOOK_URL: receiver.url,
        WEIR_WEBHOOK_SECRET: "a-secret-of-the-test",
      });
      try {
        await spendAll(processes.port);
        // The ledger has it, the receiver has heard of it, and nobody has taken it.
        await until("the first attempt", () => receiver.received.length > 0);
        await processes.kill("sidecar");
        answers = true;
        const before = receiver.received.length;
        await until("the next sidecar's", () => receiver.received.length > before);
        await sleep(QUIET_MS);
        await processes.kill("sidecar");
        await sleep(QUIET_MS);
        const told = receiver.received.map(({ headers, body }) => [headers["webhook-id"], body]);
        const [[id, body] = []] = told;
        assert.deepEqual(told, [
          [id, body],
          [id, body],
        ]);
        assert.deepEqual(JSON.parse(String(body)).data, { budget: "monthly", subject: "acme", percent: 100 });
      } finally {
        await processes.stop();
        await receiver.close();
      }
    });
});
