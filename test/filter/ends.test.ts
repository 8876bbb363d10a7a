// How streams end that end badly, and what must not be left behind: settlement happens exactly once, and nothing that
// a stream held stays held. Under both profiles.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Pairs } from "../../host/abi.ts";
import { exchange } from "../../host/exchange.ts";
import { WeirError } from "../../sidecar/errors.ts";
import {
  type Answer,
  type Call,
  chat,
  keyEntry,
  LocalEdge,
  llm,
  policyFor,
  replacePolicy,
  requestOf,
} from "../support/filter.ts";

const policy = {
  tiers: { pro: { budgets: [{ meter: "completion_tokens", limit: 1_000_000, window: "month" }] } },
  keys: [keyEntry("k1", "pro")],
};
const call: Call = { key: "k1", body: chat("Hello there", { max_tokens: 50 }) };
const event = (value: unknown) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
const delta = event({ choices: [{ index: 0, delta: { content: "Water" } }] });
const IDLE_MS = 8_000;
/** A lease's life at the ledger, and some more. */
const LEASE_MS = 70_000;
const resetError = () => Object.assign(new Error("reset"), { upstream: true });

async function settled(edge: LocalEdge): Promise<number> {
  await edge.wait(IDLE_MS);
  const { spent, outstanding } = await edge.budget("acme");
  assert.equal(outstanding, 0, "nothing is held any more");
  return spent;
}

/** The ledger takes a question `late`, when nobody waits for its lease any more, and charges nothing for it. */
async function costsNothing(edge: LocalEdge, late: () => Promise<unknown>): Promise<void> {
  // Shortly before its end is told once more.
  await edge.wait(15_000);
  await late();
  assert.notEqual((await edge.budget("acme")).outstanding, 0);
  await edge.wait(LEASE_MS);
  await edge.ledger.sweep("acme");
  assert.deepEqual(await edge.budget("acme"), { spent: 0, outstanding: 0 });
}

/** An event stream that begins, and then does what `then` says. */
const streaming =
  (then: () => Promise<void> | void, first = delta) =>
  () => ({
    status: 200,
    headers: { "content-type": "text/event-stream" },
    body: (async function* () {
      yield first;
      await then();
    })(),
  });

