/** What the sidecar logs of what edges ask wrongly: the filter can only say that the ledger did not answer. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { WeirError } from "./errors.ts";
import { Ledger, Meter, Window } from "./gen/weir/v1/ledger_pb.ts";
import { observed } from "./log.ts";
import { startSidecar } from "./server.ts";
import { makeSettings } from "./settings.ts";

test("a budget that the ledger cannot take is logged once a minute, with what was expected", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-log-"));
  const settings = makeSettings({ port: 0, ledger: { kind: "embedded", directory } });
  const lines: string[] = [];
  const sidecar = await startSidecar(
    settings,
    observed(settings, (_level, line) => lines.push(line)),
  );
  const baseUrl = `http://127.0.0.1:${sidecar.port}`;
  const client = createClient(Ledger, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
  const budget = {
    name: "b",
    subject: "acme",
    meter: Meter.TOKENS,
    limit: 9n,
    window: Window.DAY,
    need: 1n,
    want: 1n,
  };
  const ask = (timeZone: string, leaseId: string) =>
    client.acquire({
      leaseId,
      edge: "e",
      subject: "acme",
      ttlMs: 60_000,
      budgets: [{ ...budget, timeZone }],
    });
  try {
    for (const leaseId of ["a", "b", "c"]) await assert.rejects(ask("Europe/Berln", leaseId));
    await assert.rejects(ask("+02:00x", "d"));
    assert.equal(lines.length, 2, lines.join("\n"));
    const { level, code, message } = JSON.parse(lines[0] as string);
    assert.deepEqual([level, code], ["error", "invalid_argument"]);
    assert.match(message, /time_zone.*Europe\/Berln.*expected an IANA time zone/);
  } finally {
    await sidecar.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test("what fails with every request is logged once a minute, and each reason for itself", () => {
  const lines: string[] = [];
  const hooks = observed(makeSettings(), (_level, line) => lines.push(line));
  for (const cause of ["READONLY You can't write", "READONLY You can't write", "OOM command not allowed"])
    hooks.onError?.(new WeirError("unavailable", "the ledger's Redis refuses", new Error(cause)));
  for (let i = 0; i < 2; i++) hooks.onRedisTrouble?.("the ledger's Redis may forget budgets");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).cause ?? JSON.parse(line).message),
    ["READONLY You can't write", "OOM command not allowed", "the ledger's Redis may forget budgets"],
  );
  // It answers, and serves: it is not what is told as unavailable.
  assert.equal(JSON.parse(lines[2] as string).code, undefined);
});

test("a node of a cluster that leads each organisation elsewhere is logged once, not once an organisation", () => {
  const lines: string[] = [];
  const hooks = observed(makeSettings(), (_level, line) => lines.push(line));
  for (let slot = 0; slot < 200; slot++)
    hooks.onError?.(
      new WeirError("refused", "Redis answered MOVED", new Error(`MOVED ${slot} 10.0.0.1:6379`)),
    );
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).cause),
    ["MOVED 0 10.0.0.1:6379"],
  );
});

test("a place for events that fails, and events that are refused, are logged once a minute for each cause", () => {
  const lines: string[] = [];
  const { onProblem } = observed(makeSettings(), (_level, line) => lines.push(line));
  for (let i = 0; i < 1_000; i++) {
    onProblem("an event was refused: verdict is not as events.proto says");
    onProblem(`moderation: the moderation API answered ${500 + (i % 3)}`);
  }
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).message),
    [
      "an event was refused: verdict is not as events.proto says",
      "moderation: the moderation API answered 500",
    ],
  );
});
