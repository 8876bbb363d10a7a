// Every engine that runs the filter, each with a real ledger and the mock LLM, as a stage for the table of
// demo/scenarios.ts: real Envoy, the gateway of the Node host in both profiles, and Kong's real plugin server.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MockLlm, startMockLlm } from "../../demo/mock-llm.ts";
import { freePort, root } from "../../demo/processes.ts";
import type { Engine } from "../../demo/scenarios.ts";
import { headersOf, httpSender, type Stage } from "../../demo/walk.ts";
import { rawPairs } from "../../host/callouts.ts";
import type { Upstream, UpstreamResponse } from "../../host/exchange.ts";
import { type Gateway, serve } from "../../host/node-server.ts";
import type { ProfileName } from "../../host/profiles.ts";
import { type Sidecar, startSidecar } from "../../sidecar/server.ts";
import { makeSettings } from "../../sidecar/settings.ts";
import { world } from "./e2e.ts";
import { policyFor } from "./filter.ts";
import { KongEdge, PluginServer } from "./filter-kong.ts";

export interface RunningEngine extends Stage {
  close(): Promise<void>;
}

/** The filter as it ships, or the build that WEIR_WASM names. */
const wasm = () => readFileSync(process.env.WEIR_WASM ?? join(root, "dist/weir.wasm"));
/** More than most requests have, less than the largest of the table. */
const NGINX_BODY_BUFFER_BYTES = 64 << 10;
const BODY_BUFFER_BYTES = 4 << 20;

/** Starts an engine with `policy`. */
export function startEngine(engine: Engine, policy: object): Promise<RunningEngine> {
  if (engine === "envoy") return startEnvoyEngine(policy);
  return engine === "kong-plugin"
    ? startKongEngine(policy)
    : startNodeEngine(engine === "node-envoy" ? "envoy" : "ngx_wasm", policy);
}

async function startEnvoyEngine(policy: object): Promise<RunningEngine> {
  const w = await world({ policy });
  return {
    engine: "envoy",
    send: httpSender(() => w.envoys[0]!.url),
    seen: () => w.llm.seen.at(-1),
    stopLedger: w.stopSidecar,
    startLedger: w.startSidecar,
    restart: async () => {
      await w.stopSidecar();
      await w.restartEnvoy();
      await w.startSidecar();
    },
    close: w.close,
  };
}

async function startNodeEngine(profile: ProfileName, policy: object): Promise<RunningEngine> {
  const llm = await startMockLlm();
  const ledger = await ledgerServer();
  const where = `127.0.0.1:${ledger.port}`;
  const start = () =>
    serve({
      wasm: wasm(),
      policy: JSON.stringify(policyFor(profile, policy, where)),
      profile,
      upstream: `127.0.0.1:${llm.port}`,
      clusters: { weir_sidecar: where, [where]: where },
      bodyBufferBytes: profile === "ngx_wasm" ? NGINX_BODY_BUFFER_BYTES : BODY_BUFFER_BYTES,
    });
  let gateway: Gateway = await start();
  return {
    engine: `node-${profile}`,
    send: httpSender(() => `http://127.0.0.1:${gateway.port}`),
    seen: () => llm.seen.at(-1),
    stopLedger: ledger.stop,
    startLedger: ledger.start,
    restart: async () => {
      await ledger.stop();
      await ledger.start();
      await gateway.close();
      gateway = await start();
    },
    close: async () => {
      await gateway.close();
      await ledger.close();
      await llm.close();
    },
  };
}

async function startKongEngine(policy: object): Promise<RunningEngine> {
  const llm = await startMockLlm();
  const ledger = await ledgerServer();
  const start = async () => {
    const server = await PluginServer.start(wasm());
    const sidecar = `127.0.0.1:${ledger.port}`;
    return { server, edge: await KongEdge.open(server, "weir-buffered", policy, { sidecar }) };
  };
  let running = await start();
  const stop = async () => {
    await running.edge.close();
    await running.server.stop();
  };
  return {
    engine: "kong-plugin",
    send: async (request) => {
      const { body, path } = request;
      const upstream = forwardTo(llm);
      const headers = Object.entries(headersOf(request));
      const answer = await running.edge.send({ headers, body, upstream, ...(path && { path }) });
      return { ...answer, pieces: 1 };
    },
    seen: () => llm.seen.at(-1),
    stopLedger: ledger.stop,
    startLedger: ledger.start,
    restart: async () => {
      await stop();
      await ledger.stop();
      await ledger.start();
      running = await start();
    },
    close: async () => {
      await stop();
      await ledger.close();
      await llm.close();
    },
  };
}

/** A sidecar on the embedded store, which can be stopped and started again on the same port and the same data. */
async function ledgerServer() {
  const directory = mkdtempSync(join(tmpdir(), "weir-engine-"));
  const port = await freePort();
  const settings = makeSettings({ port, ledger: { kind: "embedded", directory }, stopGraceMs: 2_000 });
  let running: Sidecar | undefined = await startSidecar(settings);
  const stop = async () => {
    await running?.close();
    running = undefined;
  };
  return {
    port,
    stop,
    start: async () => {
      running = await startSidecar(settings);
    },
    close: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Kong's own way to the service. */
function forwardTo(llm: MockLlm): Upstream {
  return ({ headers, body }) =>
    new Promise<UpstreamResponse>((resolve, reject) => {
      const outgoing = httpRequest(
        { host: "127.0.0.1", port: llm.port, method: "POST", path: "/v1/chat/completions" },
        (answer) => {
          const { statusCode = 502, rawHeaders } = answer;
          resolve({ status: statusCode, headers: rawPairs(rawHeaders), body: answer });
        },
      );
      for (const [name, value] of headers) if (!name.startsWith(":")) outgoing.setHeader(name, value);
      outgoing.on("error", reject);
      outgoing.end(body);
    });
}