for (const profile of ["envoy", "ngx_wasm"] as const) {
  describe(profile, () => {
    test("a client that leaves before the answer is charged nothing", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const gone = new AbortController();
      const answer = await edge.send({
        ...call,
        signal: gone.signal,
        upstream: async () => {
          gone.abort();
          return llm({ headers: [], body: Buffer.from("{}"), signal: gone.signal });
        },
      });
      assert.notEqual(answer.aborted, "");
      assert.equal(await settled(edge), 0);
    });

    test("a client that leaves in the middle of an answer is charged, once, and not above the bound", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const gone = new AbortController();
      await edge.send({ ...call, signal: gone.signal, upstream: streaming(() => gone.abort()) });
      const spent = await settled(edge);
      assert.ok(spent > 0 && spent < 10, String(spent));
    });

    test("a client that leaves before the answer's first text is charged none of it", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const gone = new AbortController();
      const role = event({ choices: [{ index: 0, delta: { role: "assistant" } }] });
      await edge.send({ ...call, signal: gone.signal, upstream: streaming(() => gone.abort(), role) });
      assert.equal(await settled(edge), 0);
    });

    test("an answer that broke off costs what it told, where that is more than what was reserved", async () => {
      const body = { model: "m", stream: true, max_tokens: 5, messages: [{ role: "user", content: "Hi" }] };
      const spent = async (input_tokens: number) => {
        const tier = { tokens: "1M/month", response: { on_abort: "reserved" } };
        const edge = await LocalEdge.open({ profile, policy: { ...policy, tiers: { pro: tier } } });
        const message = { role: "assistant", usage: { input_tokens, output_tokens: 1 } };
        const upstream = () => ({
          status: 200,
          headers: { "content-type": "text/event-stream" },
          body: event({ type: "message_start", message }),
        });
        const answer = await edge.send({ ...call, path: "/v1/messages", body, upstream });
        assert.equal(answer.status, 200);
        return settled(edge);
      };
      assert.equal(await spent(1234), 1235);
      const reserved = await spent(1);
      assert.ok(reserved > 6 && reserved < 300, String(reserved));
    });

    test("a budget of requests counts one for any answer but an error, without reading it", async () => {
      for (const [on_abort, expected] of [
        ["delivered", 3],
        ["zero", 2],
      ] as const) {
        const budgets = [{ meter: "requests", limit: 1000, window: "month" }];
        const counting = { ...policy, tiers: { pro: { budgets, response: { on_abort } } } };
        const edge = await LocalEdge.open({ profile, policy: counting });
        await edge.send(call);
        await edge.send({ ...call, body: chat("Hello there", { stream: true }) });
        await edge.send({ ...call, upstream: () => ({ status: 500, body: "{}" }) });
        const gone = new AbortController();
        await edge.send({ ...call, signal: gone.signal, upstream: streaming(() => gone.abort()) });
        assert.equal(await settled(edge), expected, on_abort);
        assert.equal(edge.metrics.value("weir_tokens_prompt_total"), on_abort === "zero" ? 5 : 0);
      }
    });

    test("an upstream that breaks off in the middle is charged, once, and not above the bound", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const answer = await edge.send({
        ...call,
        upstream: streaming(() => {
          throw resetError();
        }),
      });
      assert.notEqual(answer.aborted, "");
      const spent = await settled(edge);
      assert.ok(spent > 0 && spent < 10, String(spent));
    });

    test("an answer without a body is whole: it costs what was reserved, whatever an answer that breaks off does", async () => {
      for (const [status, type] of [
        [200, "application/json"],
        [200, "text/event-stream"],
        [204, "application/json"],
      ] as const) {
        for (const redact of [{}, { redact: ["email"] }]) {
          const response = { ...redact, on_abort: "zero" };
          const pro = { ...policy.tiers.pro, response };
          const edge = await LocalEdge.open({ profile, policy: { ...policy, tiers: { pro } } });
          const upstream = () => ({ status, headers: { "content-type": type }, body: "" });
          assert.equal((await edge.send({ ...call, upstream })).status, status);
          assert.equal(await settled(edge), 50, `${status} ${type} ${JSON.stringify(redact)}`);
          assert.equal(edge.metrics.value("weir_aborted_total"), 0);
        }
      }
    });

    test("an answer that breaks off costs no more tokens than it could have, however long its text is", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const gone = new AbortController();
      const indented = event({ choices: [{ index: 0, delta: { content: " ".repeat(4000) } }] });
      await edge.send({ ...call, signal: gone.signal, upstream: streaming(() => gone.abort(), indented) });
      assert.equal(await settled(edge), 50);
    });

    test("an answer that breaks off costs its prompt by the length of its text, not by every byte of the body", async () => {
      const budgets = [{ meter: "prompt_tokens", limit: 1_000_000, window: "month" }];
      const edge = await LocalEdge.open({
        profile,
        policy: { ...policy, tiers: { pro: { budgets, output: { max_tokens: 80 } } } },
      });
      const gone = new AbortController();
      const body = chat("How deep is the river here? ".repeat(100));
      await edge.send({ ...call, body, signal: gone.signal, upstream: streaming(() => gone.abort()) });
      const spent = await settled(edge);
      // Some 700 tokens; this build counts without vocabularies.
      assert.ok(spent >= 700 && spent < 2000, String(spent));
    });

    test("an answer that is written in the background costs what was reserved when the client leaves", async () => {
      const { tiers, ...rest } = policy;
      for (const response of [{}, { on_abort: "zero" }]) {
        const edge = await LocalEdge.open({
          profile,
          policy: { ...rest, tiers: { pro: { ...tiers.pro, response } } },
        });
        const ask = (more: object) => {
          const gone = new AbortController();
          const body = { model: "m", input: "Hi", stream: true, max_output_tokens: 50, ...more };
          const upstream = streaming(() => gone.abort());
          return edge.send({ key: "k1", path: "/v1/responses", body, signal: gone.signal, upstream });
        };
        await ask({ background: true });
        assert.equal(await settled(edge), 50);
        await ask({ background: false });
        assert.ok((await settled(edge)) < 100);
      }
    });

    test("clients that leave while the ledger is asked leave no callout, acquire or lease behind", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      for (let i = 0; i < 300; i++) {
        const gone = new AbortController();
        const sent = edge.send({ ...call, signal: gone.signal });
        gone.abort();
        await sent;
        await edge.vms[0]!.settled();
        if (i % 50 === 49) await edge.wait(IDLE_MS);
      }
      assert.equal(await settled(edge), 0);
      assert.equal((await edge.send(call)).status, 200);
      assert.equal(await settled(edge), 3);
    });

    test("calls to the ledger, those without an answer and reports that it refuses are counted", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const value = (name: string) => edge.metrics.value(name);
      const calls = (purpose: string) => value(`weir_callouts_total.purpose.${purpose}`);
      assert.equal((await edge.send(call)).status, 200);
      await edge.wait(IDLE_MS);
      const made = (path: string) => edge.callouts.filter((one) => one.endsWith(path)).length;
      assert.ok(calls("acquire") > 0 && calls("settle") > 0);
      assert.deepEqual([calls("acquire"), calls("settle")], [made("/Acquire"), made("/Settle")]);
      assert.deepEqual([value("weir_ledger_failures_total"), value("weir_lost_reports_total")], [0, 0]);

      edge.setLedgerUp(false);
      const before = edge.callouts.length;
      assert.equal((await edge.send(call)).status, 503);
      await edge.wait(1_000);
      const failed = edge.callouts.length - before;
      assert.ok(failed > 0);

      edge.setLedgerUp(true);
      assert.equal((await edge.send(call)).status, 200);
      edge.ledger.settle = async () => ({ status: "unknown_lease", usableMs: 0, warning: null, notices: [] });
      await edge.wait(IDLE_MS);
      assert.equal(value("weir_lost_reports_total"), 1);
      assert.equal(value("weir_ledger_failures_total"), failed);
    });

    test("reports of an organisation are taken although the ledger is away for another, whose are kept", async () => {
      const other = keyEntry("k2", "pro", { subject: "away/key" });
      const edge = await LocalEdge.open({ profile, policy: { ...policy, keys: [...policy.keys, other] } });
      const settle = edge.ledger.settle.bind(edge.ledger);
      let away = true;
      let told = 0;
      edge.ledger.settle = async (command) => {
        const isAway = command.subject.startsWith("away");
        if (isAway && away) throw new WeirError("refused", "its node is away");
        if (!isAway) told++;
        return settle(command);
      };
      assert.equal((await edge.send(call)).status, 200);
      assert.equal((await edge.send({ ...call, key: "k2" })).status, 200);
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("acme"), { spent: 3, outstanding: 0 });
      const before = told;
      await edge.wait(IDLE_MS);
      assert.equal(told, before, "what was answered is not told again");
      away = false;
      await edge.wait(IDLE_MS);
      assert.deepEqual(await edge.budget("away"), { spent: 3, outstanding: 0 });
      assert.equal(edge.metrics.value("weir_lost_reports_total"), 0);
    });

    test("a question that reaches the ledger after its edge has given up costs nothing", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const { ledger } = edge;
      const acquire = ledger.acquire.bind(ledger);
      let late: () => Promise<unknown> = async () => undefined;
      ledger.acquire = async (command) => {
        late = () => acquire(command);
        throw new WeirError("unavailable", "slow");
      };
      assert.equal((await edge.send(call)).status, 503);
      ledger.acquire = acquire;
      await costsNothing(edge, () => late());
      assert.equal(edge.metrics.value("weir_lost_reports_total"), 0);
      // Nothing is left that is told again and again.
      const before = edge.callouts.length;
      await edge.wait(LEASE_MS);
      assert.equal(edge.callouts.length, before);
    });

    test("a question that a ledger has kept for a minute, and takes after it answers others again, costs nothing", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const { ledger } = edge;
      const [acquire, settle] = [ledger.acquire.bind(ledger), ledger.settle.bind(ledger)];
      let late: () => Promise<unknown> = async () => undefined;
      const stalls = new WeirError("unavailable", "stalls");
      ledger.acquire = async (command) => {
        late = () => acquire(command);
        throw stalls;
      };
      ledger.settle = async () => {
        throw stalls;
      };
      assert.equal((await edge.send(call)).status, 503);
      await edge.wait(60_000);
      [ledger.acquire, ledger.settle] = [acquire, settle];
      await costsNothing(edge, () => late());
    });

    test("a lease that the ledger does not know serves no further request, though one is still served from it", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const { ledger } = edge;
      const settle = ledger.settle.bind(ledger);
      const [told, ended] = [new Set<string>(), new Set<string>()];
      ledger.settle = async (command) => {
        const [first] = told.add(command.leaseId);
        if (command.leaseId !== first) return settle(command);
        ended.add(command.leaseId);
        return { status: "unknown_lease", usableMs: 0, warning: null, notices: [] };
      };
      let finish = () => {};
      let held: Promise<Answer> | undefined;
      await new Promise<void>((arrived) => {
        held = edge.send({
          ...call,
          upstream: async (request) => {
            arrived();
            await new Promise<void>((resolve) => {
              finish = resolve;
            });
            return llm(request);
          },
        });
      });
      await edge.wait(2_500);
      assert.equal(ended.size, 1);
      for (let i = 0; i < 3; i++) assert.equal((await edge.send(call)).status, 200);
      finish();
      assert.equal((await held)?.status, 200);
      await edge.wait(IDLE_MS);
      assert.equal((await edge.budget("acme")).spent, 3 * 3);
    });

    test("a lease outlives its policy, and is told to no other ledger than its own", async () => {
      const targets = new Set<string>();
      const of = (cluster: string) => JSON.stringify({ ...policy, ledger: { cluster } });
      const edge = await LocalEdge.open({
        profile,
        policy: JSON.parse(of("127.0.0.1:1")),
        onCallout: (_headers, target) => targets.add(target),
      });
      const vm = edge.vms[0]!;
      assert.equal((await edge.send(call)).status, 200);
      targets.clear();
      replacePolicy(vm, of("127.0.0.1:2"));
      await edge.wait(IDLE_MS);
      assert.deepEqual([...targets], []);
      assert.notEqual((await edge.budget("acme")).outstanding, 0);
      assert.equal(vm.addRoot({ configuration: of("127.0.0.1:1") }).ok, true);
      assert.equal(await settled(edge), 3);
      assert.deepEqual([...targets], ["127.0.0.1:1"]);
    });

    test("a request whose connection and policy end while it waits for a lease leaves nothing behind", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const acquire = edge.ledger.acquire.bind(edge.ledger);
      const gone = new AbortController();
      let answer = () => {};
      edge.ledger.acquire = async (command) => {
        const granted = await acquire(command);
        gone.abort();
        await new Promise<void>((resolve) => {
          answer = resolve;
        });
        return granted;
      };
      assert.notEqual((await edge.send({ ...call, signal: gone.signal })).aborted, "");
      edge.ledger.acquire = acquire;
      // The same policy again, as after a roll-back: nobody waits for what the first one had asked.
      replacePolicy(edge.vms[0]!);
      assert.equal((await edge.send(call)).status, 200);
      answer();
      assert.equal(await settled(edge), 3);
    });

    test("leases of a policy go back when the next one has no budgets at all", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      assert.equal((await edge.send(call)).status, 200);
      const { keys } = policy;
      replacePolicy(edge.vms[0]!, JSON.stringify(policyFor(profile, { tiers: { pro: {} }, keys })));
      assert.equal(await settled(edge), 3);
      const before = edge.callouts.length;
      await edge.wait(LEASE_MS);
      assert.equal(edge.callouts.length, before, "what was answered is not told again");
    });

    test("a root configured beside another serves its own policy, and outlives it", async () => {
      const edge = await LocalEdge.open({ profile, policy });
      const vm = edge.vms[0]!;
      const first = vm.roots[0]!;
      assert.equal((await edge.send(call)).status, 200);
      const other = { tiers: { pro: {} }, keys: [keyEntry("k2", "pro")] };
      const second = vm.addRoot({ configuration: JSON.stringify(other) });
      assert.equal(second.ok, true, edge.log.join("\n"));
      const on = async (key: string, root: typeof first) =>
        (await exchange(vm, { ...requestOf({ ...call, key }), root }, llm)).status;
      assert.deepEqual([await on("k1", first), await on("k2", first)], [200, 401]);
      assert.deepEqual([await on("k1", second), await on("k2", second)], [401, 200]);
      const refused = vm.addRoot({ configuration: '{"tiers":{}}' });
      // Kong would keep serving without it.
      assert.equal(refused.ok, profile === "ngx_wasm");
      assert.deepEqual([await on("k1", first), await on("k2", second)], [200, 200]);
    });
  });
}

