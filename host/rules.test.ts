import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Pairs } from "./abi.ts";
import { HostViolation } from "./errors.ts";
import type { ExchangeRequest } from "./exchange.ts";
import { scripted } from "./guest.fixture.ts";
import { RULES, type Rule } from "./rules.ts";
import { createVm, type VmOptions } from "./vm.ts";

const seen = new Set<Rule>();
const never = () => new Promise<never>(() => {});
const answer = async () => ({ headers: [[":status", "200"]] as Pairs, body: Buffer.from("ok") });

/** Runs a script under a profile and expects that it breaks exactly this rule. */
async function breaks(
  rule: Rule,
  script: string,
  request: ExchangeRequest = {},
  options: Partial<VmOptions> & { envoy?: true } = {},
) {
  const { envoy, ...rest } = options;
  await assert.rejects(
    async () => {
      const { vm, run } = scripted(envoy ? "envoy" : "ngx_wasm", script, { callouts: answer, ...rest });
      if (script.includes("tick ")) vm.tick();
      await run(request);
      await vm.settled();
    },
    (error) => {
      assert.ok(error instanceof HostViolation, String(error));
      assert.equal(error.rule, rule, error.message);
      return true;
    },
  );
  seen.add(rule);
}

/** The smallest module that imports one function. */
function importing(module: string, name: string): Uint8Array {
  const text = (s: string) => [s.length, ...Buffer.from(s)];
  const entry = [1, ...text(module), ...text(name), 0, 0];
  return Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, entry.length, ...entry);
}

function linkBreaks(rule: Rule, profile: "envoy" | "ngx_wasm", name: string) {
  assert.throws(
    () => createVm({ wasm: importing("env", name), profile }),
    (error) => error instanceof HostViolation && error.rule === rule,
  );
  seen.add(rule);
}

test("import-unknown: an unknown env function does not link in either host", () => {
  linkBreaks("import-unknown", "ngx_wasm", "abort");
  linkBreaks("import-unknown", "envoy", "abort");
});

test("import-get-log-level: proxy_get_log_level does not link in ngx_wasm", () => {
  linkBreaks("import-get-log-level", "ngx_wasm", "proxy_get_log_level");
});

test("request-hangs: Envoy without the header option holds the body back, so that nothing comes", async () => {
  const script = "reqh return 1\nreqb return 0";
  await breaks(
    "request-hangs",
    script,
    { body: "hello" },
    { envoy: true, allowOnHeadersStopIteration: false },
  );
});

test("request-hangs: nginx paused without a callout never goes on", async () => {
  await breaks("request-hangs", "reqh return 1");
  await breaks("request-hangs", "reqb return 1", { body: "hello" });
});

test("response-hangs: a response that is held at its end with nothing to continue it", async () => {
  await breaks("response-hangs", "respb return 1", {}, { envoy: true });
});

test("content-length: a rewritten request whose length is not corrected", async () => {
  await breaks(
    "content-length",
    "reqb.end write 0 0 all longer than it was",
    { body: "short" },
    { envoy: true },
  );
});

test("content-length: a response changed without removing its content-length", async () => {
  const { run } = scripted("ngx_wasm", "respb write 1 0 100 much longer than before");
  await assert.rejects(
    run({}, () => ({ headers: { "content-length": "4" }, body: "fine" })),
    (error) => error instanceof HostViolation && error.rule === "content-length",
  );
});

for (const [operation, name] of [
  ["done", "proxy_done"],
  ["status", "proxy_get_status"],
  ["close 0", "proxy_close_stream"],
  ["foreign", "proxy_call_foreign_function"],
]) {
  test(`function-traps: ${name} traps when it is called`, () =>
    breaks("function-traps", `reqh ${operation}`));
}

test("action-not-0-or-1: 2, 3 and 4 are refused", async () => {
  for (const action of [2, 3, 4]) await breaks("action-not-0-or-1", `reqh return ${action}`);
  await breaks("action-not-0-or-1", "reqb return 3", { body: "x" });
  await breaks("action-not-0-or-1", "respb return 2");
});

test("response-headers-pause: pausing response headers does nothing, so it is refused", () =>
  breaks("response-headers-pause", "resph return 1"));

test("response-body-pause: pausing a response body is refused", () =>
  breaks("response-body-pause", "respb return 1"));

test("dispatch-without-pause: a callout must be followed by a pause", async () => {
  await breaks("dispatch-without-pause", "reqh call side:80 100 hi");
  await breaks("dispatch-without-pause", "reqb call side:80 100 hi", { body: "x" });
});

test("configure-beside-others: what fails only there takes the VM from the others", async () => {
  const { vm } = scripted("envoy", "configure alone");
  assert.throws(
    () => vm.addRoot({ configuration: "configure alone" }),
    (error) => error instanceof HostViolation && error.rule === "configure-beside-others",
  );
  seen.add("configure-beside-others");
  assert.equal(vm.addRoot({ configuration: "configure return 0" }).ok, false, "a canary's refusal is none");
});

