/**
 * Every Envoy configuration that the chart makes, in a real Envoy: validated as it is, then started, asked for a
 * refusal, for an answer, for one that a real sidecar has to grant a budget for, and for its metrics.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parse, stringify } from "yaml";
import { type MockLlm, startMockLlm } from "../../demo/mock-llm.ts";
import { envoyBinary, freePort, start, until } from "../../demo/processes.ts";
import { envoyConfig } from "../../deploy/envoy-config.ts";
import { type Sidecar, startSidecar } from "../../sidecar/server.ts";
import { makeSettings } from "../../sidecar/settings.ts";
import { envoyGateway, istio, localise, type Places, plain } from "./assemble.ts";
import { at, goldenOf, type Loose, only, STORES } from "./chart.ts";

const wasm = process.env.WEIR_WASM ?? at("dist/weir.wasm");
const envoy = envoyBinary();
const unable = !envoy
  ? "no Envoy: run make install, or name one in ENVOY"
  : !existsSync(wasm) && "no filter: run make wasm, or name one in WEIR_WASM";

const compose = (): Loose =>
  parse(
    envoyConfig({
      policy: parse(readFileSync(at("demo/policy.yaml"), "utf8")),
      wasm: "/etc/envoy/weir.wasm",
      upstream: "127.0.0.1:9000",
      sidecar: "sidecar:8081",
      listen: "0.0.0.0:8080",
      adminPort: 9901,
    }),
  );

const makers: [string, () => Loose][] = [
  ...STORES.flatMap((store): [string, () => Loose][] => [
    [`plain Envoy, ${store}`, () => plain(goldenOf("envoy", store))],
    [`Istio, ${store}`, () => istio(goldenOf("istio", store), wasm)],
    [`Envoy Gateway, ${store}`, () => envoyGateway(goldenOf("envoy-gateway", store), wasm)],
  ]),
  ["Istio with a mounted file", () => istio(goldenOf("istio-file", "embedded"), wasm)],
  ["Envoy Gateway with patches", () => envoyGateway(goldenOf("envoy-gateway-patch", "embedded"), wasm)],
  ["Compose", compose],
];

/** Equal configurations under one name: a store does not change what an Envoy gets, and starting it once is enough. */
const configs = new Map<string, { names: string[]; config: Loose }>();
for (const [name, make] of makers) {
  const config = make();
  const key = JSON.stringify(config);
  configs.set(key, { config, names: [...(configs.get(key)?.names ?? []), name] });
}

describe("with a real Envoy", { skip: unable }, () => {
  let mock: MockLlm;
  let sidecar: Sidecar;
  let dir = "";
  before(async () => {
    mock = await startMockLlm();
    dir = mkdtempSync(join(tmpdir(), "weir-deploy-"));
    const ledger = { kind: "embedded", directory: join(dir, "ledger") } as const;
    sidecar = await startSidecar(makeSettings({ port: 0, ledger }));
    writeFileSync(join(dir, "credential"), "Bearer of-the-provider");
    const { data } = only(goldenOf("envoy", "redis"), "ConfigMap", /-envoy$/);
    writeFileSync(
      join(dir, "credential.yaml"),
      data["credential.yaml"].replace("/etc/envoy-credential", dir),
    );
  });
  after(async () => {
    await sidecar.close();
    await mock.close();
    rmSync(dir, { recursive: true, force: true });
  });
  for (const [text, { names, config }] of configs)
    test(`${names.join(" = ")}: Envoy validates it, starts, refuses, serves and counts`, async () => {
      const places: Places = {
        port: await freePort(),
        adminPort: await freePort(),
        statsPort: await freePort(),
        upstreamPort: mock.port,
        sidecarPort: sidecar.port,
        wasm,
        credential: join(dir, "credential.yaml"),
      };
      const file = join(dir, "envoy.yaml");
      writeFileSync(file, stringify(localise(config, places, false)));
      const args = ["-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"];
      const checked = spawnSync(envoy as string, ["--mode", "validate", ...args], { encoding: "utf8" });
      assert.equal(checked.status, 0, checked.stderr.slice(-2000));

      writeFileSync(file, stringify(localise(config, places, true)));
      const child = start(envoy as string, args);
      const base = `http://127.0.0.1:${places.port}`;
      try {
        await until(
          "envoy",
          async () => {
            const ready = await fetch(`http://127.0.0.1:${places.adminPort}/ready`);
            return (await ready.text()).startsWith("LIVE");
          },
          30_000,
        ).catch((error) => assert.fail(`${error.message}\n${child.output().slice(-2000)}`));
        const refused = await fetch(`${base}/v1/models`, { headers: { authorization: "Bearer nobody" } });
        const refusal = (await refused.json()) as { error: { code: string } };
        assert.equal(refused.status, 401);
        assert.equal(refusal.error.code, "invalid_api_key");
        const before = mock.seen.length;
        const served = await fetch(`${base}/v1/models`);
        assert.equal(served.status, 200, await served.text());
        assert.equal(mock.seen.length, before + 1, "one request reached the upstream");
        assert.equal(mock.seen.at(-1)?.headers["x-weir-tier"], "anonymous");
        if (text.includes("credential_injector"))
          assert.equal(mock.seen.at(-1)?.headers.authorization, "Bearer of-the-provider");
        const budgeted = await fetch(`${base}/v1/chat/completions`, {
          method: "POST",
          headers: { authorization: "Bearer weir-demo-pro", "content-type": "application/json" },
          body: JSON.stringify({
            model: "mock-1",
            messages: [{ role: "user", content: "Where is the sea?" }],
          }),
        });
        assert.equal(budgeted.status, 200, await budgeted.text());
        assert.equal(mock.seen.at(-1)?.headers["x-weir-tier"], "pro");
        assert.equal((await fetch(`${base}/v1%2Fmodels`)).status, 400, "an escaped slash is refused");
        const page = text.includes('"stats"')
          ? `http://127.0.0.1:${places.statsPort}/stats/prometheus`
          : `http://127.0.0.1:${places.adminPort}/stats/prometheus`;
        const scrape = async () => (await fetch(page)).text();
        // Of requests that passed Envoy is told with the next tick.
        await until("the counters", async () =>
          /^weir_requests_total\{[^}]*tier="pro"[^}]*verdict="ok"[^}]*\} 1$/m.test(await scrape()),
        );
        // A page is not of one moment: one that is written during a tick may have the last tier's counter only.
        const metrics = await scrape();
        assert.match(metrics, /^weir_requests_total\{[^}]*verdict="invalid_api_key"[^}]*\} 1$/m);
        assert.match(metrics, /^weir_requests_total\{[^}]*tier="anonymous"[^}]*\} 1$/m);
        assert.match(
          metrics,
          /^weir_acquires_total\{[^}]*\} 1$/m,
          "the ledger was asked, over the cluster's name",
        );
      } finally {
        await child.stop();
      }
    });
});
