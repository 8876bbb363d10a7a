// `make demo`: a mock LLM, the sidecar and Envoy with the filter, until SIGINT or SIGTERM; then all of it ends.
//
// Environment: WEIR_PORT, WEIR_SIDECAR_PORT, WEIR_POLICY, WEIR_UPSTREAM (host:port), WEIR_REDIS_URL,
// WEIR_CONCURRENCY, ENVOY, TOUR=0.
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { type MockLlm, startMockLlm } from "./mock-llm.ts";
import { type Child, envoyBinary, freePort, root, start, startEnvoy, untilUp } from "./processes.ts";
import { scenarioPolicy } from "./scenarios.ts";
import { table, tour } from "./tour.ts";

const env = process.env;
const port = Number(env.WEIR_PORT ?? 8080);
const sidecarPort = Number(env.WEIR_SIDECAR_PORT ?? 8081);
/** Envoy's; the same when the tour starts it again. */
const adminPort = await freePort();
const directory = mkdtempSync(join(tmpdir(), "weir-demo-"));
const weir = join(root, "dist/weir.js");
const running: { stop: () => Promise<void> }[] = [];
let sidecar: Child | undefined;
let proxy: Child | undefined;

async function end(code: number): Promise<never> {
  for (const child of [proxy, sidecar, ...running]) await child?.stop();
  rmSync(directory, { recursive: true, force: true });
  process.exit(code);
}

/** The policy; the demo's own with what the tour needs. */
function policyOf(): object {
  const policy = parse(readFileSync(env.WEIR_POLICY ?? join(root, "demo/policy.yaml"), "utf8"));
  return env.WEIR_POLICY ? policy : scenarioPolicy(policy, `tour-${randomBytes(4).toString("hex")}`);
}

async function startSidecar(): Promise<Child> {
  sidecar = start(process.execPath, [weir, "sidecar"], {
    env: { WEIR_SIDECAR_PORT: String(sidecarPort), WEIR_LEDGER_DIRECTORY: join(directory, "ledger") },
  });
  const child = sidecar;
  await untilUp("the sidecar", child, () => child.output().includes("weir: sidecar ready"));
  return child;
}

async function startProxy(policy: unknown, upstream: { host: string; port: number }): Promise<string> {
  const url = `http://127.0.0.1:${port}`;
  if (envoyBinary()) {
    proxy = await startEnvoy({
      policy,
      port,
      adminPort,
      sidecarPort,
      upstreamHost: upstream.host,
      upstreamPort: upstream.port,
      concurrency: Number(env.WEIR_CONCURRENCY ?? 2),
    });
    return url;
  }
  const file = join(directory, "policy.json");
  writeFileSync(file, JSON.stringify(policy));
  const args = ["serve", "--policy", file, "--upstream", `${upstream.host}:${upstream.port}`];
  const where = ["--port", String(port), "--sidecar", `127.0.0.1:${sidecarPort}`];
  const child = start(process.execPath, [weir, ...args, ...where]);
  proxy = child;
  await untilUp("the Node host", child, () => child.output().includes("weir: ready"));
  return url;
}

async function main(): Promise<void> {
  const policy = policyOf();
  const [host = "127.0.0.1", upstreamPort] = (env.WEIR_UPSTREAM ?? "").split(/:(?=\d+$)/);
  let upstream = { host, port: Number(upstreamPort) };
  let llm: MockLlm | undefined;
  if (!env.WEIR_UPSTREAM) {
    llm = await startMockLlm(await freePort());
    running.push({ stop: () => llm?.close() ?? Promise.resolve() });
    upstream = { host: "127.0.0.1", port: llm.port };
  }
  await startSidecar();
  if (!envoyBinary()) console.log("weir: no Envoy on this machine, so the filter runs in the Node host");
  let url = await startProxy(policy, upstream);
  console.log(`weir: ready ${url}`);
  if (envoyBinary())
    console.log(`weir: Envoy's admin http://127.0.0.1:${adminPort} (metrics: /stats/prometheus)`);
  console.log(`weir: the sidecar http://127.0.0.1:${sidecarPort} (metrics: /metrics)`);
  if (env.TOUR === "0") return;
  if (env.WEIR_POLICY || env.WEIR_UPSTREAM) {
    console.log("weir: the tour needs the demo's own policy and mock; it is left out");
    return;
  }
  const stopLedger = async () => sidecar?.stop();
  const rows = await tour(() => url, {
    engine: envoyBinary() ? "envoy" : "node-envoy",
    seen: () => llm?.seen.at(-1),
    stopLedger,
    startLedger: startSidecar,
    restart: async () => {
      await stopLedger();
      await startSidecar();
      await proxy?.stop();
      url = await startProxy(policy, upstream);
    },
  });
  console.log(table(rows));
  const wrong = rows.filter((row) => row.got !== row.expected).length;
  console.log(
    wrong > 0
      ? `weir: ${wrong} rows differ`
      : `weir: the tour is over${env.TOUR === "once" ? "" : "; the demo goes on until Ctrl-C"}`,
  );
  if (env.TOUR === "once") await end(wrong === 0 ? 0 : 1);
}

process.once("SIGINT", () => void end(0));
process.once("SIGTERM", () => void end(0));
main().catch(async (error: Error) => {
  console.error(`weir: ${error.message}`);
  await end(1);
});
