/** Answers on their way back: usage is asked for, read, hidden, and settled once however a stream ends. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { chatBody, keyEntry, secret, until, type World, world } from "../support/e2e.ts";
import {
  type Arrived,
  chunkEvent,
  DONE,
  startUpstream,
  type Upstream,
  usageEvent,
} from "../support/e2e-upstream.ts";

const budgets = [
  { name: "calls", meter: "requests", limit: 1000, window: "day" },
  { name: "answers", meter: "completion_tokens", limit: 100_000, window: "day" },
];
const output = { max_tokens: 20 };
const names = ["hidden", "asked", "silent", "gzip", "unreachable"];
const onAbort = ["delivered", "reserved", "zero"] as const;
const policy = {
  tiers: {
    pro: { budgets, output },
    ...Object.fromEntries(onAbort.map((on_abort) => [on_abort, { budgets, output, response: { on_abort } }])),
    free: {},
  },
  ledger: { sync: "200ms" },
  keys: [
    ...names.map((name) => keyEntry(name, `${name}/team/key`, "pro")),
    ...onAbort.flatMap((tier) =>
      ["left", "cut"].map((how) => keyEntry(`${tier}-${how}`, `${tier}-${how}/team/key`, tier)),
    ),
    keyEntry("free", "free/team/key", "free"),
  ],
};
const stream = { body: { stream: true } };
const EVENTS = [chunkEvent("Water "), chunkEvent("finds "), chunkEvent("its level.")];

describe("streams", () => {
  let upstream: Upstream;
  let w: World;
  before(async () => {
    upstream = await startUpstream();
    w = await world({ policy, upstreamPort: upstream.port });
  });
  after(async () => {
    await w?.close();
    await upstream?.close();
  });

  const settledSoFar = new Map<string, [number, number]>();
  const settled = async (name: string, calls: number, answers: number) => {
    await w.settled(`${name}/team/key`, "calls", calls);
    await w.settled(`${name}/team/key`, "answers", answers);
    settledSoFar.set(name, [calls, answers]);
  };
  /** A streamed answer whose chunks the test reads itself. */
  const streamed = (key: string, signal?: AbortSignal) =>
    fetch(`${(w.envoys[0] as (typeof w.envoys)[0]).url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${secret(key)}` },
      body: JSON.stringify(chatBody("hello", stream.body)),
      ...(signal && { signal }),
    });
  const last = () => upstream.arrived.at(-1) as Arrived;

  it("asks for usage, settles it, and hides the extra chunk, however the bytes are cut", async () => {
    const all = [...EVENTS, usageEvent(5, 11), DONE].join("");
    const sizes = [1, 7, 50, all.length];
    for (const size of sizes) {
      upstream.script = async (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        for (let at = 0; at < all.length; at += size) {
          response.write(all.slice(at, at + size));
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      };
      const answer = await w.chat("hidden", "hello", stream);
      assert.equal(answer.status, 200);
      assert.equal(answer.text, [...EVENTS, DONE].join(""), `in pieces of ${size}`);
      assert.deepEqual(JSON.parse(last().body).stream_options, { include_usage: true });
    }
    await settled("hidden", sizes.length, 11 * sizes.length);
  });

  it("leaves the extra chunk to a client that asked for it", async () => {
    const all = [...EVENTS, usageEvent(5, 9), DONE].join("");
    upstream.script = (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(all);
    };
    const body = { stream: true, stream_options: { include_usage: true } };
    assert.equal((await w.chat("asked", "hello", { body })).text, all);
    await settled("asked", 1, 9);
  });

  it("does not touch a stream of a tier without budgets", async () => {
    upstream.script = (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end([...EVENTS, DONE].join(""));
    };
    const answer = await w.chat("free", "hello", stream);
    assert.equal(answer.text, [...EVENTS, DONE].join(""));
    assert.equal(JSON.parse(last().body).stream_options, undefined);
  });

  it("passes each event on as soon as it came", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    upstream.script = async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(EVENTS[0]);
      await held;
      response.end([EVENTS[1], usageEvent(1, 2), DONE].join(""));
    };
    const response = await streamed("silent");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const first = await reader.read();
    assert.equal(new TextDecoder().decode(first.value), EVENTS[0]);
    release();
    let rest = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      rest += new TextDecoder().decode(read.value);
    }
    assert.equal(rest, [EVENTS[1], DONE].join(""));
    await settled("silent", 1, 2);
  });

  /** What an answer of which the first event was delivered may cost: requests and completion tokens. */
  const costs = { delivered: [1, 1, 4], reserved: [1, 20, 20], zero: [0, 0, 0] } as const;

  async function settledAs(tier: (typeof onAbort)[number], name: string): Promise<void> {
    const [calls, least, most] = costs[tier];
    await w.settled(`${name}/team/key`, "calls", calls, 0);
    const { spent = -1 } = (await w.budget(`${name}/team/key`, "answers")) ?? {};
    assert.ok(spent >= least && spent <= most, `${name}: ${spent} completion tokens`);
    settledSoFar.set(name, [calls, spent]);
  }

  it("settles once what the policy says when the client leaves midway", async () => {
    upstream.script = (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(EVENTS[0]);
    };
    for (const tier of onAbort) {
      const abort = new AbortController();
      const response = await streamed(`${tier}-left`, abort.signal);
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      assert.equal(new TextDecoder().decode((await reader.read()).value), EVENTS[0]);
      abort.abort();
      await assert.rejects(reader.read());
      await until("the upstream's stream to be reset", () => last().aborted);
    }
    for (const tier of onAbort) await settledAs(tier, `${tier}-left`);
  });

  it("settles once what the policy says when the upstream breaks off midway", async () => {
    upstream.script = async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(EVENTS[0]);
      await new Promise((resolve) => setTimeout(resolve, 50));
      response.destroy();
    };
    for (const tier of onAbort) await assert.rejects(w.chat(`${tier}-cut`, "hello", stream));
    for (const tier of onAbort) await settledAs(tier, `${tier}-cut`);
  });

  it("charges what was reserved for an answer that it cannot read", async () => {
    upstream.script = (_, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
      response.end(gzipSync('{"usage":{"prompt_tokens":1,"completion_tokens":1}}'));
    };
    assert.equal((await w.chat("gzip", "hello")).status, 200);
    await settled("gzip", 1, 20);
  });

  it("charges nothing when the upstream cannot be reached", async () => {
    await upstream.close();
    const answer = await w.chat("unreachable", "hello");
    assert.equal(answer.status, 503);
    await settled("unreachable", 0, 0);
  });

  it("settled nothing twice, and gave back what was not used", async () => {
    assert.equal(settledSoFar.size, names.length + 2 * onAbort.length);
    for (const [name, [calls, answers]] of settledSoFar) {
      await w.settled(`${name}/team/key`, "calls", calls, 0);
      await w.settled(`${name}/team/key`, "answers", answers, 0);
    }
    assert.equal(await w.stat("weir_unsettled_total"), 0);
    assert.equal(await w.stat("weir_lost_reports_total"), 0);
  });
});

describe("the gauge of open streams", () => {
  it("tells what the worker serves, and never what Envoy's main thread does not", async () => {
    const upstream = await startUpstream();
    let release = () => {};
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    upstream.script = (_, response) => void wait.then(() => response.end("{}"));
    const w = await world({
      policy: { tiers: { anonymous: {} }, ledger: { sync: "100ms" } },
      upstreamPort: upstream.port,
      workers: 1,
      sidecar: false,
    });
    try {
      const open = [1, 2, 3].map((i) => w.chat(undefined, `hello ${i}`));
      const told = () => w.stat("weir_streams_open");
      await until("the streams to be told", async () => (await told()) === 3);
      for (let i = 0; i < 100; i++) {
        assert.equal(await told(), 3);
        await new Promise((resolve) => setTimeout(resolve, 7));
      }
      release();
      await Promise.all(open);
      await until("none to be told", async () => (await told()) === 0);
    } finally {
      release();
      await w.close();
      await upstream.close();
    }
  });
});
