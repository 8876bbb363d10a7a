/** Kong's static files: the schema is draft 4 and current, every example and every render passes it, bad ones do not; the guard's Lua. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createClient } from "redis";
import { parse } from "yaml";
import { startMockLlm } from "../../demo/mock-llm.ts";
import { serve } from "../../host/node-server.ts";
import { buildPlugins } from "../../kong/plugin/build.ts";
import { kongMeta } from "../../scripts/kong-schema.ts";
import { problemsOf } from "../../sidecar/cli/check.ts";
import { hasRedis, startRedis, type TestRedis } from "../../sidecar/ledger/redis/testing.ts";
import { startSidecar } from "../../sidecar/server.ts";
import { makeSettings } from "../../sidecar/settings.ts";
import { at, goldenOf, type Loose, manifests, only, STORES } from "./chart.ts";

const python = at(".venv/bin/python");
const noSchemas =
  spawnSync(python, ["-c", "import jsonschema"], { stdio: "ignore" }).status !== 0 &&
  "no jsonschema in .venv: scripts/tools.sh installs it with kubernetes-validate";

const filter = process.env.WEIR_WASM ?? at("dist/weir.wasm");
const noFilter = !existsSync(filter) && "no filter: run make wasm, or name one in WEIR_WASM";

const read = (path: string) => readFileSync(at(path), "utf8");
const meta = JSON.parse(read("kong/filter/weir.meta.json")) as {
  config_schema: Loose;
  metrics: { label_patterns: { label: string; pattern: string }[] };
};

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

/** Every configuration of the native filter that the project holds. */
const configs = (): Loose[] => [
  chain.filter_chains[0].filters[0].config,
  weir(asPlugin.plugins).config,
  kicPlugin.config,
  JSON.parse(kicSecret.stringData["config.json"]),
  ...STORES.map((store) => only(goldenOf("kong", store), "KongPlugin").config),
];

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

test("Kong's prometheus plugin finds the labels in the names of Weir's metrics", () => {
  const lua = (pattern: string) =>
    new RegExp(pattern.replaceAll("%.", "\\.").replaceAll("%w", "A-Za-z0-9").replaceAll("%a", "A-Za-z"));
  const found = (name: string) =>
    meta.metrics.label_patterns.flatMap(({ label, pattern }) => {
      const value = lua(pattern).exec(`pw.weir.${name}`)?.[2];
      return value === undefined ? [] : [[label, value]];
    });
  assert.deepEqual(found("weir_requests_total.tier.pro-eu_1.verdict.rate_limit_exceeded"), [
    ["tier", "pro-eu_1"],
    ["verdict", "rate_limit_exceeded"],
  ]);
  assert.deepEqual(found("weir_callouts_total.purpose.acquire"), [["purpose", "acquire"]]);
  const catalog = JSON.parse(read("catalog/metrics.json")) as { labels: string[] }[];
  const labels = new Set(catalog.flatMap((metric) => metric.labels));
  assert.deepEqual([...labels].sort(), meta.metrics.label_patterns.map(({ label }) => label).sort());
});

test("every example and every render of the chart passes the schema", { skip: noSchemas }, () => {
  const given = configs();
  assert.deepEqual(
    draft4(given),
    given.map(() => ""),
  );
});

test("a policy that needs the ledger says where it is: its default is a name, and Kong has none", {
  skip: noSchemas,
}, () => {
  const pro = { requests: "1/s" };
  const refused = draft4([
    { tiers: { free: pro, pro: { ...pro, tokens: "1M/month", outage: "allow" } } },
    { tiers: { pro: { cost: "$5/day" } } },
    { tiers: { pro: { budgets: [{ meter: "requests", limit: 1, window: "day" }] } } },
    { tiers: { pro }, events: {} },
    { tiers: { pro }, rules: [{ id: "a", phrase: "b" }] },
    { tiers: { pro: { tokens: "1M/month" } }, ledger: {} },
  ]);
  assert.deepEqual(
    refused.filter((problem) => problem === ""),
    [],
  );
  const ledger = { cluster: "weir-sidecar.internal:8081" };
  assert.deepEqual(draft4([{ tiers: { pro } }, { tiers: { pro: { tokens: "1M/month" } }, ledger }]), [
    "",
    "",
  ]);
});

