import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pairs } from "./abi.ts";
import type { CalloutDispatcher } from "./callouts.ts";
import { scripted } from "./guest.fixture.ts";

const replies = (text: string): CalloutDispatcher => {
  return async () => ({
    headers: [
      [":status", "200"],
      ["x-side", "yes"],
    ],
    body: Buffer.from(text),
  });
};
const events = (said: string[]) => said.filter((line) => line.startsWith("> ")).map((line) => line.slice(2));
const soon = () => new Promise<void>((resolve) => setImmediate(resolve));

for (const profile of ["envoy", "ngx_wasm"] as const) {
  /** Request headers without a body: only Envoy says that they are all. ngx_wasm_module never tells. */
  const headersOnly = profile === "envoy" ? "reqh 4 1" : "reqh 4 0";

  const target = profile === "envoy" ? "sidecar" : "127.0.0.1:80";

  test(`${profile}: callbacks come in order, and log, done, delete end the stream`, async () => {
    const { run, said, vm } = scripted(profile, "");
    const response = await run({ body: "hello" });
    assert.equal(response.body.toString(), "fine");
    assert.deepEqual(response.upstream?.body.toString(), "hello");
    const end = profile === "envoy" ? ["respb 4 1"] : ["respb 4 0", "respb 0 1"];
    const expected = ["reqh 5 0", "reqb 5 1", "resph 1 0", ...end, "log", "done", "delete"];
    assert.deepEqual(events(said), expected);
    assert.equal(vm.streams.size, 0);
  });

  test(`${profile}: without bodies the body callbacks do not come`, async () => {
    const { run, said } = scripted(profile, "");
    await run({}, () => ({ status: 204 }));
    assert.deepEqual(events(said), [headersOnly, "resph 1 1", "log", "done", "delete"]);
  });

  test(`${profile}: headers are changed on both ways`, async () => {
    const script =
      "reqh replace 0 x-a two words\nreqh remove 0 x-b\nresph add 2 x-c 3\nresph replace 2 :status 202";
    const response = await scripted(profile, script).run({ headers: { "x-b": "1" } });
    assert.deepEqual(
      response.upstream?.headers.filter(([name]) => name.startsWith("x-")),
      [["x-a", "two words"]],
    );
    assert.equal(response.status, 202);
    assert.equal(response.header("X-C"), "3");
  });

  test(`${profile}: of two content-types Envoy makes one`, async () => {
    const headers: Pairs = [
      ["content-type", "image/png"],
      ["Content-Type", "application/json"],
    ];
    const response = await scripted(profile, "").run({ headers }, () => ({ status: 200, headers }));
    const types = (pairs: Pairs = []) =>
      pairs.filter(([name]) => name === "content-type").map(([, type]) => type);
    const expected = profile === "envoy" ? ["image/png,application/json"] : ["image/png", "application/json"];
    assert.deepEqual(types(response.upstream?.headers), expected);
    assert.deepEqual(types(response.headers), expected);
  });

  test(`${profile}: a callout holds the request, and it goes on with the callout's answer`, async () => {
    const script = [
      `reqh call ${target} 100 question`,
      "reqh return 1",
      "callout read 4 0 all",
      "callout get 6 x-side",
      "callout effective",
      "callout replace 0 x-told yes",
      "callout continue 0",
    ].join("\n");
    const { run, said } = scripted(profile, script, { callouts: replies("answer") });
    const response = await run();
    assert.equal(response.upstream?.headers.at(-1)?.join(), "x-told,yes");
    assert.ok(said.includes("callout read=0 6:answer") && said.includes("callout get=0 yes"));
    assert.equal(events(said)[1], "callout root 2 6");
  });

  test(`${profile}: a failed callout calls back with nothing`, async () => {
    const script = `reqh call ${target} 100 x\nreqh return 1\ncallout get 6 :dispatch_status\ncallout effective\ncallout continue 0`;
    const { run, said } = scripted(profile, script, { callouts: async () => ({ failure: "timeout" }) });
    assert.equal((await run()).status, 200);
    assert.equal(events(said)[1], "callout root 0 0");
    assert.ok(said.includes(profile === "envoy" ? "callout get=2" : "callout get=0 timeout"));
  });

  test(`${profile}: a local response from a callout's callback, and nothing reaches the upstream`, async () => {
    const script = `reqh call ${target} 100 x\nreqh return 1\ncallout effective\ncallout local 402 broke no budget`;
    const response = await scripted(profile, script, { callouts: replies("") }).run({ body: "x" });
    assert.deepEqual([response.status, response.details, response.from], [402, "broke", "guest"]);
    assert.equal(response.body.toString(), "no budget");
    assert.equal(response.header("x-local"), "yes");
    assert.equal(response.upstream, null);
  });

  test(`${profile}: a client that leaves while a callout is pending: log, done, delete, nothing else`, async () => {
    const client = new AbortController();
    const { run, said } = scripted(profile, `reqh call ${target} 100 x\nreqh return 1\nreqb return 1`, {
      callouts: () => new Promise(() => {}),
    });
    const running = run({ body: "x" }, undefined, client.signal);
    await soon();
    client.abort();
    assert.equal((await running).aborted, "client_disconnect");
    const held = profile === "envoy" ? ["reqh 5 0", "reqb 1 1"] : ["reqh 5 0"];
    assert.deepEqual(events(said), [...held, "log", "done", "delete"]);
  });

  test(`${profile}: a client that leaves in the middle of a stream that has stalled`, async () => {
    const client = new AbortController();
    const { run, said } = scripted(profile, "");
    const response = await run(
      {},
      () => ({
        body: (async function* () {
          yield Buffer.from("one");
          setImmediate(() => client.abort());
          await new Promise(() => {});
        })(),
      }),
      client.signal,
    );
    assert.deepEqual([response.aborted, response.body.toString()], ["client_disconnect", "one"]);
    assert.deepEqual(events(said), [headersOnly, "resph 1 0", "respb 3 0", "log", "done", "delete"]);
  });

  test(`${profile}: an upstream that cannot be reached`, async () => {
    const response = await scripted(profile, "").run({}, () => {
      throw new Error("refused");
    });
    assert.deepEqual([response.status, response.from], [profile === "envoy" ? 503 : 502, "host"]);
  });

  test(`${profile}: an upstream that breaks in the middle of its body`, async () => {
    const { run, said } = scripted(profile, "");
    const response = await run({}, () => ({
      body: (async function* () {
        yield Buffer.from("half");
        throw new Error("reset");
      })(),
    }));
    assert.equal(response.aborted, "upstream_reset_after_response_started");
    assert.deepEqual(events(said).slice(-3), ["log", "done", "delete"]);
  });

  test(`${profile}: response chunks are replaced one by one`, async () => {
    const response = await scripted(profile, "respb write 1 0 9 <X>").run({}, () => ({
      body: [Buffer.from("aa"), Buffer.from("bb")],
      emptyEnd: true,
    }));
    const text = response.chunks.map(String);
    assert.deepEqual(text.slice(0, 2), ["<X>", "<X>"]);
  });
}

