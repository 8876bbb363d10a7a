/** Who may call, and what the upstream is told about it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { keyEntry, secret, type World, world } from "../support/e2e.ts";

const KEY = "identity-key-of-a-team";
const EXPIRED = "identity-key-that-expired";
const ELSEWHERE = "identity-key-of-another-network";
const NARROW = "identity-key-for-one-model";

const policy = {
  tiers: { pro: { requests: "1000/min" } },
  keys: [
    keyEntry(KEY, "acme/search/key-7", "pro", { lane: "batch" }),
    keyEntry(EXPIRED, "acme/search/key-6", "pro", { expires: "2020-01-01T00:00:00Z" }),
    keyEntry(ELSEWHERE, "acme/search/key-5", "pro", { networks: ["192.0.2.0/24"] }),
    keyEntry(NARROW, "acme/search/key-4", "pro", { models: ["gpt-4o*"] }),
  ],
};

describe("identity", () => {
  let w: World;
  before(async () => {
    w = await world({ policy });
  });
  after(() => w?.close());

  it("answers 200 with rate headers to a known key", async () => {
    const answer = await w.chat(KEY, "How deep is the river?");
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.choices[0]?.message.content, "Water finds its level.");
    assert.equal(answer.headers.get("x-weir-verdict"), "ok");
    assert.equal(answer.headers.get("x-ratelimit-limit-requests"), "1000");
    assert.ok(Number(answer.headers.get("x-ratelimit-remaining-requests")) < 1000);
    assert.ok(answer.headers.get("x-ratelimit-reset-requests"));
    assert.match(answer.headers.get("ratelimit") ?? "", /r=\d+;t=\d+/);
    assert.match(answer.headers.get("ratelimit-policy") ?? "", /q=1000;w=60/);
  });

  it("finds the key in each of the four headers", async () => {
    for (const headers of [
      { authorization: `Bearer ${secret(KEY)}` },
      { "x-api-key": secret(KEY) },
      { "api-key": secret(KEY) },
      { "x-goog-api-key": secret(KEY) },
    ]) {
      const answer = await w.chat(undefined, "hello", { headers });
      assert.equal(answer.status, 200, `${Object.keys(headers)}: ${answer.text}`);
    }
  });

  it("answers 401 without a key and with a wrong one", async () => {
    const missing = await w.chat(undefined, "hello");
    assert.deepEqual([missing.status, missing.code], [401, "missing_api_key"]);
    assert.equal(missing.json.error.type, "authentication_error");
    assert.match(missing.json.error.message, /API key/);
    const wrong = await w.chat("no-such-key", "hello");
    assert.deepEqual([wrong.status, wrong.code], [401, "invalid_api_key"]);
    assert.ok(!wrong.text.includes("no-such-key"), "a refusal never repeats the key");
    const both = await w.chat(KEY, "hello", { headers: { "x-api-key": "another-key" } });
    assert.deepEqual([both.status, both.code], [401, "invalid_api_key"]);
    const twice = await w.chat(undefined, "hello", {
      headers: { authorization: `Bearer ${secret(KEY)}, Bearer ${secret(KEY)}` },
    });
    assert.deepEqual([twice.status, twice.code], [401, "invalid_api_key"]);
    assert.match(twice.json.error.message, /several API keys/);
  });

  it("refuses an expired key, a key from another network, and a model that is not the key's", async () => {
    assert.equal((await w.chat(EXPIRED, "hello")).code, "expired_api_key");
    assert.equal((await w.chat(ELSEWHERE, "hello")).code, "address_not_allowed");
    assert.equal((await w.chat(NARROW, "hello")).status, 200);
    const other = await w.chat(NARROW, "hello", { body: { model: "o3" } });
    assert.deepEqual(
      [other.status, other.code, other.json.error.param],
      [403, "model_not_allowed", "/model"],
    );
    const path = "/openai/deployments/o3/chat/completions?api-version=2024-10-21";
    assert.equal(
      (await w.chat(NARROW, "hello", { path, body: { model: undefined } })).code,
      "model_not_allowed",
    );
    assert.equal((await w.chat(NARROW, "hello", { path })).json.error.param, "/model");
  });

  it("tells the upstream who calls, and lets nobody else say it", async () => {
    const forged = {
      "x-weir-subject": "acme/boss",
      "x-weir-tier": "internal",
      "X-Weir-Lane": "interactive",
      "x-weir-request-id": "forged",
      "x-weir-anything": "forged",
      x_weir_subject: "acme/boss",
      "x-weir_tier": "internal",
    };
    assert.equal((await w.chat(KEY, "hello", { headers: forged })).status, 200);
    const { headers } = w.llm.seen.at(-1) as (typeof w.llm.seen)[0];
    assert.equal(headers["x-weir-subject"], "acme/search/key-7");
    assert.equal(headers["x-weir-tier"], "pro");
    assert.equal(headers["x-weir-lane"], "batch");
    assert.match(String(headers["x-weir-request-id"]), /^[0-9a-f-]{36}$/);
    for (const name of ["x-weir-anything", "x_weir_subject", "x-weir_tier"]) {
      assert.equal(headers[name], undefined, name);
    }
  });

  it("keeps the key from the upstream, in whichever header it came", async () => {
    for (const name of ["authorization", "x-api-key", "api-key", "x-goog-api-key"]) {
      const value = name === "authorization" ? `Bearer ${secret(KEY)}` : secret(KEY);
      await w.chat(undefined, "hello", { headers: { [name]: value } });
      const { headers } = w.llm.seen.at(-1) as (typeof w.llm.seen)[0];
      assert.equal(headers[name], undefined);
      assert.ok(!JSON.stringify(headers).includes(KEY), name);
    }
  });

  it("passes a request without a body", async () => {
    const answer = await w.call(KEY, undefined, { method: "GET", path: "/v1/models" });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.object, "list");
  });

  it("never writes a key to Envoy's log, its statistics or its configuration", async () => {
    const envoy = w.envoys[0] as (typeof w.envoys)[0];
    const pages = [envoy.output(), await envoy.admin("/stats"), await envoy.admin("/stats/prometheus")];
    pages.push(await envoy.admin("/config_dump"));
    for (const key of [KEY, EXPIRED, ELSEWHERE, NARROW, "no-such-key"]) {
      for (const page of pages) assert.ok(!page.includes(key), key);
    }
  });
});
