/**
 * The collector's configurations under deploy/otel: merged as the collector merges them, everything that a pipeline names
 * exists, OTLP comes in where the sidecar sends it, and secrets come from the environment only.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { root } from "../../demo/processes.ts";
import { settingsFromEnvironment } from "../../sidecar/settings.ts";

type Config = { [name: string]: unknown };
interface Pipeline {
  receivers: string[];
  processors: string[];
  exporters: string[];
}

const directory = join(root, "deploy/otel");
const read = (file: string): Config => parse(readFileSync(join(directory, file), "utf8"));
const isMap = (value: unknown): value is Config =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** As several --config are: maps are merged, anything else is replaced. */
function merge(base: Config, over: Config): Config {
  const merged: Config = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const old = merged[name];
    merged[name] = isMap(old) && isMap(value) ? merge(old, value) : value;
  }
  return merged;
}

const OVERLAYS = readdirSync(directory).filter((name) => name.endsWith(".yaml") && name !== "collector.yaml");

describe("the collector's configuration", () => {
  it("has files for ELK, Datadog and Kafka", () => {
    assert.deepEqual(OVERLAYS.sort(), ["datadog.yaml", "elastic.yaml", "kafka.yaml"]);
  });

  for (const overlay of [undefined, ...OVERLAYS])
    it(`is complete ${overlay ? `with ${overlay}` : "alone"}`, () => {
      const config = overlay ? merge(read("collector.yaml"), read(overlay)) : read("collector.yaml");
      const {
        receivers,
        processors,
        exporters,
        connectors = {},
        extensions,
        service,
      } = config as Record<string, Config>;
      const { pipelines, extensions: started } = service as {
        pipelines: Record<string, Pipeline>;
        extensions: string[];
      };
      for (const name of started) assert.ok(name in (extensions ?? {}), name);
      for (const signal of ["traces", "logs"]) assert.ok(signal in pipelines, signal);
      for (const [signal, pipeline] of Object.entries(pipelines)) {
        for (const name of pipeline.receivers)
          assert.ok(name in { ...receivers, ...connectors }, `${signal}: receiver ${name}`);
        for (const name of pipeline.processors)
          assert.ok(name in (processors ?? {}), `${signal}: processor ${name}`);
        for (const name of pipeline.exporters)
          assert.ok(name in { ...exporters, ...connectors }, `${signal}: exporter ${name}`);
        assert.equal(pipeline.processors[0], "memory_limiter");
        if (overlay) assert.ok(!pipeline.exporters.includes("debug"));
      }
    });

  it("takes OTLP over HTTP on the port that the documented setting names", () => {
    const { receivers } = read("collector.yaml") as { receivers: Record<string, unknown> };
    assert.deepEqual(receivers.otlp, { protocols: { http: { endpoint: "0.0.0.0:4318" } } });
    const text = readFileSync(join(directory, "collector.yaml"), "utf8");
    const [, endpoint] = /OTEL_EXPORTER_OTLP_ENDPOINT=(\S+?)\.?\s/.exec(text) ?? [];
    const { otlp } = settingsFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).events;
    assert.deepEqual(
      [otlp.tracesUrl, otlp.logsUrl],
      ["http://collector:4318/v1/traces", "http://collector:4318/v1/logs"],
    );
  });

  it("holds no secret", () => {
    for (const file of ["collector.yaml", ...OVERLAYS])
      for (const [, name, value] of readFileSync(join(directory, file), "utf8").matchAll(
        /^\s*((?:api_)?key|password|username|token):[ ]*(.+)$/gm,
      ))
        assert.match(value ?? "", /^\$\{env:[A-Z_]+\}$/, `${file}: ${name}`);
  });
});
