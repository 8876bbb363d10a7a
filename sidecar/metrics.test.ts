import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Registry } from "prom-client";
import catalog from "../catalog/sidecar-metrics.json" with { type: "json" };
import { WeirError } from "./errors.ts";
import { Ledger, Meter, Window } from "./gen/weir/v1/ledger_pb.ts";
import { noticeIdOf, noticeOf, type Ledger as Store } from "./ledger/types.ts";
import { define, makeMetrics } from "./metrics.ts";
import type { Request, Response } from "./port.ts";
import { startSidecar } from "./server.ts";
import { makeSettings } from "./settings.ts";

type Hooks = ReturnType<typeof makeMetrics>["hooks"];

async function withSidecar(
  run: (hooks: Hooks, scrape: () => Promise<string>, port: number) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "weir-metrics-"));
  const { hooks } = makeMetrics("embedded");
  const settings = makeSettings({ port: 0, ledger: { kind: "embedded", directory } });
  const sidecar = await startSidecar(settings, hooks);
  const scrape = async () => {
    const response = await fetch(`http://127.0.0.1:${sidecar.port}/metrics`);
    assert.equal(response.status, 200);
    return response.text();
  };
  try {
    await run(hooks, scrape, sidecar.port);
  } finally {
    await sidecar.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

test("the sidecar serves its metrics, and counts notices by percentage", () =>
  withSidecar(async (hooks, scrape) => {
    hooks.onNotices?.([noticeOf(noticeIdOf(0, 80, "lease-1", "acme|tokens-month|tokens|month||0"))]);
    const text = await scrape();
    assert.match(text, /^weir_sidecar_budget_notices_total\{percent="80"\} 1$/m);
    assert.match(text, /^weir_sidecar_ledger_ready 1$/m);
    assert.match(text, /^weir_sidecar_info\{version="\d+\.\d+\.\d+",ledger="embedded"\} 1$/m);
    assert.match(text, /^process_cpu_seconds_total /m);
    assert.doesNotMatch(text, /acme|tokens-month/);
  }));

test("those who ask for the page at once get one page, for which the ledger is asked once", async () => {
  const { hooks } = makeMetrics("embedded");
  let asked = 0;
  const ledger = { ready: async () => ++asked } as unknown as Store;
  const page = () =>
    new Promise<string>((resolve) => {
      const response = { setHeader: () => undefined, end: resolve } as unknown as Response;
      hooks.http?.({ method: "GET", url: "/metrics" } as Request, response, ledger);
    });
  const pages = await Promise.all(Array.from({ length: 100 }, page));
  assert.match(pages[99] ?? "", /^weir_sidecar_ledger_ready 1$/m);
  assert.match(await page(), /^weir_sidecar_ledger_ready 2$/m);
});

test("every series of a closed label is there before anything has happened", () =>
  withSidecar(async (_hooks, scrape) => {
    const text = await scrape();
    assert.match(text, /^weir_sidecar_errors_total\{code="unavailable"\} 0$/m);
    assert.match(text, /^weir_sidecar_redis_connection_errors_total 0$/m);
    assert.match(text, /^weir_sidecar_calls_total\{method="settle",outcome="error"\} 0$/m);
    assert.match(text, /^weir_sidecar_redis_script_seconds_count\{script="acquire",outcome="error"\} 0$/m);
    assert.match(text, /^weir_sidecar_reports_total\{status="unknown_lease"\} 0$/m);
  }));

test("nothing that callers choose becomes a series: a thousand calls leave the page as long as it was", () =>
  withSidecar(async (hooks, scrape) => {
    const lines = async () => (await scrape()).split("\n").filter((line) => line.startsWith("weir_")).length;
    const before = await lines();
    for (let i = 0; i < 1_000; i++) {
      hooks.onNotices?.([
        noticeOf(noticeIdOf(0, i % 2 ? 80 : 100, `lease-${i}`, `s${i}|b${i}|tokens|month||0`)),
      ]);
      hooks.onError?.(new WeirError("unavailable", `message ${i}`));
      hooks.onCall?.("acquire", i / 1_000, i % 2 ? "ok" : "busy");
      hooks.onReports?.(["applied", "stale"]);
      hooks.onScript?.("acquire", i / 1_000, "ok");
    }
    assert.equal(await lines(), before);
  }));

test("calls are counted and timed by how they ended, reports by what became of them", () =>
  withSidecar(async (_hooks, scrape, port) => {
    const baseUrl = `http://127.0.0.1:${port}`;
    const client = createClient(Ledger, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
    const subject = "acme";
    const acquire = (leaseId: string, need: bigint, limit = 10n) => {
      const amounts = { limit, need, want: need };
      const budgets = [{ name: "b", subject, meter: Meter.REQUESTS, window: Window.DAY, ...amounts }];
      return client.acquire({ leaseId, edge: "edge", subject, ttlMs: 60_000, budgets });
    };
    await acquire("one", 6n);
    await acquire("two", 6n);
    await acquire("three", 11n);
    await assert.rejects(acquire("four", 1n << 60n));
    const report = { leaseId: "one", subject, sequence: 1n, spent: [6n], final: true };
    await client.settle({ edge: "edge", reports: [report, report, { ...report, leaseId: "nobody" }] });
    const text = await scrape();
    for (const line of [
      'calls_total{method="acquire",outcome="ok"} 1',
      'calls_total{method="acquire",outcome="busy"} 1',
      'calls_total{method="acquire",outcome="denied"} 1',
      'calls_total{method="acquire",outcome="invalid"} 1',
      'calls_total{method="settle",outcome="ok"} 1',
      'call_seconds_count{method="acquire"} 4',
      'reports_total{status="applied"} 1',
      'reports_total{status="stale"} 1',
      'reports_total{status="unknown_lease"} 1',
    ])
      assert.ok(text.includes(`\nweir_sidecar_${line}\n`), line);
  }));

test("a catalogue with a kind that there is not is refused", () => {
  assert.throws(
    () => define([{ name: "x", kind: "timer", labels: [], help: "x" }], new Registry()),
    /x: timer: expected counter, gauge or histogram/,
  );
  assert.equal(new Set(catalog.map(({ name }) => name)).size, catalog.length, "a name stands twice");
});