test("on Envoy streams that need the same lease share a question to the ledger, on nginx each asks its own", async () => {
  const asked = async (profile: "envoy" | "ngx_wasm") => {
    const edge = await LocalEdge.open({ profile, policy });
    const all = await Promise.all(Array.from({ length: 20 }, () => edge.send(call)));
    assert.ok(all.every((answer) => answer.status === 200));
    return edge.callouts.filter((path) => path.endsWith("/Acquire")).length;
  };
  // The first slice is for four requests, so a few questions are needed.
  assert.ok((await asked("envoy")) <= 4);
  assert.equal(await asked("ngx_wasm"), 20);
});

test("more streams than a question can carry are all served and charged, whatever waits for which lease", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy });
  const all = await Promise.all(Array.from({ length: 70 }, () => edge.send(call)));
  assert.ok(all.every((answer) => answer.status === 200));
  assert.equal(await settled(edge), 70 * 3);
});

test("a request that was denied for what others lease passes when one of them has left enough of its lease", async () => {
  const budgets = [{ meter: "completion_tokens", limit: 100, window: "month" }];
  const edge = await LocalEdge.open({
    profile: "envoy",
    policy: { ...policy, tiers: { pro: { budgets, output: { max_tokens: 80 } } } },
  });
  const asks = (most: number, used: number): Call => ({
    key: "k1",
    body: chat("Hello there", { max_tokens: most }),
    headers: [["x-mock-completion-tokens", `${used}`]],
  });
  const acquire = edge.ledger.acquire.bind(edge.ledger);
  const outcomes: string[] = [];
  let hasSettled = () => {};
  const settling = new Promise<void>((resolve) => {
    hasSettled = resolve;
  });
  let second: Promise<Answer> | undefined;
  const first = await edge.send({
    ...asks(80, 3),
    upstream: async (request) => {
      let denied = () => {};
      const isDenied = new Promise<void>((resolve) => {
        denied = resolve;
      });
      edge.ledger.acquire = async (command) => {
        const answer = await acquire(command);
        outcomes.push(answer.outcome);
        denied();
        // The denial is under way for as long as the first one's answer takes.
        await settling;
        return answer;
      };
      second = edge.send(asks(40, 2));
      await isDenied;
      return llm(request);
    },
  });
  hasSettled();
  assert.deepEqual([first.status, (await second)?.status, outcomes], [200, 200, ["denied"]]);
  assert.equal(await settled(edge), 5);
});

