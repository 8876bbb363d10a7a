/**
 * Traces and logs in the real OpenTelemetry Collector (built by scripts/tools.sh), started with deploy/otel/collector.yaml:
 * what it prints of a request that went through real Envoy, the filter and the sidecar is what the sidecar sent.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePort, root } from "../../demo/processes.ts";
import { type EventsPart, openEvents } from "../../sidecar/events/open.ts";
import { makeMetrics } from "../../sidecar/metrics.ts";
import { settingsFromEnvironment } from "../../sidecar/settings.ts";
import { keyEntry, until, type World, world } from "../support/e2e.ts";
import { installed } from "../support/tools.ts";

const binary = join(root, ".tools/bin/otelcol");
const skip = installed(() => existsSync(binary), "collector")
  ? false
  : "no otelcol in .tools/bin: scripts/tools.sh builds it where Go is there";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = "collector-caller-81c2";
const policy = {
  events: {},
  ledger: { sync: "200ms" },
  tiers: { pro: { budgets: [{ name: "month", meter: "tokens", limit: 10_000, window: "month" }] } },
  keys: [keyEntry(CALLER, "acme/search/key-1", "pro")],
};

describe("the OpenTelemetry Collector", { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-e2e-collector-"));
  let collector: ChildProcess;
  let told = "";
  let part: EventsPart;
  let w: World;

  before(async () => {
    const [port, health] = [await freePort(), await freePort()];
    const loopback = join(directory, "loopback.yaml");
    writeFileSync(
      loopback,
      JSON.stringify({
        receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
        extensions: { health_check: { endpoint: `127.0.0.1:${health}` } },
        exporters: { debug: { verbosity: "detailed" } },
        service: { telemetry: { metrics: { level: "none" } } },
      }),
    );
    const configs = [join(root, "deploy/otel/collector.yaml"), loopback].flatMap((file) => [
      "--config",
      file,
    ]);
    execFileSync(binary, ["validate", ...configs]);
    collector = spawn(binary, configs, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [collector.stdout, collector.stderr])
      stream?.on("data", (data) => {
        told += data;
      });
    await until("the collector's health", async () =>
      fetch(`http://127.0.0.1:${health}`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const { events } = settingsFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    part = await openEvents(events, { registry: makeMetrics("embedded").registry });
    w = await world({ policy, workers: 1, extensions: part.extensions });
  });

  after(async () => {
    await w?.close();
    await part?.close();
    collector?.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  it("takes the span of an exchange, its children and its log record, by the conventions' names", async () => {
    const answer = await w.chat(CALLER, "hello", {
      headers: {
        traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
        "x-mock-prompt-tokens": "7",
        "x-mock-completion-tokens": "11",
      },
    });
    assert.equal(answer.status, 200, answer.text);
    /** What the collector prints of one span or log record. */
    const entries = () =>
      told
        .split(/^(?=Span #|LogRecord #)/m)
        .filter((entry) => /Trace ID *: /.test(entry) && entry.includes(TRACE));
    await until("the log record", () => entries().some((entry) => entry.startsWith("LogRecord")));
    await until("the spans", () => entries().filter((entry) => entry.startsWith("Span")).length >= 2);
    const exchange = entries().find(
      (entry) => entry.startsWith("Span") && entry.includes("gen_ai.operation.name"),
    );
    for (const line of [
      "-> gen_ai.operation.name: Str(chat)",
      "-> gen_ai.usage.input_tokens: Int(7)",
      "-> gen_ai.usage.output_tokens: Int(11)",
      "-> weir.verdict: Str(ok)",
    ])
      assert.ok(exchange?.includes(line), `${line} in ${exchange}`);
    assert.match(exchange ?? "", /Parent ID *: 00f067aa0ba902b7/);
    assert.match(told, /-> service\.name: Str\(weir\)/);
    assert.ok(!told.includes(CALLER));
  });
});