test("envoy: headers held, body buffered, callout at the end, both rewritten, then upstream", async () => {
  const script = [
    "reqh return 1",
    "reqb return 1",
    "reqb.end call sidecar 100 x",
    "callout effective",
    "callout write 0 0 4096 a quite different body",
    "callout replace 0 content-length 22",
    "callout continue 0",
  ].join("\n");
  const { run, said } = scripted("envoy", script, { callouts: replies("") });
  const response = await run({ body: [Buffer.from("one"), Buffer.from("two")] });
  assert.equal(response.upstream?.body.toString(), "a quite different body");
  assert.equal(response.upstream?.complete, true);
  assert.deepEqual(events(said).slice(0, 4), ["reqh 5 0", "reqb 3 0", "reqb 6 1", "callout root 2 0"]);
});

test("envoy: without the option a paused header callback keeps the body away until it continues", async () => {
  const script = "reqh call sidecar 100 x\nreqh return 1\ncallout effective\ncallout continue 0";
  const { run, said } = scripted("envoy", script, {
    callouts: replies(""),
    allowOnHeadersStopIteration: false,
  });
  await run({ body: [Buffer.from("one"), Buffer.from("two")] });
  assert.deepEqual(events(said).slice(0, 3), ["reqh 5 0", "callout root 2 0", "reqb 6 1"]);
});

test("envoy: headers that went on early are reset when the body is denied", async () => {
  const script = "reqb.end local 403 bad denied\nreqb return 1";
  const response = await scripted("envoy", script).run({ body: "evil" });
  assert.equal(response.status, 403);
  assert.deepEqual([response.upstream?.complete, response.upstream?.body.length], [false, 0]);
});

