/** However Envoy ends a stream (a retry, its timeouts, a drain, its own end), it is settled once. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { chatBody, keyEntry, secret, until, type World, world } from "../support/e2e.ts";
import { chunkEvent, DONE, startUpstream, type Upstream, usageEvent } from "../support/e2e-upstream.ts";

const budgets = [
  { name: "calls", meter: "requests", limit: 1000, window: "day" },
  { name: "answers", meter: "completion_tokens", limit: 100_000, window: "day" },
];
const names = [
  "retried",
  "once",
  "late",
  "slow",
  "long",
  "failed",
  "drained",
  "stopped",
  "redirected",
  "direct",
  "first",
  "left",
  "queued",
  "faulted",
];
const pro = { budgets, output: { max_tokens: 20 }, prompt: { redact: { email: "reversible" } } };
const policy = {
  tiers: {
    pro,
    careful: { ...pro, response: { on_abort: "reserved" } },
    mild: { ...pro, response: { on_abort: "zero" } },
    redacts: { budgets, output: { max_tokens: 20 }, response: { redact: ["email"] } },
    blocks: { budgets, output: { max_tokens: 20 }, response: { redact: { email: "block" } } },
    counts: { budgets, output: { max_tokens: 20 } },
  },
  ledger: { sync: "200ms" },
  keys: [
    ...names.map((name) => keyEntry(name, `${name}/team/key`, "pro")),
    ...["careful", "mild", "redacts", "blocks", "counts"].map((name) =>
      keyEntry(name, `${name}/team/key`, name),
    ),
  ],
};
const ROUTE = "route: { cluster: llm, timeout: 300s }";
const EDITED =
  'route: { cluster: llm, timeout: 1s, retry_policy: { retry_on: "retriable-status-codes", retriable_status_codes: [503], num_retries: 2, retry_back_off: { base_interval: 0.01s } } }';
const ROUTES = `- match: { prefix: "/" }
`;
/**
 * One that ends every stream after a while, by what Envoy tells in another way, one by which Envoy follows redirections, two that it answers
 * itself, one that another filter answers, and one to an upstream that takes one request at a time.
 */
const MORE_ROUTES = `- match: { prefix: "/limited" }
                          route: { cluster: llm, timeout: 0s, max_stream_duration: { max_stream_duration: 0.5s } }
                        - match: { prefix: "/redirected" }
                          route: { cluster: llm, internal_redirect_policy: { redirect_response_codes: [307] } }
                        - match: { prefix: "/direct/text" }
                          direct_response: { status: 200, body: { inline_string: "up" } }
                        - match: { prefix: "/direct" }
                          direct_response: { status: 200, body: { inline_string: "{}" } }
                          response_headers_to_add: [{ header: { key: content-type, value: application/json }, append_action: OVERWRITE_IF_EXISTS_OR_ADD }]
                        - match: { prefix: "/faulted" }
                          route: { cluster: llm }
                          typed_per_filter_config:
                            envoy.filters.http.fault:
                              "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
                              abort: { http_status: 200, percentage: { numerator: 100 } }
                        - match: { prefix: "/single" }
                          route: { cluster: single, timeout: 1s }
                        ${ROUTES}`;
const ROUTER = "- name: envoy.filters.http.router";
/** It ends what it unpacked with trailers, of which Envoy does not tell who holds the last bytes. */
const UNPACKS = `- name: envoy.filters.http.decompressor
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor
                      decompressor_library:
                        name: gzip
                        typed_config: { "@type": type.googleapis.com/envoy.extensions.compression.gzip.decompressor.v3.Gzip }
                  ${ROUTER}`;
const FAULT = `- name: envoy.filters.http.fault
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault }
                  ${UNPACKS}`;
const CLUSTERS = "  clusters:\n";
const single = (port: number) => `${CLUSTERS}    - name: single
      connect_timeout: 2s
      type: STATIC
      circuit_breakers: { thresholds: [{ max_connections: 1 }] }
      load_assignment:
        cluster_name: single
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }
`;
const ADDRESSES = "use_remote_address: true";
/** As Envoy before 1.33 has it: who comes from here is believed. */
const INTERNAL = `${ADDRESSES}
                internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }`;
const CLUSTER = "connect_timeout: 2s";
/** Trailers over HTTP/1.1, as those of HTTP/2. */
const TRAILERS = `${CLUSTER}
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http_protocol_options: { enable_trailers: true } }`;
const FIRST = chunkEvent("Dear [EMAIL_1]");

