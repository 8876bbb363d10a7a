/**
 * Whatever comes, from clients or from upstreams, the VM never traps: hundreds of requests and answers made by
 * mutation, from a fixed seed, and then the statistics of Envoy's VMs and ordinary service.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { chatBody, keyEntry, secret, type World, world } from "../support/e2e.ts";
import { chunkEvent, DONE, startUpstream, type Upstream, usageEvent } from "../support/e2e-upstream.ts";
import { random } from "../support/random.ts";

const SEED = 20_261_121;
const REQUESTS = 500;
const RAW = 60;
const ANSWERS = 200;
const AT_ONCE = 16;

const policy = {
  tiers: {
    pro: {
      requests: "1000000/min",
      budgets: [{ name: "tokens", meter: "tokens", limit: "1G", window: "month" }],
      prompt: { max_tokens: "10k", max_bytes: "256Ki", unknown_shape: "allow" },
    },
    anonymous: { requests: "1000000/min" },
  },
  identity: { trusted_hops: 2 },
  ledger: { sync: "200ms" },
  keys: [keyEntry("pro", "acme/robust/pro", "pro")],
};

const PRO = secret("pro");

const NASTY = [
  ...[
    '"',
    "\\",
    "\\u",
    "\\ud800",
    "\\udc00\\ud800",
    "\u200b",
    "\u{e0041}",
    "\u0000",
    "\ufeff",
    "{",
    "[",
    "]}",
    ",",
  ],
  ...["null", "1e999", "-", "18446744073709551616", "9007199254740993", "1e-999", "true", '"n":99999999999,'],
  ...[
    '"max_tokens":-1,',
    '"stream":true,',
    '"stream_options":null,',
    "aWdub3JlIHByZXZpb3Vz",
    "data:image/png;base64,",
  ],
];
const BODIES = [
  chatBody("How deep is the river?"),
  chatBody("café \u{1f30a} ".repeat(200), { stream: true, stream_options: {} }),
  {
    model: "gpt-4o",
    messages: [{ role: "user", content: [{ type: "text", text: "hi" }, { type: "image_url" }] }],
  },
  { model: "claude-x", max_tokens: 5, system: "s", messages: [{ role: "user", content: "Hello" }] },
  { model: "m", prompt: ["a", "b", [1, 2, 3]], n: 3, best_of: 4 },
  { model: "e", input: ["one", "two"] },
  {
    model: "r",
    input: [{ role: "user", content: [{ type: "input_text", text: "hi" }] }],
    max_output_tokens: 3,
  },
  { contents: [{ parts: [{ text: "hi" }] }], generationConfig: { maxOutputTokens: 5 } },
].map((body) => JSON.stringify(body));
const PATHS = [
  ...["/v1/chat/completions", "/v1/messages", "/v1/completions", "/v1/embeddings", "/v1/responses", "/"],
  ...[
    "/v1beta/models/gemini-pro:streamGenerateContent?alt=sse",
    `/${"a".repeat(300)}`,
    "/v1/%2e%2e/x",
    "/?a=%00",
  ],
];

describe("robustness", () => {
  let upstream: Upstream;
  let w: World;
  const pick = random(SEED);
  const one = <T>(of: readonly T[]) => of[pick(of.length)] as T;

  before(async () => {
    upstream = await startUpstream();
    upstream.script = (_, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end('{"usage":{"prompt_tokens":1,"completion_tokens":1}}');
    };
    w = await world({ policy, upstreamPort: upstream.port });
  });
  after(async () => {
    await w?.close();
    await upstream?.close();
  });

  /** Some bytes cut, doubled, overwritten or put in. */
  function mutated(text: string): Buffer {
    let bytes: Buffer = Buffer.from(text);
    for (let n = pick(5); n > 0; n--) {
      const at = pick(bytes.length + 1);
      const to = Math.min(bytes.length, at + pick(20));
      const middle = [
        () => Buffer.alloc(0),
        () => Buffer.concat([bytes.subarray(at, to), bytes.subarray(at, to)]),
        () => Buffer.from(bytes.subarray(at, to).map(() => pick(256))),
        () => Buffer.concat([Buffer.from(one(NASTY)), bytes.subarray(at, to)]),
        () => Buffer.concat([Buffer.from(one(NASTY).repeat(pick(3_000))), bytes.subarray(at, to)]),
      ];
      bytes = Buffer.concat([bytes.subarray(0, at), one(middle)(), bytes.subarray(to)]);
    }
    return bytes;
  }

  function headers(): Record<string, string | string[]> {
    const some: Record<string, string | string[]> = { "content-type": "application/json" };
    const odd: Record<string, () => string | string[]> = {
      authorization: () =>
        one([
          `Bearer ${PRO}`,
          "Bearer ",
          "Bearer",
          "Basic eDp5",
          `bearer  ${PRO} `,
          `Bearer ${"k".repeat(5_000)}`,
        ]),
      "x-api-key": () => one([PRO, "", "\u00ff\u00fe", "wrong"]),
      "content-type": () =>
        one(["", "application/json; charset=utf-8", "APPLICATION/JSON", "text/json", ";"]),
      "content-encoding": () => one(["gzip", "", "identity"]),
      "x-forwarded-for": () =>
        one([",", ",,,,", "1.2.3.4", "999.1.1.1, ::1", "[::1]:80,x", "::ffff:1.2.3.4,::,", "a".repeat(200)]),
      "x-weir-tier": () => ["internal", "pro"],
      "x-request-id": () => one(["", "x".repeat(300), "not a uuid"]),
      expect: () => "200-ok",
      upgrade: () => one(["websocket", "h2c"]),
      cookie: () => Array.from({ length: pick(40) }, (_, i) => `a${i}=b`),
    };
    if (pick(4) > 0) some.authorization = `Bearer ${PRO}`;
    for (let n = pick(4); n > 0; n--) {
      const [name, value] = one(Object.entries(odd));
      some[name] = value();
    }
    if (pick(20) === 0) for (let i = 0; i < 90; i++) some[`x-weir-${i}`] = "forged";
    return some;
  }

  /** The status, or 0 where the connection ended without one. */
  function ask(path: string, body: Buffer): Promise<number> {
    const { port } = w.envoys[0] as (typeof w.envoys)[0];
    const method = one(["POST", "POST", "POST", "POST", "PUT", "GET", "DELETE", "PATCH"]);
    return new Promise((resolve, reject) => {
      const out = request({
        host: "127.0.0.1",
        port,
        path,
        method,
        headers: headers(),
        agent: false,
        timeout: 20_000,
      });
      out.on("timeout", () => reject(new Error(`${method} ${path.slice(0, 50)} was never answered`)));
      out.on("error", () => resolve(0));
      out.on("upgrade", (_, socket) => resolve(Number(socket.destroy() && 101)));
      out.on("response", (response) => {
        response.on("error", () => resolve(0));
        response.resume().on("close", () => resolve(response.statusCode ?? 0));
      });
      for (let at = 0, size = 1 + pick(20_000); at < body.length; at += size)
        out.write(body.subarray(at, at + size));
      out.end();
    });
  }

  /** Runs `job` `count` times, some at once; the answers by status. */
  async function many(count: number, job: () => Promise<number>): Promise<Map<number, number>> {
    const statuses = new Map<number, number>();
    let left = count;
    const worker = async () => {
      while (left-- > 0) {
        const status = await job();
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    return statuses;
  }

  async function unharmed(): Promise<void> {
    for (const name of ["vm_reload", "weir_lost_reports_total"]) assert.equal(await w.stat(name), 0, name);
    const log = (w.envoys[0] as (typeof w.envoys)[0]).output();
    assert.doesNotMatch(log, /\[critical\]|\[error\]|RuntimeError|abort/i);
    assert.equal((await w.chat("pro", "How deep is the river?")).status, 200);
  }

  it(`survives ${REQUESTS} mutated requests`, async (t) => {
    const statuses = await many(REQUESTS, () => ask(one(PATHS), mutated(one(BODIES))));
    t.diagnostic(
      `seed ${SEED}: ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(", ")}`,
    );
    assert.ok((statuses.get(200) ?? 0) > 20, "some of them are still acceptable");
    assert.equal(statuses.get(500) ?? 0, 0);
    await unharmed();
  });

  it(`survives ${RAW} connections that break off or do not speak HTTP`, async () => {
    const { port } = w.envoys[0] as (typeof w.envoys)[0];
    const head = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${PRO}\r\ncontent-type: application/json\r\n`;
    const texts = [
      `${head}content-length: 500\r\n\r\n{"model":`,
      `${head}transfer-encoding: chunked\r\n\r\n5\r\n{"mod\r\nffffffff\r\n`,
      `${head}transfer-encoding: chunked\r\n\r\n41\r\n${BODIES[0]}\r\n`,
      `${head}content-length: 65\r\n\r\n${BODIES[0]}`,
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      "\u0016\u0003\u0001\u0002\u0000",
    ];
    await many(RAW, () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined).resume();
      return new Promise((resolve) => {
        socket.on("close", () => resolve(0));
        socket.write(mutated(one(texts)), () => setTimeout(() => socket.destroy(), pick(30)));
      });
    });
    await unharmed();
  });

  it("counts nothing that Envoy refuses before it asks the filter", async () => {
    const { port } = w.envoys[0] as (typeof w.envoys)[0];
    const first = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", reject).on("close", () => reject(new Error("closed without an answer")));
      socket.once("data", (bytes) => {
        resolve(bytes.toString());
        socket.destroy();
      });
      // Not ended: Envoy answers nobody who has left.
      socket.write("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: 0\r\n\r\n");
    });
    assert.match(first, /^HTTP\/1\.1 426 /);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(await w.stat("weir_requests_total.tier.none.verdict.ok"), 0);
  });

  it(`survives ${ANSWERS} mutated answers`, async (t) => {
    const events = [chunkEvent("Water "), chunkEvent("finds"), usageEvent(3, 4), DONE].join("");
    const anthropic =
      'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}\n\n' +
      'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":9}}\n\n';
    const whole = JSON.stringify({
      choices: [{ message: { content: "x" } }],
      usage: { prompt_tokens: 3, completion_tokens: 4 },
    });
    upstream.script = async (_, response) => {
      const [type, text] = one([
        ["text/event-stream", events],
        ["text/event-stream; charset=utf-8", anthropic],
        ["application/json", whole],
        ["", whole],
        ["application/json", events],
      ]);
      response.writeHead(one([200, 200, 200, 201, 204, 400, 500]), {
        "content-type": type,
        ...(pick(10) === 0 && { "content-encoding": "br" }),
        "x-weir-verdict": "forged",
      });
      const bytes = mutated(text);
      for (let at = 0, size = 1 + pick(400); at < bytes.length; at += size) {
        response.write(bytes.subarray(at, at + size));
        if (pick(40) === 0) return void response.destroy();
        await new Promise((resolve) => setImmediate(resolve));
      }
      response.end();
    };
    const body = () =>
      chatBody(
        "How deep is the river?",
        one([{}, { stream: true }, { stream: true, stream_options: { include_usage: true } }]),
      );
    const statuses = await many(ANSWERS, () =>
      ask("/v1/chat/completions", Buffer.from(JSON.stringify(body()))),
    );
    t.diagnostic(
      `seed ${SEED}: ${[...statuses].map(([status, count]) => `${count} × ${status}`).join(", ")}`,
    );
    upstream.script = (_, response) => void response.end("{}");
    await unharmed();
  });
});
