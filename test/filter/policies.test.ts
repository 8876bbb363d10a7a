// Policies that must be refused, each with every problem line: the fixtures are shared with `weir check`.
//
// A fixture is {"policy": …, "problems": [line, …]}; `policy` may be a string, which is then the document's text.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { exchange } from "../../host/exchange.ts";
import { createVm } from "../../host/vm.ts";
import { problemsOf } from "../../sidecar/cli/check.ts";
import { chat, keyEntry, llm, requestOf } from "../support/filter.ts";
import { filterBytes } from "../support/filter-build.ts";

/** The module is made once: its rules take seconds to compile. */
const bytes = await filterBytes();
const wasm = new WebAssembly.Module(bytes as BufferSource);
const directory = fileURLToPath(new URL("./policies/bad/", import.meta.url));

for (const file of readdirSync(directory).sort()) {
  test(`the policy ${file} is refused with path, value and expectation`, async () => {
    const { policy, problems } = JSON.parse(readFileSync(`${directory}${file}`, "utf8"));
    const text = typeof policy === "string" ? policy : JSON.stringify(policy);
    for (const profile of ["envoy", "ngx_wasm"] as const) {
      const lines: string[] = [];
      const vm = createVm({
        wasm,
        profile,
        plugins: [{ configuration: text }],
        log: (_level, message) => lines.push(message.replace(/^weir: (policy: )?/, "")),
      });
      // Kong would go on without a filter that does not start.
      const onKong = profile === "ngx_wasm";
      assert.equal(vm.roots[0]?.ok ?? false, onKong, profile);
      const served = "requests of this configuration are refused with 503";
      assert.deepEqual(lines, onKong ? [...problems, served] : problems, profile);
    }
    assert.deepEqual(problemsOf(text, bytes), problems, "weir check says the same");
  });
}

test("a schema of more values than can be kept is refused", async () => {
  const routes = (values: number) => [
    { path: "/v1/messages", schema: { enum: Array.from({ length: values }, (_, i) => i) } },
  ];
  const problems = async (values: number) =>
    problemsOf(JSON.stringify({ tiers: { pro: {} }, routes: routes(values) }), bytes);
  // The schema, its keyword's name and the list are values too.
  assert.deepEqual(await problems(2045), []);
  assert.deepEqual(await problems(2046), [
    "/routes/0/schema: {...}: expected a schema of at most 2048 values and keys",
  ]);
});

test("a policy of more values than can be kept is told how many, not that it were no JSON", () => {
  const policy = JSON.stringify({ tiers: { pro: {} }, keys: Array.from({ length: 1 << 16 }, () => 0) });
  assert.deepEqual(problemsOf(policy, bytes), ["/: policy: expected a document of at most 65536 values"]);
});

test("a ledger's cluster that is a URL leads nowhere, and is refused", () => {
  const problems = (cluster: string) =>
    problemsOf(JSON.stringify({ tiers: { pro: { tokens: "1M/day" } }, ledger: { cluster } }), bytes);
  for (const cluster of ["weir_sidecar", "sidecar:8081", "unix:/run/weir.sock", "outbound|8081||weir.ns.svc"])
    assert.deepEqual(problems(cluster), [], cluster);
  for (const cluster of ["http://sidecar:8081", "grpc://sidecar"])
    assert.deepEqual(problems(cluster), [
      `/ledger/cluster: "${cluster}": expected a cluster's name such as "weir_sidecar", or on Kong host:port: no URL`,
    ]);
});

test("a policy that is too long is told so, also where the host had no room to hand it over", async () => {
  const key = (i: number) => ({ sha256: i.toString(16).padStart(64, "0"), subject: "acme", tier: "pro" });
  const policy = { tiers: { pro: {} }, keys: Array.from({ length: 12_000 }, (_, i) => key(i)) };
  assert.deepEqual(problemsOf(JSON.stringify(policy), bytes), [
    "/: policy: expected a document of at most 1 MiB",
  ]);
});

test("under ngx_wasm a policy that is refused is taken and has its requests refused, as Kong would serve a new route without the filter", async () => {
  for (const configuration of ['{"tiers":{"anonymous":{"requests":"60/mi"}}}', "", "{"]) {
    const vm = createVm({ wasm, profile: "ngx_wasm", plugins: [{ configuration }] });
    assert.equal(vm.roots[0]?.ok, true, configuration);
    const request = requestOf({ body: chat("Hello") });
    const { status, body, upstream } = await exchange(vm, request, llm);
    assert.equal(status, 503, configuration);
    assert.equal(JSON.parse(body.toString()).error.code, "overloaded");
    assert.equal(upstream, null);
    // One that is right is served beside it.
    const root = vm.addRoot({ configuration: '{"tiers":{"anonymous":{}}}' });
    assert.equal((await exchange(vm, { ...request, root }, llm)).status, 200);
  }
});

/** The same JSON as Kong's cjson and Helm's toJson write it, and with all letters escaped. */
const spellings: Record<string, (json: string) => string> = {
  "slashes escaped": (json) => json.replaceAll("/", "\\/"),
  "signs of HTML escaped": (json) =>
    json.replace(/[&<>]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`),
  "letters escaped": (json) =>
    json.replace(/"(?:[^"\\]|\\.)*"/g, (string) =>
      string.replace(/(?<!\\)[a-z]/g, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`),
    ),
};
for (const [name, spell] of Object.entries(spellings)) {
  test(`a policy is the same with ${name}`, async () => {
    const url = "https://guard.example.com/moderate?a=1&b=<2>";
    const policy = {
      tiers: {
        pro: {
          requests: ["60/min burst 10", "5k/day"],
          budgets: [
            {
              meter: "requests",
              limit: "1M",
              window: "day",
              time_zone: "Europe/Berlin",
              models: ["openai/*"],
            },
          ],
          response: { patterns: ["R&D/lab", "EMP-\\d\\d"] },
        },
      },
      keys: [keyEntry("k1", "pro", { networks: ["10.0.0.0/8"] })],
      routes: [{ path: "/v1/responses", schema: { properties: { prompt: { type: "null" } } } }],
      events: { text: true, moderation: { url } },
    };
    const text = spell(JSON.stringify(policy));
    assert.deepEqual(JSON.parse(text), policy);
    assert.deepEqual(problemsOf(JSON.stringify(policy), bytes), []);
    assert.deepEqual(problemsOf(text, bytes), []);
  });
}
