import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeMetrics } from "./metrics.ts";
import { startSidecar } from "./server.ts";
import { makeSettings } from "./settings.ts";

test("the sidecar serves its metrics, and counts notices by percentage", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-metrics-"));
  const { hooks } = makeMetrics();
  const sidecar = await startSidecar(
    makeSettings({ port: 0, ledger: { kind: "embedded", directory } }),
    hooks,
  );
  try {
    hooks.onNotices?.([{ budget: "tokens-month", subject: "acme", percent: 80 }]);
    const response = await fetch(`http://127.0.0.1:${sidecar.port}/metrics`);
    const text = await response.text();
    assert.equal(response.status, 200);
    assert.match(text, /^weir_sidecar_budget_notices_total\{percent="80"\} 1$/m);
    assert.match(text, /^weir_sidecar_process_cpu_seconds_total /m);
    assert.doesNotMatch(text, /acme|tokens-month/);
  } finally {
    await sidecar.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