describe("endings", () => {
  let upstream: Upstream;
  let w: World;
  let url: string;
  before(async () => {
    upstream = await startUpstream();
    w = await world({
      policy,
      upstreamPort: upstream.port,
      edit: (text) => {
        assert.ok(text.includes(ROUTE) && text.includes(ROUTES) && text.includes(CLUSTER));
        assert.ok(text.includes(ADDRESSES) && text.includes(ROUTER) && text.includes(CLUSTERS));
        return text
          .replace(ROUTER, FAULT)
          .replace(ADDRESSES, INTERNAL)
          .replace(ROUTES, MORE_ROUTES)
          .replace(ROUTE, EDITED)
          .replace(CLUSTER, TRAILERS)
          .replace(CLUSTERS, single(upstream.port));
      },
    });
    url = (w.envoys[0] as (typeof w.envoys)[0]).url;
  });
  after(async () => {
    await w?.close();
    await upstream?.close();
  });

  const settled = async (name: string, calls: number, answers: number) => {
    await w.settled(`${name}/team/key`, "calls", calls, 0);
    await w.settled(`${name}/team/key`, "answers", answers, 0);
  };
  const ask = (key: string, prefix = "", signal: AbortSignal | null = null) =>
    fetch(`${url}${prefix}/v1/chat/completions`, {
      method: "POST",
      signal,
      headers: { "content-type": "application/json", authorization: `Bearer ${secret(key)}` },
      body: JSON.stringify(chatBody("I am bob@example.com", { stream: true })),
    });
  /** Sends the first event, and the rest when `go` resolves. */
  const inTwo = (go: Promise<void>) => {
    upstream.script = async (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(FIRST);
      await go;
      response.end(usageEvent(5, 7) + DONE);
    };
  };

  it("settles a request once that Envoy tried three times, each time with the same redacted body", async () => {
    let tries = 0;
    upstream.script = (_, response) => {
      if (++tries < 3) return void response.writeHead(503).end();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(FIRST + usageEvent(5, 7) + DONE);
    };
    const answer = await w.chat("retried", "I am bob@example.com", { body: { stream: true } });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, chunkEvent("Dear bob@example.com") + DONE);
    assert.equal(tries, 3);
    const bodies = new Set(upstream.arrived.map(({ body }) => body));
    assert.equal(bodies.size, 1);
    assert.match([...bodies][0] as string, /I am \[EMAIL_1\]/);
    await settled("retried", 1, 7);
  });

  it("tries as often as the route says, not as the client does", async () => {
    let tries = 0;
    upstream.script = (_, response) => {
      tries++;
      response.writeHead(500).end();
    };
    const headers = { "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9" };
    assert.equal((await w.chat("once", "Hello", { headers })).status, 500);
    assert.equal(tries, 1);
    await settled("once", 0, 0);
  });

  it("charges nothing for what a route answers without the upstream", async () => {
    for (const [prefix, text] of [
      ["/direct/text", "up"],
      ["/direct", "{}"],
    ]) {
      const answer = await ask("direct", prefix);
      assert.deepEqual([answer.status, await answer.text()], [200, text]);
    }
    await settled("direct", 0, 0);
  });

  it("charges nothing for what another filter answers without the upstream", async () => {
    assert.equal(await (await ask("faulted", "/faulted")).text(), "fault filter abort");
    await settled("faulted", 0, 0);
  });

  it("charges nothing for a request that ended while it waited for a connection to the upstream", async () => {
    const before = upstream.arrived.length;
    upstream.script = () => {};
    // Of each worker one is asked; what comes behind it waits for its connection.
    const first = [1, 2, 3, 4, 5, 6].map(() => ask("first", "/single"));
    await until("the first", () => upstream.arrived.length > before);
    await sleep(300);
    const asked = upstream.arrived.length - before;
    assert.ok(asked <= 2, `${asked}`);
    const left = Array.from({ length: 6 }, () => ask("left", "/single", AbortSignal.timeout(200)));
    const queued = Array.from({ length: 6 }, () => ask("queued", "/single"));
    await Promise.all(left.map((answer) => assert.rejects(answer)));
    const statuses = (await Promise.all([...first, ...queued])).map(({ status }) => status);
    assert.deepEqual(new Set(statuses), new Set([504]));
    const arrived = (key: string) =>
      upstream.arrived.slice(before).filter(({ headers }) => headers["x-weir-subject"] === `${key}/team/key`)
        .length;
    assert.equal(arrived("left"), 0);
    for (const key of ["first", "left", "queued"]) await settled(key, arrived(key), 0);
  });

  it("charges what was delivered when Envoy's timeout ends a stream midway", async () => {
    inTwo(new Promise(() => {}));
    const response = await ask("late");
    await assert.rejects(response.text());
    await settled("late", 1, 4);
  });

  it("charges as on_abort says when Envoy's timeout ends the wait for an answer", async () => {
    upstream.script = () => {};
    const keys = ["slow", "careful", "mild"];
    assert.deepEqual(await Promise.all(keys.map(async (key) => (await ask(key)).status)), [504, 504, 504]);
    await settled("slow", 1, 0);
    await settled("careful", 1, 20);
    await settled("mild", 0, 0);
    assert.equal((await ask("long", "/limited")).status, 504);
    await settled("long", 1, 0);
  });

  it("charges nothing for an upstream that fails, with a timeout of its own too", async () => {
    upstream.script = (_, response) => void response.writeHead(504).end();
    assert.equal((await ask("failed")).status, 504);
    upstream.script = (_, response) => void response.socket?.destroy();
    assert.equal((await ask("failed")).status, 503);
    await settled("failed", 0, 0);
  });

  it("breaks off an answer that ends with trailers while some of it is held back, and charges it", async () => {
    const events = (texts: string[]) => texts.map((text) => chunkEvent(text)).join("");
    const endWith = (end: string) => {
      upstream.script = (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream", trailer: "x-end" });
        response.write(events(["Dear ", "bob@exam", "ple.com"]) + usageEvent(5, 7) + end);
        response.addTrailers({ "x-end": "1" });
        response.end();
      };
    };
    endWith(DONE);
    const whole = await (await ask("redacts")).text();
    assert.match(whole, /\[EMAIL_1\]/);
    assert.ok(whole.endsWith(DONE));
    endWith("");
    await assert.rejects((await ask("redacts")).text());
    await settled("redacts", 2, 14);
  });

  it("breaks off a stream that ends with trailers while its last event is held back, unless that is hidden", async () => {
    const endWith = (end: string) => {
      upstream.script = (_, response) => {
        response.writeHead(200, { "content-type": "text/event-stream", trailer: "x-end" });
        response.write(FIRST + end);
        response.addTrailers({ "x-end": "1" });
        response.end();
      };
    };
    endWith(`${usageEvent(5, 7)}data: [DONE]\n`);
    await assert.rejects((await ask("counts")).text());
    const finished = chunkEvent(undefined, { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
    endWith(finished + usageEvent(5, 7).trimEnd());
    assert.equal(await (await ask("counts")).text(), FIRST + finished);
    await settled("counts", 2, 14);
  });

  it("hands a packed answer over that was held whole, and charges it", async () => {
    const answerWith = (content: string) => {
      const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
      const packed = gzipSync(JSON.stringify({ choices: [{ message: { content } }], usage }));
      upstream.script = (_, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" });
        response.write(packed.subarray(0, 20));
        setTimeout(() => response.end(packed.subarray(20)), 20);
      };
    };
    answerWith("Dear Bob");
    assert.equal((await w.chat("blocks", "Hello")).json.choices[0]?.message.content, "Dear Bob");
    answerWith("Dear bob@example.com");
    assert.equal((await w.chat("blocks", "Hello")).code, "answer_blocked");
    await settled("blocks", 2, 14);
  });

  it("charges nothing for a redirection that Envoy follows itself", async () => {
    upstream.script = (_, response) =>
      void response.writeHead(307, { location: `${url}/redirected/v1/chat/completions` }).end();
    // It comes again as it went upstream: without the key.
    assert.equal((await ask("redirected", "/redirected")).status, 401);
    await settled("redirected", 0, 0);
  });

  it("settles the usage of a stream that ends while Envoy drains", async () => {
    let go = () => {};
    inTwo(
      new Promise((resolve) => {
        go = resolve;
      }),
    );
    const response = await ask("drained");
    const [envoy] = w.envoys as [(typeof w.envoys)[0]];
    const drain = `http://127.0.0.1:${envoy.adminPort}/drain_listeners?graceful`;
    assert.equal((await fetch(drain, { method: "POST" })).status, 200);
    go();
    assert.equal(await response.text(), chunkEvent("Dear bob@example.com") + DONE);
    await settled("drained", 1, 7);
  });

  it("keeps what was reserved when Envoy ends with a stream under way", async () => {
    await w.restartEnvoy();
    inTwo(new Promise(() => {}));
    const response = await ask("stopped");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await w.restartEnvoy();
    await assert.rejects(reader.read());
    await until("the upstream's stream to end", () => upstream.arrived.at(-1)?.aborted === true);
    // Reported, or still out in the lease, which is charged when it expires.
    const { spent = 0, outstanding = 0 } = (await w.budget("stopped/team/key", "answers")) ?? {};
    assert.ok(spent + outstanding >= 4, `${spent} spent, ${outstanding} outstanding`);
    inTwo(Promise.resolve());
    assert.equal((await ask("stopped")).status, 200);
  });

  it("settled nothing twice", async () => {
    assert.equal(await w.stat("weir_unsettled_total"), 0);
    assert.equal(await w.stat("weir_lost_reports_total"), 0);
  });
});
