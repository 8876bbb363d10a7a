// What the benchmarks in real Envoy share: Envoys side by side, an upstream, and requests over connections that stay open.
import { createHash } from "node:crypto";
import { Agent, createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { type Envoy, type EnvoyOptions, startEnvoy } from "../demo/processes.ts";
import { cpuMicros } from "./measure.ts";

export const KEY = "bench-key";
export const CONNECTIONS = 8;
export const entry = (key: string, subject: string, tier: string) => ({
  sha256: createHash("sha256").update(key).digest("hex"),
  subject,
  tier,
});

export interface Variant {
  name: string;
  envoy: Envoy;
  agent: Agent;
}

/** Starts an Envoy of one worker. */
export async function startVariant(name: string, options: EnvoyOptions): Promise<Variant> {
  const envoy = await startEnvoy({ concurrency: 1, ...options });
  return { name, envoy, agent: new Agent({ keepAlive: true, maxSockets: CONNECTIONS }) };
}

export async function stopVariant({ agent, envoy }: Variant): Promise<void> {
  agent.destroy();
  await envoy.stop();
}

/** An upstream that gives every request the same answer. */
export async function startUpstream(answer: object): Promise<{ port: number; close(): void }> {
  const text = JSON.stringify(answer);
  const server = createServer((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Sends one chat; rejects unless the answer is 200. */
export function post({ name, envoy, agent }: Variant, body: string, key = KEY): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: "127.0.0.1",
        port: envoy.port,
        path: "/v1/chat/completions",
        method: "POST",
        agent,
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${key}`,
          "content-length": Buffer.byteLength(body),
        },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () =>
          response.statusCode === 200
            ? resolve()
            : reject(new Error(`${name}: ${response.statusCode} instead of 200: ${text}`)),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Sends all of `bodies` over the connections; the processor time of Envoy for each, in microseconds. */
export async function sendAll(variant: Variant, bodies: string[]): Promise<number> {
  const pid = variant.envoy.process.pid as number;
  const before = cpuMicros(pid);
  let next = 0;
  const worker = async () => {
    while (next < bodies.length) await post(variant, bodies[next++] as string);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return (cpuMicros(pid) - before) / bodies.length;
}
