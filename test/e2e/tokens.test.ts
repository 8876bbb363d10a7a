/** Callers with a token that Envoy's own jwt_authn has verified: who they are, and what becomes of tokens that do not fit. */
import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { root } from "../../demo/processes.ts";
import { filterFindings } from "../../sidecar/doctor/envoy.ts";
import { readEnvoy } from "../../sidecar/doctor/envoy-seen.ts";
import type { Finding } from "../../sidecar/doctor/finding.ts";
import { parsePolicy } from "../../sidecar/doctor/policy.ts";
import { examineEnvoy, keyEntry, type World, world } from "../support/e2e.ts";

const KEY = "tokens-key-of-a-service";
/** As the guide's verifier wants it. */
const ISSUED = { iss: "https://login.example.com", aud: "llm-gateway" };
const TIER = "https://acme.example/tier";

const policy = {
  tiers: { pro: { tokens: "100k/day" }, trial: { requests: "1/hour" } },
  keys: [keyEntry(KEY, "acme/search/service", "pro")],
  identity: { claims: { metadata: "jwt", subject: "acme/{team}/{sub}", tier: `{${TIER}}` } },
};

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const jwks = JSON.stringify({
  keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1", alg: "RS256", use: "sig" }],
});

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token as a login service would sign it. */
function token(claims: object, signer = privateKey): string {
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "RS256", typ: "JWT", kid: "1" })}.${part({ ...ISSUED, exp: now + 600, ...claims })}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), signer).toString("base64url")}`;
}

/** The verifier as the guide shows it, with the keys of these tests, before the filter. */
function withVerifier(text: string): string {
  const guide = readFileSync(join(root, "docs/policy-guide.md"), "utf8");
  const [, shown = ""] = /^```\n(- name: envoy.filters.http.jwt_authn\n[\s\S]*?)^```$/m.exec(guide) ?? [];
  const verifier = shown.replace(
    /remote_jwks:\n.*http_uri.*/,
    () => `local_jwks: { inline_string: '${jwks}' }`,
  );
  assert.notEqual(verifier, shown);
  const indent = " ".repeat(18);
  const filter = `${indent}- name: weir\n`;
  assert.ok(text.includes(filter));
  return text.replace(filter, () => `${verifier.replace(/^(?=.)/gm, indent)}${filter}`);
}

describe("verified tokens", () => {
  let w: World;
  before(async () => {
    w = await world({ policy, edit: withVerifier });
  });
  after(() => w?.close());
  const ask = (claims: object, signer?: typeof privateKey) =>
    w.chat(undefined, "hello", { headers: { authorization: `Bearer ${token(claims, signer)}` } });

  it("names the caller by its claims, whose budget is charged", async () => {
    const answer = await ask({ sub: "auth0|17", team: "search", [TIER]: "pro" });
    assert.equal(answer.status, 200, answer.text);
    const seen = w.llm.seen.at(-1);
    assert.equal(seen?.headers["x-weir-subject"], "acme/search/auth0_7C17");
    assert.equal(seen?.headers["x-weir-tier"], "pro");
    assert.equal(seen?.headers.authorization, undefined);
    await w.settled("acme/search/auth0_7C17", "tokens-day", answer.json.usage.total_tokens, 0);
  });

  it("limits each caller by itself", async () => {
    const trial = (sub: string) => ask({ sub, team: "search", [TIER]: "trial" });
    assert.equal((await trial("ann")).status, 200);
    assert.equal((await trial("ann")).code, "rate_limit_exceeded");
    assert.equal((await trial("bob")).status, 200);
  });

  it("refuses a verified token that lacks a claim, whose claim is no text, or that names no tier", async () => {
    for (const [claims, claim] of [
      [{ sub: "ann", [TIER]: "pro" }, "team"],
      [{ sub: "ann", team: 17, [TIER]: "pro" }, "team"],
      [{ sub: "ann", team: ["search"], [TIER]: "pro" }, "team"],
      [{ sub: "ann", team: { name: "search" }, [TIER]: "pro" }, "team"],
      // Envoy hands over no null, nor claims of which one is null.
      [{ sub: "ann", team: null, [TIER]: "pro" }, "team"],
      [{ sub: "ann", email: null, [TIER]: "pro" }, "team"],
      [{ sub: "ann", team: "search" }, TIER],
      [{ sub: "ann", team: "search", [TIER]: "admin" }, TIER],
      [{ sub: "a".repeat(97), team: "search", [TIER]: "pro" }, "sub"],
    ] as const) {
      const answer = await ask(claims);
      assert.deepEqual([answer.status, answer.code], [403, "token_not_accepted"], answer.text);
      assert.ok(answer.json.error.message.includes(`"${claim}"`), answer.json.error.message);
    }
  });

  it("shows the doctor that the verifier is there", async () => {
    const admin = `http://127.0.0.1:${w.envoys[0]?.adminPort}`;
    const findings = await examineEnvoy(admin);
    assert.equal(findings.find(({ check }) => check === "envoy.tokens")?.level, "ok");
    const document = parsePolicy(JSON.stringify(policy));
    assert.ok(document);
    const config = await (await fetch(`${admin}/config_dump`)).text();
    for (const [now, other] of [
      [/"payload_in_metadata": ?"jwt"/g, '"payload_in_metadata": "other"'],
      [/http\.jwt_authn\.v3/g, "http.other.v3"],
    ] as const) {
      const [filter] = readEnvoy(JSON.parse(config.replace(now, other)), {}, "").filters;
      assert.ok(filter);
      const failed: Finding[] = filterFindings(filter, document).filter(({ level }) => level === "fail");
      assert.deepEqual(
        failed.map(({ check }) => check),
        ["envoy.tokens"],
      );
    }
  });

  it("takes what was not verified for a key", async () => {
    const { privateKey: another } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const claims = { sub: "ann", team: "search", [TIER]: "pro" };
    assert.equal((await ask(claims, another)).code, "invalid_api_key");
    assert.equal((await ask({ ...claims, exp: 1 })).code, "invalid_api_key");
    assert.equal((await ask({ ...claims, iss: "https://login.other" })).code, "invalid_api_key");
    assert.equal((await ask({ ...claims, aud: "another-gateway" })).code, "invalid_api_key");
    assert.equal((await w.chat(KEY, "hello")).status, 200);
    assert.equal((await w.chat(undefined, "hello")).code, "missing_api_key");
    assert.equal((await w.chat("no-such-key", "hello")).code, "invalid_api_key");
  });
});
