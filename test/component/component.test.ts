// One core, three hosts: the component under jco in Node, the same component under wasmtime, and the filter itself in the
// Node host. The same cases, the same answers. wasmtime is a Python wheel; where it cannot be had the test says so.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { encode as encodeCl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { encode as encodeO200k } from "gpt-tokenizer/encoding/o200k_base";
import { FakeClock } from "../../host/clock.ts";
import { exchange } from "../../host/exchange.ts";
import { createVm } from "../../host/vm.ts";
import { build } from "../../scripts/build.ts";
import { buildComponent } from "../../scripts/build-component.ts";
import { type Inspector, loadInspector } from "../../sidecar/cli/scan.ts";
import { bodies, texts } from "./cases.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const WASMTIME = "wasmtime==50.0.1";
const OPTIONS = {
  threshold: 0,
  untrustedThreshold: 0,
  maxPromptTokens: 0,
  allowUnknownShape: false,
  countTokens: true,
};
const PROMPT_TOKENS_MAX = 5000;

await buildComponent();
const inspector: Inspector = await loadInspector();

/** Names as in the WIT, and no absent options: as JSON from Python has them. */
function asWit(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asWit);
  if (typeof value !== "object" || value === null) return value ?? null;
  const names: Record<string, string> = { o200kBase: "o200k-base", cl100kBase: "cl100k-base" };
  const dashed = (name: string) => names[name] ?? name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [dashed(name), asWit(item)]));
}

/** The Python that has wasmtime, installing it into .venv if need be; undefined where it cannot be had. */
function python(): string | undefined {
  const file = join(root, ".venv/bin/python");
  const run = (...args: string[]) => execFileSync(file, args, { stdio: "pipe" });
  if (!existsSync(file)) return undefined;
  try {
    run("-c", "import wasmtime");
  } catch {
    try {
      run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", WASMTIME);
    } catch {
      return undefined;
    }
  }
  return file;
}

test("wasmtime answers like jco, for every body and every text", (t) => {
  const file = python();
  if (!file) {
    t.diagnostic(`NOT TESTED: ${WASMTIME} is not installed in .venv and could not be installed`);
    return;
  }
  const options = asWit(OPTIONS);
  const calls = [
    ...bodies.map(({ path, body }) => ({ body: body.toString("base64"), path, options })),
    ...texts.map((text) => ({ text, speaker: "user", options })),
  ];
  const input = `${calls.map((call) => JSON.stringify(call)).join("\n")}\n`;
  const args = [
    join(root, "test/component/under_wasmtime.py"),
    join(root, "dist/component/weir-inspect.wasm"),
  ];
  const output = execFileSync(file, args, { input, maxBuffer: 64 << 20 })
    .toString()
    .trim()
    .split("\n");
  assert.equal(output.length, calls.length);
  for (const [i, { name, path, body }] of bodies.entries()) {
    assert.deepEqual(JSON.parse(output[i] as string), asWit(inspector.scan(body, path, OPTIONS)), name);
  }
  for (const [i, text] of texts.entries()) {
    const answer = JSON.parse(output[bodies.length + i] as string);
    assert.deepEqual(answer, asWit(inspector.scanText(text, "user", OPTIONS)), text.slice(0, 60));
  }
});

test("the filter answers each body with the component's verdict, and for its reason", async () => {
  if (!existsSync(join(root, "dist/weir.wasm"))) await build();
  const vm = createVm({
    wasm: new WebAssembly.Module(readFileSync(join(root, "dist/weir.wasm"))),
    profile: "envoy",
    clock: new FakeClock(),
    bodyBufferBytes: 4 << 20,
    plugins: [
      {
        configuration: JSON.stringify({
          tiers: { anonymous: { prompt: { max_tokens: PROMPT_TOKENS_MAX, max_bytes: 4 << 20 } } },
        }),
      },
    ],
  });
  assert.ok(vm.roots[0]?.ok, "the policy was refused");
  const ok = () => ({ status: 200, headers: { "content-type": "application/json" }, body: "{}" });
  const counts = new Map<string, number>();
  for (const { name, path, body } of bodies) {
    const answer = await exchange(
      vm,
      {
        method: "POST",
        path,
        headers: [["content-type", "application/json"]],
        body,
        properties: new Map([["source.address", "203.0.113.7:4711"]]),
      },
      ok,
    );
    const outcome = inspector.scan(body, path, { ...OPTIONS, maxPromptTokens: PROMPT_TOKENS_MAX });
    assert.equal(outcome.code, answer.header("x-weir-verdict"), name);
    assert.equal(outcome.verdict, outcome.code === "ok" ? "allow" : "block", name);
    if (outcome.code === "injection_detected") {
      assert.ok(answer.body.toString().includes(`(${outcome.why})`), name);
    }
    counts.set(outcome.code, (counts.get(outcome.code) ?? 0) + 1);
  }
  const codes = [
    "ok",
    "injection_detected",
    "malformed_json",
    "unknown_shape",
    "empty_prompt",
    "body_too_large",
  ];
  for (const code of [...codes, "prompt_too_long"]) assert.ok(counts.get(code), `no case is ${code}`);
});

test("tokens of texts are gpt-tokenizer's", () => {
  for (const text of texts) {
    const { tokens } = inspector.scanText(text, "user", OPTIONS);
    assert.equal(tokens.o200kBase, encodeO200k(text).length);
    assert.equal(tokens.cl100kBase, encodeCl100k(text).length);
  }
});

test("spans say where they stand, and the highest score is the body's", () => {
  const body = Buffer.from(
    '{"messages":[{"role":"user","content":"How do «tides» work?"},{"role":"tool","content":"Moon."}]}',
  );
  const { spans, score } = inspector.scan(body, "/v1/chat/completions", OPTIONS);
  assert.deepEqual(
    spans.map(({ offset, length, trust }) => [body.subarray(offset, offset + length).toString(), trust]),
    [
      ["How do «tides» work?", "user"],
      ["Moon.", "untrusted"],
    ],
  );
  assert.equal(score, Math.max(...spans.map((span) => span.score)));
});

test("memory does not grow with the number of calls, and a body over the bound is answered", () => {
  const large = Buffer.alloc((16 << 20) + 1, " ");
  assert.equal(inspector.scan(large, "/", OPTIONS).code, "body_too_large");
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 20; i++) inspector.scan(large, "/", OPTIONS);
  assert.ok(process.memoryUsage().rss - before < 300 << 20);
});

test("options set thresholds and limits", () => {
  const ask = (options: Partial<typeof OPTIONS>) =>
    inspector.scanText("What is the capital of France?", "user", { ...OPTIONS, ...options }).code;
  assert.equal(ask({}), "ok");
  assert.equal(ask({ threshold: 1 }), "injection_detected");
  assert.equal(ask({ maxPromptTokens: 3 }), "prompt_too_long");
  assert.equal(ask({ maxPromptTokens: 7, countTokens: false }), "ok");
  const body = Buffer.from('{"question":"What is the capital of France?"}');
  assert.equal(inspector.scan(body, "/ask", OPTIONS).code, "unknown_shape");
  assert.equal(inspector.scan(body, "/ask", { ...OPTIONS, allowUnknownShape: true }).code, "ok");
});