test("the filter takes every policy of the examples and of the chart", { skip: noFilter }, () => {
  const wasm = readFileSync(filter);
  const policies = [
    ...configs(),
    JSON.parse(only(goldenOf("kong-plugin", "embedded"), "KongClusterPlugin", /^weir$/).config.policy),
    JSON.parse(only(goldenOf("envoy", "embedded"), "ConfigMap", /policy/).data["policy.json"]),
  ];
  for (const policy of policies) assert.deepEqual(problemsOf(JSON.stringify(policy), wasm), []);
});

test("the filter takes every policy of theirs as Kong hands it on, out of Lua's tables", {
  skip: noFilter || (!hasRedis() && "no redis-server, whose cjson is Kong's"),
}, async () => {
  const wasm = readFileSync(filter);
  const redis = await startRedis({ durable: false });
  const client = createClient({ url: redis.urls[0]! });
  await client.connect();
  try {
    for (const policy of configs()) {
      const handed = await client.eval("return cjson.encode(cjson.decode(ARGV[1]))", {
        keys: [],
        arguments: [JSON.stringify(policy)],
      });
      assert.match(String(handed), /60\\\/min/, "slashes are escaped");
      assert.deepEqual(problemsOf(String(handed), wasm), []);
    }
  } finally {
    client.destroy();
    await redis.stop();
  }
});

test("the filter chain of the example serves, refuses and asks the ledger under the ngx_wasm profile", {
  skip: noFilter,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), "weir-kong-"));
  const ledger = { kind: "embedded", directory: dir } as const;
  const sidecar = await startSidecar(makeSettings({ port: 0, ledger }));
  const mock = await startMockLlm();
  const where = `127.0.0.1:${sidecar.port}`;
  const policy = structuredClone(chain.filter_chains[0].filters[0].config);
  policy.ledger.cluster = where;
  const kong = await serve({
    wasm: readFileSync(filter),
    policy: JSON.stringify(policy),
    profile: "ngx_wasm",
    upstream: `127.0.0.1:${mock.port}`,
    clusters: { [where]: where },
  });
  try {
    const ask = (key: string) =>
      fetch(`http://127.0.0.1:${kong.port}/v1/chat/completions`, {
        method: "POST",
        headers: { "x-api-key": key, authorization: "Bearer provider", "content-type": "application/json" },
        body: JSON.stringify({ model: "mock-1", messages: [{ role: "user", content: "Where is the sea?" }] }),
      });
    const served = await ask("weir-demo-pro");
    assert.equal(served.status, 200, await served.text());
    assert.equal(
      mock.seen.at(-1)?.headers.authorization,
      "Bearer provider",
      "what Kong's plugin wrote stays",
    );
    assert.equal(mock.seen.at(-1)?.headers["x-api-key"], undefined, "the caller's key does not travel on");
    const refused = await ask("nobody");
    assert.equal(refused.status, 401, await refused.text());
    assert.equal(mock.seen.length, 1);
    assert.deepEqual(await sidecar.ledger.organisations(), ["acme"], "the ledger was asked at host:port");
  } finally {
    await kong.close();
    await mock.close();
    await sidecar.close();
    rmSync(dir, { recursive: true, force: true });
  }
});

const served = parse(read("kong/examples/kong-plugin.yml")).services[0];
const serverManifests = manifests(read("kong/examples/kic-plugin-server.yaml"));
const plugins = serverManifests.filter(({ kind }) => kind === "KongPlugin");
const kic = (name: string) => plugins.find(({ metadata }) => metadata.name === name);

test("the filter takes every policy of the plugin server's examples, and their addresses pass its schema", {
  skip: noFilter,
}, () => {
  const wasm = readFileSync(filter);
  const kept = JSON.parse(only(serverManifests, "Secret").stringData["config.json"]);
  const pluginConfigs = [served.plugins[0].config, kic("weir")?.config, kept];
  for (const { policy, sidecar } of pluginConfigs) {
    assert.deepEqual(problemsOf(policy, wasm), []);
    assert.match(sidecar, /^\S+:\d+$/);
  }
  assert.deepEqual(only(serverManifests, "KongClusterPlugin").configFrom.secretKeyRef, {
    namespace: "weir",
    name: "weir-kong-plugin",
    key: "config.json",
  });
});

