// Callers with a token that the proxy has verified. Real Envoy with its verifier: test/e2e/tokens.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { chat, keyEntry, LocalEdge } from "../support/filter.ts";

const body = chat("Hello there");
const policy = {
  tiers: { pro: {}, anonymous: {} },
  keys: [keyEntry("k1", "pro")],
  identity: { claims: { metadata: "jwt", subject: "{org}/{sub}", tier: "{plan}" } },
};
/** What Envoy's jwt_authn leaves of a token that it has verified. */
const JWT = "metadata.filter_metadata.envoy.filters.http.jwt_authn.jwt";
const verified = (claims: Record<string, string | Uint8Array>) =>
  new Map<string, string | Uint8Array>([
    [JWT, "all of them"],
    ...Object.entries(claims).map(([name, value]) => [`${JWT}.${name}`, value] as const),
  ]);
function number(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}
const open = () => LocalEdge.open({ profile: "envoy", policy, kind: "trapping" });

test("a verified token names its caller, and counts before a key", async () => {
  const edge = await open();
  for (const [org, sub, subject] of [
    ["acme", "ann", "acme/ann"],
    ["acme", "ann@example.com", "acme/ann_40example.com"],
    ["a/b c", "ü_%", "a_2Fb_20c/_C3_BC__25"],
    ["acme", "A", "acme/A"],
    ["日", "é日😀", "_E6_97_A5/_C3_A9_E6_97_A5_F0_9F_98_80"],
    ["acme", "_41", "acme/_5F41"],
    ["acme", "_", "acme/_"],
    ["a".repeat(47), "b".repeat(48), `${"a".repeat(47)}/${"b".repeat(48)}`],
  ] as const) {
    const properties = verified({ org, sub, plan: "pro" });
    for (const key of ["k1", "no-such-key"]) {
      const answer = await edge.send({ key, body, properties });
      assert.equal(answer.upstream?.header("x-weir-subject"), subject, answer.text);
      assert.equal(answer.upstream?.header("x-weir-tier"), "pro");
      assert.equal(answer.upstream?.header("authorization"), undefined);
    }
  }
});

test("a verified token that does not fit is refused, whatever key is beside it", async () => {
  const edge = await open();
  const fits = { org: "acme", sub: "ann", plan: "pro" };
  for (const [claims, claim, why] of [
    [{ org: "acme", plan: "pro" }, "sub", /missing/],
    [{ sub: "ann", plan: "pro" }, "org", /missing/],
    [{ ...fits, org: "" }, "org", /missing/],
    [{ ...fits, sub: "ann\n" }, "sub", /no text/],
    // The number 987654321098765400 as Envoy hands it over has no control character, and is no UTF-8.
    [{ ...fits, sub: number(987654321098765400) }, "sub", /no text/],
    [{ ...fits, sub: Buffer.from("a\xed\xa0\x80", "latin1") }, "sub", /no text/],
    [{ ...fits, sub: Buffer.from("a\xe6\x97", "latin1") }, "sub", /no text/],
    [{ ...fits, sub: "a".repeat(92) }, "sub", /does not name a caller/],
    [{ ...fits, sub: "|".repeat(31) }, "sub", /does not name a caller/],
    [{ ...fits, org: "b".repeat(97) }, "org", /does not name a caller/],
    [{ ...fits, org: "anonymous" }, "org", /does not name a caller/],
    [{ org: "acme", sub: "ann" }, "plan", /missing/],
    [{ ...fits, plan: "gold" }, "plan", /does not name a caller/],
    [{}, "org", /missing/],
  ] as const) {
    for (const key of [undefined, "k1"]) {
      const answer = await edge.send({ ...(key && { key }), body, properties: verified(claims) });
      assert.deepEqual([answer.status, answer.json.error.code], [403, "token_not_accepted"], answer.text);
      assert.ok(answer.json.error.message.includes(`claim "${claim}"`), answer.text);
      assert.match(answer.json.error.message, why);
      assert.equal(answer.upstream, null);
    }
  }
});

test("without a verified token keys and addresses name callers as ever, under both profiles", async () => {
  for (const profile of ["envoy", "ngx_wasm"] as const) {
    const edge = await LocalEdge.open({ profile, policy, kind: "trapping" });
    const keyed = await edge.send({ key: "k1", body });
    assert.equal(keyed.upstream?.header("x-weir-subject"), "acme/search/k1");
    const anonymous = await edge.send({ body });
    assert.equal(anonymous.upstream?.header("x-weir-subject"), "anonymous/203.0.113.7");
    assert.equal((await edge.send({ key: "no-such-key", body })).json.error.code, "invalid_api_key");
  }
});

test("a subject is words and claims, one a segment", async () => {
  const compiled = (subject: string) => {
    const { claims } = policy.identity;
    const changed = { ...policy, identity: { claims: { ...claims, subject } } };
    return LocalEdge.open({ profile: "envoy", policy: changed });
  };
  for (const subject of ["{sub}", "acme/{sub}", "{org}/search/{https://acme.example/id}", "{a}/{b}/{c}"])
    await compiled(subject);
  for (const subject of [
    "",
    "acme",
    "acme/search",
    "{sub",
    "sub}",
    "{}",
    "{a}b",
    "a{b}",
    "{a}{b}",
    "/{a}",
    "{a}/",
    "{a}//{b}",
    "a b/{c}",
    "{a b}",
    "{{a}}",
    "{a}/{b}/{c}/{d}",
    `{${"a".repeat(129)}}`,
  ])
    await assert.rejects(
      compiled(subject),
      /identity\/claims\/subject.*expected one to three segments/,
      subject,
    );
});
