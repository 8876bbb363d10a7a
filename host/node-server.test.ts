import assert from "node:assert/strict";
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
} from "node:http";
import { type TestContext, test } from "node:test";
import { listening } from "../test/support/listening.ts";
import { guest } from "./guest.fixture.ts";
import { type ServeOptions, serve } from "./node-server.ts";

async function serving(listener: RequestListener): Promise<{ at: string; server: Server }> {
  const server = createServer({ maxHeaderSize: 128 << 10 }, listener);
  return { at: `127.0.0.1:${await listening(server)}`, server };
}

/** A gateway with the scripted guest before an upstream; all ends with `end`. */
async function gateway(
  t: TestContext,
  policy: string,
  upstream: RequestListener,
  options: Partial<ServeOptions> = {},
) {
  const said: string[] = [];
  const up = await serving(upstream);
  const edge = await serve({
    wasm: guest,
    policy,
    upstream: up.at,
    log: (_level, message) => said.push(message),
    ...options,
  });
  t.after(async () => {
    await edge.close();
    await stop(up.server);
  });
  return { url: `http://127.0.0.1:${edge.port}`, said, close: edge.close };
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    response.setHeader("x-told", request.headers["x-told"] ?? "nothing");
    response.end(`${request.method} ${request.url} ${Buffer.concat(chunks)}`);
  });
};

test("a request goes through the filter to the upstream and back", async (t) => {
  const edge = await gateway(
    t,
    "reqh return 1\nreqh replace 0 x-told yes\nreqb return 1\nreqb.end return 0",
    echo,
  );
  const answer = await fetch(`${edge.url}/v1?a=1`, { method: "POST", body: "hello" });
  assert.equal(await answer.text(), "POST /v1?a=1 hello");
  assert.equal(answer.headers.get("x-told"), "yes");
});

test("a request to a proxy is asked of whom it names, without what it binds to its connection", async (t) => {
  const edge = await gateway(t, "", (request, response) => {
    const { host, "x-bound": bound = "none", "x-told": told } = request.headers;
    response.end([request.url, host, bound, told].join());
  });
  const ask = async (path: string) => {
    const headers = { connection: "close, X-Bound", "x-bound": "1", "x-told": "2" };
    const outgoing = request(edge.url, { path, headers }).end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    return (await answer.toArray()).join("");
  };
  assert.equal(await ask("http://llm.example/v1/models?a=1"), "/v1/models?a=1,llm.example,none,2");
  assert.equal(await ask("http://llm.example"), "/,llm.example,none,2");
});

test("the filter sees an upgrade, but not one to HTTP/2, which Envoy takes off; the upstream sees none", async (t) => {
  const edge = await gateway(t, "reqh get 0 upgrade", (incoming, response) => {
    response.end(incoming.headers.upgrade ?? "none");
  });
  const ask = async (upgrade: string) => {
    edge.said.length = 0;
    const outgoing = request(edge.url, { headers: { connection: "Upgrade", upgrade } }).end();
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    assert.equal((await answer.toArray()).join(""), "none");
    return edge.said.find((line) => line.startsWith("reqh get="));
  };
  assert.equal(await ask("websocket"), "reqh get=0 websocket");
  assert.equal(await ask("h2c"), "reqh get=1");
});

test("headers may be as large as through Envoy, of a request and of an answer", async (t) => {
  const edge = await gateway(t, "", ({ headers }, response) => {
    response.setHeader("x-large", headers["x-large"] ?? "");
    response.end();
  });
  const large = "a".repeat(50_000);
  const outgoing = request(edge.url, { headers: { "x-large": large }, maxHeaderSize: 128 << 10 }).end();
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  answer.resume();
  assert.deepEqual([answer.statusCode, answer.headers["x-large"]?.length], [200, large.length]);
});

test("a client is told to continue here, and neither filter nor upstream is asked to", async (t) => {
  const edge = await gateway(t, "reqh get 0 expect", (incoming, response) => {
    response.end(incoming.headers.expect ?? "none");
  });
  const outgoing = request(edge.url, { method: "POST", headers: { expect: "100-continue" } });
  outgoing.flushHeaders();
  await once(outgoing, "continue");
  outgoing.end("hello");
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  assert.equal((await answer.toArray()).join(""), "none");
  assert.ok(edge.said.includes("reqh get=1"), edge.said.join());
});

test("an upstream that switches protocols unasked gives 503, and keeps nobody waiting", async (t) => {
  const edge = await gateway(t, "", ({ socket }) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
  });
  const answer = await fetch(edge.url, { signal: AbortSignal.timeout(5_000) });
  assert.equal(answer.status, 503);
});