test("kong-pluginserver.conf loads what kong/plugin/build.ts writes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-kong-"));
  try {
    await buildPlugins(folder);
    const built = readdirSync(folder).map((name) => name.replace(/\.cjs$/, ""));
    const conf = read("kong/examples/kong-pluginserver.conf");
    assert.deepEqual(conf.match(/^plugins = (.*)$/m)?.[1]?.split(","), ["bundled", ...built.sort()]);
    const where = conf.match(/--plugins-directory (\S+)/g);
    assert.deepEqual([...new Set(where)].length, 1, "started and asked in the same folder");
    const commands = [...conf.matchAll(/^pluginserver_js_\w+_cmd = (.*)$/gm)].map(([, command]) => command!);
    assert.equal(commands[1], `${commands[0]} --dump-all-plugins`);
    const here = commands[1]!
      .replace("/usr/local/lib/node_modules/", at("node_modules/"))
      .replace(" kong-js-pluginserver ", ` ${at("node_modules/kong-pdk/bin/kong-js-pluginserver")} `)
      .replace("/opt/weir/plugins", folder);
    const { stdout, stderr } = spawnSync("sh", ["-c", here], { encoding: "utf8" });
    assert.match(stdout, /^\[/, stderr);
    assert.deepEqual(
      JSON.parse(stdout)
        .map(({ Name }: Loose) => Name)
        .sort(),
      built.sort(),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Runs the guard's functions as Kong's sandbox would, with Weir between them or not; the status they end with, or 0. */
async function guarded(redis: TestRedis, mark: string, guard: string, weir: boolean): Promise<number> {
  const script = `
local headers = { ["x-weir-subject"] = "forged" }
local status = 0
local kong = {
  service = { request = { clear_header = function(name) headers[name] = nil end } },
  request = { get_header = function(name) return headers[name] end },
  response = { exit = function(code) status = code end },
}
local function before() ${mark} end
local function after() ${guard} end
before()
if ARGV[1] == "1" then headers["x-weir-subject"] = "acme/search" end
after()
return status`;
  const client = createClient({ url: redis.urls[0]! });
  await client.connect();
  try {
    return Number(await client.eval(script, { keys: [], arguments: [weir ? "1" : "0"] }));
  } finally {
    client.destroy();
  }
}

test("the guard ends a request that Weir has not let through, whatever the caller wrote", {
  skip: !hasRedis() && "no redis-server, whose Lua is Kong's",
}, async () => {
  const redis = await startRedis({ durable: false });
  try {
    const named = (name: string) => served.plugins.find((plugin: Loose) => plugin.name === name).config;
    const pairs = [
      [named("pre-function").access[0], named("post-function").access[0]],
      [kic("weir-mark")?.config.access[0], kic("weir-guard")?.config.access[0]],
    ];
    for (const [mark, guard] of pairs) {
      assert.equal(await guarded(redis, mark, guard, false), 503);
      assert.equal(await guarded(redis, mark, guard, true), 0);
    }
  } finally {
    await redis.stop();
  }
});

test("the chart brings the guard of the example to the plugin server's plugin", () => {
  const rendered = goldenOf("kong-plugin", "embedded");
  for (const part of ["mark", "guard"]) {
    const example = kic(`weir-${part}`);
    const { plugin, config } = only(rendered, "KongClusterPlugin", new RegExp(`^weir-${part}$`));
    assert.deepEqual({ plugin, config }, { plugin: example?.plugin, config: example?.config });
  }
});

test("what cannot work on Kong does not pass the schema", { skip: noSchemas }, () => {
  const good = chain.filter_chains[0].filters[0].config;
  const problems = draft4([
    { ...good, ledger: { cluster: "weir_sidecar" } },
    { ...good, ledger: {} },
    { ...good, tier: {} },
  ]);
  const expected = [/ledger\/cluster: /, /ledger: 'cluster'/, /'tier'/];
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