test("callout-phase: no callout from configure, response phases or log", async () => {
  await breaks("callout-phase", "configure call side:80 100 hi");
  await breaks("callout-phase", "resph call side:80 100 hi");
  await breaks("callout-phase", "respb call side:80 100 hi");
  await breaks("callout-phase", "log call side:80 100 hi");
});

test("callout-target: a cluster name is not a target", () =>
  breaks("callout-target", "reqh call weir_sidecar 100 hi\nreqh return 1"));

test("local-response-phase: no local response from response phases, log or tick", async () => {
  await breaks("local-response-phase", "resph local 403 no body");
  await breaks("local-response-phase", "respb local 403 no body");
  await breaks("local-response-phase", "log local 403 no body");
  await breaks("local-response-phase", "tick local 403 no body");
});

test("local-response-reason: details must be a valid reason phrase", () =>
  breaks("local-response-reason", "reqh local 403 nö body"));

test("local-response-twice: a second local response traps", () =>
  breaks("local-response-twice", "reqh local 403 no body\nreqh local 403 no body"));

test("request-body-phase: no request body in a callout's callback", async () => {
  const paused = "reqb call side:80 100 hi\nreqb return 1\n";
  await breaks("request-body-phase", `${paused}callout read 0 0 all`, { body: "x" });
  await breaks("request-body-phase", `${paused}callout write 0 0 9 new`, { body: "x" });
});

test("response-body-phase: no response body outside its callback", () =>
  breaks("response-body-phase", "log read 1 0 10"));

test("body-partial-read: offset and short reads are refused", async () => {
  await breaks("body-partial-read", "reqb read 0 0 2", { body: "hello" });
  await breaks("body-partial-read", "reqb read 0 1 all", { body: "hello" });
  await breaks("body-partial-read", "respb read 1 0 2");
});

test("body-truncated: writing more than the given length", () =>
  breaks("body-truncated", "reqb write 0 0 all longer than it was", { body: "short" }));

test("content-length-reverts: a body of another length after a pause in the body phase", () =>
  breaks(
    "content-length-reverts",
    "reqb write 0 0 50 longer than it was\nreqb call side:80 100 hi\nreqb return 1",
    { body: "short" },
  ));

test("request-headers-final: request headers cannot change once there is a response", () =>
  breaks("request-headers-final", "resph replace 0 x-a 1"));

test("response-headers-final: response headers cannot change after the first chunk", () =>
  breaks("response-headers-final", "respb replace 2 x-a 1"));

test("metric-kind: counters are incremented, gauges and histograms recorded, histograms not read", async () => {
  await breaks("metric-kind", "reqh metric 0 c\nreqh record 1");
  await breaks("metric-kind", "reqh metric 1 g\nreqh increment 1");
  await breaks("metric-kind", "reqh metric 2 h\nreqh increment 1");
  await breaks("metric-kind", "reqh metric 2 h\nreqh measure");
});

test("plugin-name-in-configure: reading plugin_name there crashes the worker", () =>
  breaks("plugin-name-in-configure", "configure property plugin_name"));

test("effective-context-fixed: a stream cannot act on another one", async () => {
  const { vm } = scripted("ngx_wasm", "reqb effective");
  const first = vm.openStream();
  const second = vm.openStream();
  first.onRequestHeaders([], false);
  second.onRequestHeaders([], false);
  second.onRequestBody(Buffer.from("x"), true);
  assert.throws(
    () => first.onRequestBody(Buffer.from("x"), true),
    (error) => error instanceof HostViolation && error.rule === "effective-context-fixed",
  );
  seen.add("effective-context-fixed");
});

test("tick-not-root: a stream cannot set the tick period", () => breaks("tick-not-root", "reqh tick 100"));

test("tick-set-twice: the period can be changed only through 0", async () => {
  await breaks("tick-set-twice", "configure tick 100\nconfigure tick 200");
  const { vm } = scripted("ngx_wasm", "configure tick 100\nconfigure tick 0\nconfigure tick 200");
  assert.equal(vm.roots[0]?.tickMs, 200);
});

test("shared-data-no-memory: a value that the guest has no room for", () =>
  breaks("shared-data-no-memory", "reqh sset k 0 value\nreqh starve\nreqh sget k"));

test("memory-out-of-bounds: a wild pointer traps", () => breaks("memory-out-of-bounds", "reqh wild"));

test("a violation in a callout's callback reaches the request that waits for it", () =>
  breaks(
    "local-response-twice",
    "reqh call side:80 9 x\nreqh return 1\ncallout effective\ncallout local 403 a b\ncallout local 403 a b",
  ));

test("a request whose callout never answers waits, and is no violation", async () => {
  const { run } = scripted("ngx_wasm", "reqh call side:80 9 x\nreqh return 1", { callouts: never });
  const first = await Promise.race([
    run().then(() => "done"),
    new Promise((r) => setTimeout(r, 20, "waits")),
  ]);
  assert.equal(first, "waits");
});

after(() => {
  assert.deepEqual(
    Object.keys(RULES).filter((rule) => !seen.has(rule as Rule)),
    [],
    "every rule has a test",
  );
});