test("the guest sees the client's address, and its denial never reaches the upstream", async (t) => {
  let reached = 0;
  const edge = await gateway(t, "reqh property source/address\nreqh local 401 who no key", () => reached++);
  const answer = await fetch(edge.url);
  assert.deepEqual([answer.status, await answer.text()], [401, "no key"]);
  assert.match(edge.said.find((line) => line.startsWith("reqh property=0")) ?? "", /127\.0\.0\.1:\d+$/);
  assert.equal(reached, 0);
});

test("callouts go to the configured cluster over HTTP, and one that cannot be reached fails", async (t) => {
  const side = await serving((_request, response) => response.end("granted"));
  const script =
    "reqh call sidecar 1000 x\nreqh return 1\ncallout read 4 0 all\ncallout effective\ncallout continue 0";
  const edge = await gateway(t, script, echo, { clusters: { sidecar: side.at } });
  assert.equal((await fetch(edge.url)).status, 200);
  assert.ok(edge.said.includes("callout read=0 7:granted"));
  await stop(side.server);
  edge.said.length = 0;
  assert.equal((await fetch(edge.url)).status, 200);
  assert.ok(edge.said.includes("> callout root 0 0"));
});

test("server-sent events arrive while the upstream still holds the next one back", async (t) => {
  let release = () => {};
  const edge = await gateway(t, "", (_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    release = () => response.end("data: 2\n\n");
  });
  const answer = await fetch(edge.url);
  const reader = answer.body!.getReader();
  const decoder = new TextDecoder();
  assert.equal(decoder.decode((await reader.read()).value), "data: 1\n\n");
  release();
  assert.equal(decoder.decode((await reader.read()).value), "data: 2\n\n");
  assert.equal((await reader.read()).done, true);
});

test("a client that leaves ends the upstream's request and the guest's stream", async (t) => {
  let closed: () => void;
  const upstreamClosed = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const edge = await gateway(t, "", (_request, response) => {
    response.write("data: 1\n\n");
    response.on("close", () => closed());
  });
  const client = new AbortController();
  const answer = await fetch(edge.url, { signal: client.signal });
  await answer.body!.getReader().read();
  client.abort();
  await upstreamClosed;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(edge.said.slice(-3), ["> log", "> done", "> delete"]);
});

test("an upstream that is down gives 503, and a held body over the limit 413", async (t) => {
  const script = "reqh return 1\nreqb return 1";
  const edge = await gateway(t, script, echo, { upstream: "127.0.0.1:1", bodyBufferBytes: 1000 });
  assert.equal((await fetch(edge.url, { method: "POST", body: "x".repeat(2000) })).status, 413);
  const down = await gateway(t, "", echo, { upstream: "127.0.0.1:1" });
  assert.equal((await fetch(down.url)).status, 503);
});

test("ticks run by the real clock, and close ends everything", async (t) => {
  const edge = await gateway(t, "configure tick 10\ntick time", echo);
  await new Promise((resolve) => setTimeout(resolve, 180));
  await edge.close();
  const ticks = edge.said.filter((line) => line.startsWith("tick time=0")).length;
  assert.ok(ticks >= 2, `${ticks} ticks`);
  await assert.rejects(fetch(edge.url));
});

test("a refused policy is an error, not a gateway", async () => {
  await assert.rejects(
    serve({ wasm: guest, policy: "configure return 0", upstream: "127.0.0.1:1" }),
    /refused the policy/,
  );
});

test("a body that nobody holds is bounded all the same: 413", async (t) => {
  const edge = await gateway(t, "reqh return 0", echo, { bodyBufferBytes: 1000 });
  const send = (bytes: number) => fetch(edge.url, { method: "POST", body: "x".repeat(bytes) });
  assert.equal((await send(1000)).status, 200);
  assert.equal((await send(1001)).status, 413);
});

test("a request that is refused in the middle of its body leaves its connection to the next one", async (t) => {
  const edge = await gateway(t, "reqh return 1\nreqb local 401 who no key", echo);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const send = async () => {
    const outgoing = request(edge.url, { agent, method: "POST" });
    outgoing.end("x".repeat(1_000_000));
    const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
    answer.resume();
    await once(answer, "end");
    return answer.statusCode;
  };
  assert.equal(await send(), 401);
  assert.equal(await send(), 401);
});

test("a body that nginx would have on disk is not in memory for the filter", async (t) => {
  const edge = await gateway(t, "reqb read 0 0 all", echo, { profile: "ngx_wasm", bodyBufferBytes: 1000 });
  const answer = await fetch(edge.url, { method: "POST", body: "x".repeat(2000) });
  assert.equal(answer.status, 200);
  assert.ok(
    edge.said.some((line) => line.startsWith("reqb read=1")),
    edge.said.join("\n"),
  );
});
