// What the benchmarks in real Envoy share: Envoys side by side, an upstream, and requests over connections that stay open.
import { createHash } from "node:crypto";
import { Agent, createServer, request as httpRequest, type RequestListener } from "node:http";
import { type Envoy, type EnvoyOptions, startEnvoy } from "../demo/processes.ts";
import { listening } from "../test/support/listening.ts";
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

/** Starts an Envoy of one worker, for so many connections. */
export async function startVariant(
  name: string,
  options: EnvoyOptions,
  connections = CONNECTIONS,
): Promise<Variant> {
  const envoy = await startEnvoy({ concurrency: 1, ...options });
  return { name, envoy, agent: new Agent({ keepAlive: true, maxSockets: connections }) };
}

export async function stopVariant({ agent, envoy }: Pick<Variant, "agent" | "envoy">): Promise<void> {
  agent.destroy();
  await envoy.stop();
}

export interface Upstream {
  port: number;
  close(): void;
}

/** An upstream that answers as `listener` does. */
export async function listen(listener: RequestListener): Promise<Upstream> {
  const server = createServer(listener);
  // Envoy keeps idle connections for an hour and uses them again: one that ends after five seconds may end under a request.
  server.keepAliveTimeout = 0;
  return {
    port: await listening(server),
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** An upstream that gives every request the same answer. */
export function startUpstream(answer: object): Promise<Upstream> {
  const text = JSON.stringify(answer);
  return listen((incoming, response) => {
    incoming.resume();
    incoming.on("end", () => response.writeHead(200, { "content-type": "application/json" }).end(text));
  });
}

/** An answer, read to its end. Milliseconds from when the request was sent to the answer's first and last bytes. */
export interface Answer {
  status: number;
  text: string;
  firstMs: number;
  ms: number;
}

/** Who sends, unless it is KEY, and headers beyond the usual. */
export interface Sending {
  key?: string;
  headers?: Record<string, string>;
}

/** Sends one chat over a connection that `agent` keeps open. */
export function send(
  { envoy, agent }: Pick<Variant, "agent" | "envoy">,
  body: string,
  { key = KEY, headers = {} }: Sending = {},
): Promise<Answer> {
  const begun = performance.now();
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
          ...headers,
        },
      },
      (response) => {
        let text = "";
        let firstMs = 0;
        response.setEncoding("utf8").on("data", (chunk) => {
          firstMs ||= performance.now() - begun;
          text += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text, firstMs, ms: performance.now() - begun }),
        );
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

/** Sends one chat; rejects unless the answer is 200. */
export async function post(variant: Variant, body: string, options: Sending = {}): Promise<Answer> {
  const answer = await send(variant, body, options);
  if (answer.status !== 200) {
    throw new Error(`${variant.name}: ${answer.status} instead of 200: ${answer.text}`);
  }
  return answer;
}

/** Does `work` for 0 … `times` − 1, `together` at a time. */
export async function each(
  times: number,
  together: number,
  work: (i: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < times) await work(next++);
  };
  await Promise.all(Array.from({ length: together }, worker));
}

/** Sends all of `bodies` over the connections; the processor time of Envoy for each, in microseconds. */
export async function sendAll(variant: Variant, bodies: string[], options: Sending = {}): Promise<number> {
  const pid = variant.envoy.process.pid as number;
  const before = cpuMicros(pid);
  await each(bodies.length, CONNECTIONS, (i) => post(variant, bodies[i] as string, options));
  return (cpuMicros(pid) - before) / bodies.length;
}
