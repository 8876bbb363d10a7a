/** Kong's static files: the schema is draft 4 and current, every example and every render passes it, bad ones do not. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parse } from "yaml";
import { kongMeta } from "../../scripts/kong-schema.ts";
import { at, goldenOf, type Loose, manifests, only, STORES } from "./chart.ts";

const python = at(".venv/bin/python");
const noSchemas =
  spawnSync(python, ["-c", "import jsonschema"], { stdio: "ignore" }).status !== 0 &&
  "no jsonschema in .venv: scripts/tools.sh installs it with kubernetes-validate";

const read = (path: string) => readFileSync(at(path), "utf8");
const meta = JSON.parse(read("kong/filter/weir.meta.json")) as { config_schema: Loose };

/** What draft 4 says of each configuration: "" or what is wrong, with its path. */
function draft4(configs: Loose[]): string[] {
  const script = `
import json, sys
from jsonschema import Draft4Validator
given = json.load(sys.stdin)
Draft4Validator.check_schema(given["schema"])
validator = Draft4Validator(given["schema"])
def problem(config):
    for error in validator.iter_errors(config):
        return "/".join(map(str, error.absolute_path)) + ": " + error.message
    return ""
json.dump([problem(config) for config in given["configs"]], sys.stdout)`;
  const input = JSON.stringify({ schema: meta.config_schema, configs });
  return JSON.parse(execFileSync(python, ["-c", script], { input, encoding: "utf8" })) as string[];
}

const chain = parse(read("kong/examples/kong-filter-chain.yml")).services[0];
const asPlugin = parse(read("kong/examples/kong-filter-plugin.yml")).services[0];
const weir = (plugins: Loose[]) => plugins.find((plugin) => plugin.name === "weir");
const kicPlugin = only(manifests(read("kong/examples/kic-plugin.yaml")), "KongPlugin");
const kicSecret = only(manifests(read("kong/examples/kic-cluster-plugin.yaml")), "Secret");

test("kong/filter/weir.meta.json is what scripts/kong-schema.ts makes of the policy's schema", () => {
  assert.equal(read("kong/filter/weir.meta.json"), kongMeta(read("catalog/policy.schema.json")));
});

test("the schema holds no keyword that draft 4 lacks", () => {
  const text = JSON.stringify(meta);
  for (const keyword of [
    "$defs",
    "const",
    "if",
    "dependentRequired",
    "unevaluatedProperties",
    "format",
    "default",
  ])
    assert.ok(!text.includes(`"${keyword}":`), keyword);
  assert.throws(() => kongMeta('{"properties":{"x":{"const":1}}}'), /draft 4 has no such keyword/);
});

test("every example and every render of the chart passes the schema", { skip: noSchemas }, () => {
  const configs = [
    chain.filter_chains[0].filters[0].config,
    weir(asPlugin.plugins).config,
    kicPlugin.config,
    JSON.parse(kicSecret.stringData["config.json"]),
    ...STORES.map((store) => only(goldenOf("kong", store), "KongPlugin").config),
  ];
  assert.deepEqual(
    draft4(configs),
    configs.map(() => ""),
  );
});

test("what cannot work on Kong does not pass the schema", { skip: noSchemas }, () => {
  const good = chain.filter_chains[0].filters[0].config;
  const { hold_headers: _, ...unsaid } = good;
  const problems = draft4([
    unsaid,
    { ...good, hold_headers: true },
    { ...good, ledger: { cluster: "weir_sidecar" } },
    { ...good, ledger: {} },
    { ...good, tier: {} },
  ]);
  const expected = [
    /'hold_headers' is a required/,
    /hold_headers: True/,
    /ledger\/cluster: /,
    /ledger: 'cluster'/,
    /'tier'/,
  ];
  for (const [index, pattern] of expected.entries()) assert.match(problems[index] ?? "", pattern);
});

test("the examples attach the filter to a service and read the caller's key where plugins do not write", () => {
  for (const service of [chain, asPlugin]) {
    const writes = JSON.stringify(service.plugins.find(({ name }: Loose) => name === "request-transformer"));
    const { config } = service.filter_chains?.[0].filters[0] ?? weir(service.plugins);
    for (const header of config.identity.headers) assert.doesNotMatch(writes, new RegExp(`"${header}:`));
  }
  assert.equal(kicPlugin.plugin, "weir");
  const cluster = only(manifests(read("kong/examples/kic-cluster-plugin.yaml")), "KongClusterPlugin");
  assert.deepEqual(cluster.configFrom.secretKeyRef, {
    namespace: "weir",
    name: "weir-kong",
    key: "config.json",
  });
});

test("kong.conf lets the filter see every body that the policy's default allows", () => {
  const lines = read("kong/examples/kong.conf")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.split(/ = /, 2) as [string, string]);
  const conf = new Map(lines);
  assert.equal(conf.get("wasm"), "on");
  assert.match(conf.get("nginx_wasm_shm_kv") ?? "", /^\* \d+m$/);
  const bytes = (name: string) => Number.parseInt(conf.get(name) ?? "", 10) * (1 << 20);
  assert.ok(bytes("nginx_http_client_body_buffer_size") > 1 << 20, "prompt.max_bytes is 1Mi by default");
  assert.ok(bytes("nginx_http_client_body_buffer_size") >= bytes("nginx_http_client_max_body_size"));
  const { env } = parse(read("kong/examples/kic-gateway-values.yaml"));
  for (const [name, value] of Object.entries(env)) {
    if (name !== "wasm_filters_path") assert.equal(conf.get(name), value, name);
  }
});