test("hold_headers false: headers go on early, a denied body never does, and a rewritten one comes without length", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: { ...policy, hold_headers: false } });
  const denied = await edge.send({ key: "k1", body: "{bad" });
  assert.equal(denied.status, 400);
  assert.equal(denied.upstream?.complete, false);
  assert.equal(denied.upstream?.text, "");
  const passed = await edge.send({ key: "k1", body: chat("Hello there") });
  assert.equal(passed.status, 200);
  assert.equal(passed.upstream?.header("content-length"), undefined);
  assert.equal(JSON.parse(passed.upstream!.text).max_completion_tokens, 4096);
  const unknown = await edge.send({ key: "wrong", body: chat("Hello there") });
  assert.equal(unknown.status, 401);
  assert.equal(unknown.upstream, null);
});

test("hold_headers false: an answer that begins before the request is whole is charged what it says", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: { ...policy, hold_headers: false } });
  assert.equal((await edge.send(call)).status, 200);
  const stream = edge.vms[0]!.openStream(new Map([["source.address", "203.0.113.7:1"]]));
  const headers: Pairs = [
    [":method", "POST"],
    [":path", "/v1/chat/completions"],
    ["content-type", "application/json"],
    ["authorization", "Bearer k1"],
  ];
  stream.onRequestHeaders(headers, false);
  stream.onResponseHeaders(
    [
      [":status", "200"],
      ["content-type", "application/json"],
    ],
    false,
  );
  stream.onRequestBody(Buffer.from(JSON.stringify(call.body)), true);
  stream.onResponseBody(Buffer.from('{"usage":{"prompt_tokens":5,"completion_tokens":40}}'), true);
  stream.end();
  assert.equal(await settled(edge), 3 + 40);
});