test("envoy: a body over the buffer limit gets 413 from the host", async () => {
  const response = await scripted("envoy", "reqb return 1", { bodyBufferBytes: 10 }).run({
    body: "x".repeat(11),
  });
  assert.deepEqual([response.status, response.from, response.upstream?.complete], [413, "host", false]);
});

test("envoy: a local response passes through the guest's own response callbacks", async () => {
  const { run, said } = scripted("envoy", "reqh local 401 who key\nresph add 2 x-seen 1");
  const response = await run();
  assert.equal(response.header("x-seen"), "1");
  assert.deepEqual(events(said), ["reqh 4 1", "resph 4 0", "respb 3 1", "log", "done", "delete"]);
});

test("envoy: the end of a stream can come in a callback of its own", async () => {
  const { run, said } = scripted("envoy", "");
  await run({ body: "hello", emptyEnd: true }, () => ({ body: "fine", emptyEnd: true }));
  const expected = [
    "reqh 5 0",
    "reqb 5 0",
    "reqb 0 1",
    "resph 1 0",
    "respb 4 0",
    "respb 0 1",
    "log",
    "done",
    "delete",
  ];
  assert.deepEqual(events(said), expected);
});

test("envoy: held response text is seen as a whole and goes out at the end", async () => {
  const response = await scripted("envoy", "respb return 1\nrespb.end return 0").run({}, () => ({
    body: [Buffer.from("a"), Buffer.from("b"), Buffer.from("c")],
  }));
  assert.equal(response.body.toString(), "abc");
});

test("envoy: a guest that is not done is deleted when it says so", async () => {
  const { run, said, vm } = scripted("envoy", "done return 0\ntick effective\ntick done");
  await run();
  assert.deepEqual(events(said).slice(-2), ["log", "done"]);
  vm.tick();
  await soon();
  assert.equal(events(said).at(-1), "delete");
});

test("ngx_wasm: the body comes once and whole", async () => {
  const { run, said } = scripted("ngx_wasm", "reqb read 0 0 all");
  await run({ body: [Buffer.from("one"), Buffer.from("two")] });
  assert.ok(events(said).includes("reqb 6 1") && said.includes("reqb read=0 6:onetwo"));
});

test("ngx_wasm: a body over client_body_buffer_size has a length and cannot be read", async () => {
  const { run, said } = scripted("ngx_wasm", "reqb read 0 0 all");
  await run({ body: "x".repeat(9000) });
  assert.ok(events(said).includes("reqb 9000 1") && said.includes("reqb read=1 0:"));
});

test("ngx_wasm: a rewritten body is framed anew, or keeps its length after a pause", async () => {
  const anew = await scripted("ngx_wasm", "reqb write 0 0 50 longer than it was").run({ body: "short" });
  assert.equal(anew.upstream?.headers.find(([name]) => name === "content-length")?.[1], "18");
  const script = "reqb write 0 0 all PADDED\nreqb call side:80 9 x\nreqb return 1";
  const same = await scripted("ngx_wasm", script, { callouts: replies("") }).run({ body: "sixsix" });
  assert.equal(same.upstream?.body.toString(), "PADDED");
});

test("ngx_wasm: with a content-length and several chunks the end of stream does not come", async () => {
  const { run, said } = scripted("ngx_wasm", "");
  const body = [Buffer.from("aa"), Buffer.from("bb")];
  await run({}, () => ({ headers: { "content-length": "4" }, body }));
  assert.deepEqual(events(said).slice(-5), ["respb 2 0", "respb 2 0", "log", "done", "delete"]);
  said.length = 0;
  await run({}, () => ({ headers: { "content-length": "4" }, body: "aabb" }));
  assert.ok(events(said).includes("respb 4 1"));
});

test("ngx_wasm: the request waits for every callout, also one made in a callout's callback", async () => {
  const script = "reqh call side:80 9 x\nreqh call side:80 9 y\nreqh return 1";
  const { run, said } = scripted("ngx_wasm", script, { callouts: replies("") });
  assert.equal((await run()).status, 200);
  assert.deepEqual(events(said).slice(0, 4), [
    "reqh 4 0",
    "callout root 2 0",
    "callout root 2 0",
    "resph 1 0",
  ]);
});
