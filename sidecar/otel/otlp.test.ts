/** However a collector behaves, what waits for it is bounded and goes on, and the log has its reason. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { startScripted } from "../events/testing.ts";
import { type Otlp, openOtlp } from "./otlp.ts";

const record = (text = "") => ({
  eventName: "weir.request",
  timeMs: 1_000,
  severity: { number: SeverityNumber.INFO, text: "INFO" },
  body: "request",
  attributes: { text },
});

async function open(script: Parameters<typeof startScripted>[0], timeoutMs = 500) {
  const server = await startScripted(script);
  const counts: Record<string, number> = {};
  const failures: string[] = [];
  const otlp: Otlp = openOtlp(
    { tracesUrl: "", logsUrl: server.url, headers: {}, timeoutMs, resource: {} },
    {
      onOutcome: (_, outcome, count) => {
        counts[outcome] = (counts[outcome] ?? 0) + count;
      },
      onFailure: (_, error) => void failures.push((error as Error).message),
    },
  );
  return { server, otlp, counts, failures };
}

describe("OTLP", () => {
  it("goes on when a collector never ends its answer", async () => {
    let asked = 0;
    const { server, otlp, counts } = await open((_, response) => {
      if (++asked > 1) return void response.end();
      response.writeHead(200);
      // Never silent for as long as the timeout.
      const timer = setInterval(() => response.write("x"), 10);
      response.on("close", () => clearInterval(timer));
    }, 100);
    otlp.log(record());
    while (asked === 0) await sleep(10);
    otlp.log(record());
    for (let i = 0; i < 300 && counts.delivered !== 2; i++) await sleep(10);
    assert.deepEqual([asked, counts], [2, { delivered: 2 }]);
    await otlp.close(1_000);
    await server.close();
  });

  it("keeps what a collector has not taken until it is back, and what it refuses no longer", async () => {
    let status = 503;
    const { server, otlp, counts, failures } = await open((_, response) => {
      response.writeHead(status).end();
    }, 100);
    const settle = async (outcome: string) => {
      otlp.log(record());
      if (outcome === "delivered") {
        while (failures.length === 0) await sleep(10);
        assert.deepEqual(counts, {});
        status = 200;
      }
      for (let i = 0; i < 500 && counts[outcome] !== 1; i++) await sleep(10);
    };
    await settle("delivered");
    status = 400;
    await settle("failed");
    await otlp.close(1_000);
    await server.close();
    assert.deepEqual(counts, { delivered: 1, failed: 1 });
    assert.equal(failures.at(-1), "the receiver answered 400");
    assert.equal(failures.length, 2);
  });

  for (const [status, told] of [
    [401, "the receiver answered 401"],
    [503, "the receiver answered 429, 502, 503 or 504"],
  ] as const)
    it(`tells that a collector answers ${status}`, async () => {
      const { server, otlp, counts, failures } = await open((_, response) => {
        response.writeHead(status, "").end("no");
      });
      otlp.log(record());
      await otlp.close(5_000);
      await server.close();
      assert.deepEqual([failures, counts], [[told], { failed: 1 }]);
    });

  it("keeps fewer records for a collector that hangs when they have texts", async () => {
    const { server, otlp, counts } = await open(() => {}, 60_000);
    const text = "x".repeat(8 << 10);
    for (let i = 0; i < 5_000; i++) otlp.log(record(text));
    // 16 Mi characters.
    assert.deepEqual(counts, { dropped: 5_000 - 2_048 });
    assert.equal(otlp.used("logs"), 1);
    await otlp.close(10);
    await server.close();
  });
});