/** Streams from these addresses that hang upstream; those that are refused end at once. */
function hanging(edge: LocalEdge, addresses: string[]) {
  const headers: Pairs = [
    [":method", "GET"],
    [":path", "/"],
  ];
  return addresses.map((address) => {
    const stream = edge.vms[0]!.openStream(new Map([["source.address", `${address}:1`]]));
    stream.onRequestHeaders(headers, true);
    if (stream.local) stream.end();
    return stream;
  });
}

test("one stream more than a worker can serve is refused, and only that one", async () => {
  const edge = await LocalEdge.open({ profile: "envoy", policy: { tiers: { anonymous: {} } } });
  const addresses = Array.from({ length: 2048 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const open = hanging(edge, addresses);
  assert.ok(open.every((stream) => stream.local === null));
  const refused = await edge.send({ method: "GET" });
  assert.equal(refused.status, 503);
  assert.equal(refused.json.error.code, "overloaded");
  open.pop()!.end();
  assert.equal((await edge.send({ method: "GET" })).status, 200);
});

for (const [what, tier, most] of [
  ["a worker can serve", {}, 1366],
  ["a worker can redact", { response: { redact: ["email"] } }, 342],
] as const) {
  test(`one caller's open requests take two thirds of what ${what}, and leave the rest to others`, async () => {
    const edge = await LocalEdge.open({ profile: "envoy", policy: { tiers: { anonymous: tier } } });
    const send = (from: string) => edge.send({ method: "GET", from });
    const open = hanging(edge, Array(most).fill("203.0.113.7"));
    assert.ok(open.every((stream) => stream.local === null));
    const refused = await send("203.0.113.7");
    assert.deepEqual(
      [refused.status, refused.json.error.code, refused.header("retry-after")],
      [429, "too_many_open_requests", "1"],
    );
    assert.match(
      refused.json.error.message,
      /^Too many requests of anonymous\/203\.0\.113\.7 are open at once/,
    );
    // Others may, but not as many: the less is free, the less one may hold.
    const others = hanging(edge, Array(most).fill("203.0.113.8"));
    const admitted = others.filter((stream) => stream.local === null).length;
    assert.ok(admitted > most / 4 && admitted < most / 2, `${admitted}`);
    assert.equal((await send("203.0.113.8")).status, 429);
    assert.equal((await send("203.0.113.9")).status, 200);
    for (const stream of [...open, ...others]) stream.end();
    assert.equal((await send("203.0.113.7")).status, 200);
  });
}

for (const [profile, leases, outage] of [
  ["envoy", false, "deny"],
  ["envoy", false, "allow"],
  ["ngx_wasm", true, "allow"],
] as const) {
  test(`one caller's questions to the ledger leave room for others', and are no outage that lets pass: ${profile}, ${outage}`, async () => {
    const edge = await LocalEdge.open({
      profile,
      policy: {
        tiers: { pro: { outage, budgets: [{ meter: "requests", limit: 5, window: "day" }] } },
        keys: ["k1", "k2"].map((key) => keyEntry(key, "pro", { subject: `${key}/team/key` })),
        ledger: { leases },
      },
    });
    const body = chat("Hello there");
    const flood = Array.from({ length: 300 }, () => edge.send({ key: "k1", body }));
    const other = edge.send({ key: "k2", body });
    const codes = new Map<string, number>();
    for (const { status, json } of await Promise.all(flood)) {
      const code = status === 200 ? "ok" : json.error.code;
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    assert.equal((await other).status, 200);
    assert.equal(codes.get("ok"), 5, JSON.stringify([...codes]));
    // Two thirds of 128 ask.
    assert.equal(codes.get("too_many_open_requests"), 300 - 86, JSON.stringify([...codes]));
    await settled(edge);
    assert.equal((await edge.budget("k1")).spent, 5);
    assert.equal((await edge.send({ key: "k2", body })).status, 200);
  });
}
