// Processor time per request of Envoy: bare, with Weir, and with a Lua filter that looks up a key and searches for
// a keyword, for bodies of 1 KB and 32 KB. All run at once and are measured in turn, round by round, so that what
// the machine does meanwhile falls on each alike. Every answer is checked, and every text is new, so that Weir's memo
// of inspected texts helps nobody.
//
//   npx tsx bench/envoy.ts [--rounds 7] [--requests 1500]
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Envoy, startEnvoy } from "../demo/processes.ts";
import { startSidecar } from "../sidecar/server.ts";
import { makeSettings } from "../sidecar/settings.ts";
import { chatBody, fresh } from "./chat-body.ts";
import { cpuMicros, median, printTable, record } from "./measure.ts";
import { without } from "./without.ts";

const KEY = "bench-key";
const CONNECTIONS = 8;
const sha256 = createHash("sha256").update(KEY).digest("hex");
const key = { sha256, subject: "bench/team/key", tier: "pro" };

const LUA = `
                  - name: envoy.filters.http.lua
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
                      default_source_code:
                        inline_string: |
                          local keys = { ["Bearer ${KEY}"] = true }
                          function envoy_on_request(handle)
                            if not keys[handle:headers():get("authorization")] then
                              handle:respond({[":status"] = "401"}, "no")
                              return
                            end
                            local body = handle:body()
                            if body and string.find(string.lower(body:getBytes(0, body:length())), "ignore previous instructions", 1, true) then
                              handle:respond({[":status"] = "403"}, "no")
                            end
                          end
`;
const lua = (text: string) =>
  without(text).replace(
    "                  - name: envoy.filters.http.router",
    `${LUA.slice(1)}                  - name: envoy.filters.http.router`,
  );

interface Variant {
  name: string;
  envoy: Envoy;
  agent: Agent;
  micros: Map<number, number[]>;
}

function send(variant: Variant, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: "127.0.0.1",
        port: variant.envoy.port,
        path: "/v1/chat/completions",
        method: "POST",
        agent: variant.agent,
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${KEY}`,
          "content-length": Buffer.byteLength(body),
        },
      },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

async function round(variant: Variant, body: string, requests: number): Promise<number> {
  const before = cpuMicros(variant.envoy.process.pid!);
  let left = requests;
  const worker = async () => {
    while (left-- > 0) {
      const status = await send(variant, fresh(body));
      if (status !== 200) throw new Error(`${variant.name}: ${status} instead of 200`);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return (cpuMicros(variant.envoy.process.pid!) - before) / requests;
}

export async function bench(rounds: number, requests: number): Promise<void> {
  const answer = JSON.stringify({
    choices: [],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  });
  const upstream = createServer((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end(answer));
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const upstreamPort = (upstream.address() as AddressInfo).port;
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const sidecar = await startSidecar(makeSettings({ port: 0, ledger: { kind: "embedded", directory } }));
  const common = { upstreamPort, sidecarPort: sidecar.port, concurrency: 1 };
  const limits = { requests: "1M/s" };
  const policies = {
    limits: { tiers: { pro: limits }, keys: [key] },
    budgets: { tiers: { pro: { ...limits, tokens: "1000G/month" } }, keys: [key] },
    plain: { tiers: { pro: { ...limits, prompt: { injection: "off" } } }, keys: [key] },
  };
  const variants: Variant[] = [];
  const add = async (name: string, options: { policy: unknown; edit?: (text: string) => string }) => {
    variants.push({
      name,
      envoy: await startEnvoy({ ...common, ...options }),
      agent: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }),
      micros: new Map(),
    });
  };
  try {
    await add("bare", { policy: policies.limits, edit: without });
    await add("weir, inspection off", { policy: policies.plain });
    await add("weir", { policy: policies.limits });
    await add("weir with a token budget", { policy: policies.budgets });
    await add("lua", { policy: policies.limits, edit: lua });
    const bodies = [1024, 32 << 10].map(chatBody);
    for (const body of bodies)
      for (const variant of variants) await round(variant, body, Math.ceil(requests / 3));
    for (let i = 0; i < rounds; i++) {
      for (const body of bodies) {
        for (const variant of variants) {
          const list = variant.micros.get(body.length) ?? [];
          list.push(await round(variant, body, requests));
          variant.micros.set(body.length, list);
        }
      }
    }
    const rows = bodies.flatMap((body) =>
      variants.map((variant) => {
        const own = variant.micros.get(body.length)!;
        const bare = variants[0]!.micros.get(body.length)!;
        const over = own.map((value, i) => value - bare[i]!);
        return {
          body: `${body.length} B`,
          envoy: variant.name,
          "CPU µs/request": median(own).toFixed(1),
          "over bare": median(over).toFixed(1),
          "ratio to bare": (median(own) / median(bare)).toFixed(2),
        };
      }),
    );
    printTable(rows);
    record("envoy", rows);
  } finally {
    for (const variant of variants) {
      variant.agent.destroy();
      await variant.envoy.stop();
    }
    await sidecar.close();
    upstream.closeAllConnections();
    upstream.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "7" }, requests: { type: "string", default: "1500" } },
});
await bench(Number(values.rounds), Number(values.requests));
