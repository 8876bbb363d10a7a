// Who calls: keys in every form, the anonymous, addresses, and what travels to the upstream.
import assert from "node:assert/strict";
import { chat, keyEntry } from "../../support/filter.ts";
import { passed, refused, type Scenario } from "../../support/filter-scenario.ts";

const body = chat("Hello there");
const keyed = { tiers: { pro: {} }, keys: [keyEntry("k1", "pro")] };

export const identity: Scenario[] = [
  {
    name: "a key is accepted in each of the four header forms and taken off",
    policy: keyed,
    async run(edge) {
      for (const [name, value] of [
        ["authorization", "Bearer k1"],
        ["authorization", "bearer  k1 "],
        ["x-api-key", "k1"],
        ["api-key", "k1"],
        ["x-goog-api-key", "k1"],
      ] as const) {
        const answer = await edge.send({ headers: [[name, value]], body });
        passed(answer);
        assert.equal(answer.upstream?.header(name), undefined, `${name} does not travel on`);
        assert.equal(answer.header("x-weir-verdict"), "ok");
      }
    },
  },
  {
    name: "a header is what its whole name says: others as long as one that is read say nothing",
    policy: keyed,
    async run(edge) {
      for (const value of ["k2", "text/plain", "gzip", "websocket", "0"]) {
        const headers = Array.from({ length: 14 }, (_, i): [string, string] => ["y".repeat(i + 4), value]);
        const { upstream, status } = await edge.send({ key: "k1", headers, body });
        assert.equal(status, 200, value);
        for (const [name] of headers) assert.equal(upstream?.header(name), value, name);
        assert.equal(upstream?.header("x-weir-request-id"), undefined);
      }
    },
  },
  {
    name: "without a scheme authorization is a key, with any other scheme it is none that is known",
    policy: keyed,
    async run(edge) {
      passed(await edge.send({ headers: [["authorization", "k1"]], body }));
      const basic: [string, string] = ["authorization", "Basic azE6azE="];
      refused(edge, await edge.send({ headers: [basic], body }), "invalid_api_key");
      refused(edge, await edge.send({ headers: [basic, ["x-api-key", "k1"]], body }), "invalid_api_key");
    },
  },
  {
    name: "forward_key lets the key travel on, and a header that may not carry keys is not read",
    policy: { ...keyed, identity: { headers: ["x-api-key"], forward_key: true } },
    async run(edge) {
      const answer = await edge.send({ headers: [["x-api-key", "k1"]], body });
      assert.equal(answer.upstream?.header("x-api-key"), "k1");
      for (const name of ["authorization", "api-key", "x-goog-api-key"])
        refused(edge, await edge.send({ headers: [[name, "k1"]], body }), "missing_api_key");
    },
  },
  {
    name: "without a key where nobody is anonymous: 401",
    policy: keyed,
    run: async (edge) => refused(edge, await edge.send({ body }), "missing_api_key"),
  },
  {
    name: "an empty key is none, and stands in no other's way",
    policy: keyed,
    async run(edge) {
      for (const empty of ["Bearer ", "bearer", ""]) {
        const headers: [string, string][] = [["authorization", empty]];
        refused(edge, await edge.send({ headers, body }), "missing_api_key");
        passed(await edge.send({ headers: [...headers, ["x-api-key", "k1"]], body }));
      }
    },
  },
  {
    name: "a wrong key is 401, also where the anonymous are served",
    policy: { tiers: { pro: {}, anonymous: {} }, keys: [keyEntry("k1", "pro")] },
    async run(edge) {
      refused(edge, await edge.send({ key: "wrong", body }), "invalid_api_key");
      passed(await edge.send({ body }));
    },
  },
  {
    name: "two headers with different keys are refused, with the same key accepted",
    policy: { tiers: { pro: {} }, keys: [keyEntry("k1", "pro"), keyEntry("k2", "pro")] },
    async run(edge) {
      refused(edge, await edge.send({ key: "k1", headers: [["x-api-key", "k2"]], body }), "invalid_api_key");
      passed(await edge.send({ key: "k1", headers: [["x-api-key", "k1"]], body }));
    },
  },
  {
    name: "two keys in one header, as Envoy joins them, are refused and said to be several",
    policy: keyed,
    async run(edge) {
      for (const value of ["Bearer k1,Bearer k2", "Bearer k1, bearer k1"]) {
        const answer = await edge.send({ headers: [["authorization", value]], body });
        refused(edge, answer, "invalid_api_key");
        assert.match(answer.json.error.message, /shows several API keys/);
      }
      const wrong = await edge.send({ headers: [["authorization", "Bearer k2,k1"]], body });
      refused(edge, wrong, "invalid_api_key");
      assert.match(wrong.json.error.message, /^Incorrect API key/);
    },
  },
  {
    name: "the upstream is told who calls, and a caller cannot say so itself",
    policy: { tiers: { pro: {} }, keys: [keyEntry("k1", "pro", { lane: "batch" })] },
    async run(edge) {
      const forged: [string, string][] = [
        ["x-weir-subject", "acme/admin"],
        ["x-weir-tier", "internal"],
        ["x-weir-anything", "1"],
        // What CGI and WSGI would read as the same.
        ["x_weir_subject", "acme/admin"],
        ["x-weir_tier", "internal"],
        ["X_WEIR-LANE", "interactive"],
        // What asks Envoy to try again.
        ["x-envoy-retry-on", "5xx"],
        ["x-envoy-retriable-status-codes", "200"],
        ["X-Envoy-Max-Retries", "9"],
        ["x-envoy-hedge-on-per-try-timeout", "true"],
        ["x-envoy-upstream-rq-per-try-timeout-ms", "1"],
      ];
      const { upstream } = await edge.send({
        key: "k1",
        headers: [...forged, ["x-request-id", "r-1"]],
        body,
      });
      assert.equal(upstream?.header("x-weir-subject"), "acme/search/k1");
      assert.equal(upstream?.header("x-weir-tier"), "pro");
      assert.equal(upstream?.header("x-weir-lane"), "batch");
      assert.equal(upstream?.header("x-weir-request-id"), "r-1");
      const gone = ["x-weir-anything", "x_weir_subject", "x-weir_tier", "x_weir-lane", "x-envoy-retry-on"];
      gone.push("x-envoy-retriable-status-codes", "x-envoy-max-retries", "x-envoy-hedge-on-per-try-timeout");
      gone.push("x-envoy-upstream-rq-per-try-timeout-ms");
      for (const name of gone) assert.equal(upstream?.header(name), undefined, name);
      const others: [string, string][] = [
        ["x-weirs", "1"],
        ["xxweir-a", "1"],
        ["x-weir", "1"],
        ["x-envoy-", "1"],
        ["x-envoy-upstream-rq-timeout-ms", "1"],
        ["x-envoy-external-address", "1"],
      ];
      const other = await edge.send({ key: "k1", headers: others, body });
      for (const [name] of others) assert.equal(other.upstream?.header(name), "1", name);
    },
  },
  {
    name: "more forged headers than can be taken off are refused",
    policy: keyed,
    async run(edge) {
      const forged = Array.from({ length: 17 }, (_, i): [string, string] => [`x-weir-${i}`, "1"]);
      refused(edge, await edge.send({ key: "k1", headers: forged, body }), "too_many_headers");
    },
  },
  {
    name: "the anonymous are told apart by address, IPv6 by its /64",
    policy: { tiers: { anonymous: { requests: "2/min" } } },
    async run(edge) {
      for (let i = 0; i < 2; i++) passed(await edge.send({ from: "198.51.100.1", body }));
      refused(edge, await edge.send({ from: "198.51.100.1", body }), "rate_limit_exceeded");
      const other = await edge.send({ from: "198.51.100.2", body });
      assert.equal(other.upstream?.header("x-weir-subject"), "anonymous/198.51.100.2");
      passed(await edge.send({ from: "[2001:db8::1]", body }));
      passed(await edge.send({ from: "[2001:db8::2]", body }));
      refused(edge, await edge.send({ from: "[2001:db8::3]", body }), "rate_limit_exceeded");
      passed(await edge.send({ from: "[2001:db8:0:1::1]", body }));
    },
  },
  {
    name: "a client on the proxy's own link, whose address has a zone, is known by it without",
    policy: {
      tiers: { pro: {}, anonymous: {} },
      identity: { trusted_hops: 1 },
      keys: [keyEntry("k1", "pro", { networks: ["fe80::/64"] })],
    },
    async run(edge) {
      const from = "[fe80::1%2]";
      const anonymous = await edge.send({ from, body });
      assert.equal(anonymous.upstream?.header("x-weir-subject"), "anonymous/fe80000000000000");
      passed(await edge.send({ key: "k1", from, body }));
      const headers: [string, string][] = [["x-forwarded-for", "203.0.113.9"]];
      if (edge.host === "envoy") headers.push(["x-forwarded-for", "fe80::1%2"]);
      const behind = await edge.send({ from, headers, body });
      assert.equal(behind.upstream?.header("x-weir-subject"), "anonymous/203.0.113.9");
      refused(edge, await edge.send({ from: "[fe80::1%]", body }), "address_not_allowed");
    },
  },
  {
    name: "without trusted hops x-forwarded-for says nothing",
    policy: { tiers: { anonymous: {} } },
    async run(edge) {
      const answer = await edge.send({
        from: "198.51.100.1",
        headers: [["x-forwarded-for", "10.0.0.1"]],
        body,
      });
      assert.equal(answer.upstream?.header("x-weir-subject"), "anonymous/198.51.100.1");
    },
  },
  {
    name: "with two trusted hops the address is the second from the right, whatever the client wrote before it",
    policy: { tiers: { anonymous: {} }, identity: { trusted_hops: 2 } },
    async run(edge) {
      const answer = await edge.send({
        from: "10.0.0.9",
        headers: [["x-forwarded-for", "1.1.1.1, 192.0.2.44 , 10.0.0.8"]],
        body,
      });
      assert.equal(answer.upstream?.header("x-weir-subject"), "anonymous/192.0.2.44");
    },
  },
  {
    name: "x-forwarded-for in several lines, as some proxies add theirs, is one list",
    policy: { tiers: { anonymous: {} }, identity: { trusted_hops: 2 } },
    async run(edge) {
      const headers: [string, string][] = [
        ["x-forwarded-for", "1.1.1.1, 192.0.2.44"],
        ["x-forwarded-for", "10.0.0.8"],
      ];
      const answer = await edge.send({ from: "10.0.0.9", headers, body });
      assert.equal(answer.upstream?.header("x-weir-subject"), "anonymous/192.0.2.44");
    },
  },
  {
    name: "an entry that repeats the connection's address is Envoy's own, and on Kong, which appends later, a proxy's",
    policy: { tiers: { anonymous: {} }, identity: { trusted_hops: 1 } },
    async run(edge) {
      const answer = await edge.send({
        from: "203.0.113.9",
        headers: [["x-forwarded-for", "198.51.100.1, 203.0.113.9"]],
        body,
      });
      const expected = edge.host === "envoy" ? "198.51.100.1" : "203.0.113.9";
      assert.equal(answer.upstream?.header("x-weir-subject"), `anonymous/${expected}`);
    },
  },
  {
    name: "a proxy on the same machine counts once where the host has appended nothing",
    policy: { tiers: { anonymous: {} }, identity: { trusted_hops: 1 } },
    async run(edge) {
      for (const from of ["127.0.0.1", "[::1]"]) {
        const headers: [string, string][] = [["x-forwarded-for", "198.51.100.1, 203.0.113.9"]];
        const answer = await edge.send({ from, headers, body });
        assert.equal(answer.upstream?.header("x-weir-subject"), "anonymous/203.0.113.9");
      }
    },
  },
  {
    name: "a forwarded address that is none is refused",
    policy: { tiers: { anonymous: {} }, identity: { trusted_hops: 1 } },
    async run(edge) {
      for (const odd of ["unknown", "10.0.0.1:8x", "10.0.0.1:", "10.0.0.1:123456", "[2001:db8::1]:x", ":"]) {
        const answer = await edge.send({ headers: [["x-forwarded-for", odd]], body });
        refused(edge, answer, "address_not_allowed");
      }
      for (const well of ["10.0.0.1:80", "[2001:db8::1]:65535", "::"])
        passed(await edge.send({ headers: [["x-forwarded-for", well]], body }));
    },
  },
  {
    name: "a key with networks works from inside them only, IPv4 and IPv6",
    policy: {
      tiers: { pro: {} },
      keys: [keyEntry("k1", "pro", { networks: ["10.0.0.0/9", "2001:db8::/33"] })],
    },
    async run(edge) {
      passed(await edge.send({ key: "k1", from: "10.127.255.255", body }));
      refused(edge, await edge.send({ key: "k1", from: "10.128.0.0", body }), "address_not_allowed");
      passed(await edge.send({ key: "k1", from: "[2001:db8:7fff::1]", body }));
      refused(edge, await edge.send({ key: "k1", from: "[2001:db8:8000::1]", body }), "address_not_allowed");
    },
  },
  {
    name: "a key is valid from its first moment to its last",
    clock: true,
    policy: {
      tiers: { pro: {} },
      keys: [
        keyEntry("k1", "pro", { not_before: "2026-01-01T00:01:00Z", expires: "2026-01-01T00:02:00Z" }),
        keyEntry("k2", "pro", { subject: "acme/search/k1" }),
        keyEntry("k3", "pro", { expires: "9999-12-31T23:59:59Z" }),
        keyEntry("k4", "pro", { not_before: "2100-03-01T00:00:00Z" }),
      ],
    },
    async run(edge) {
      passed(await edge.send({ key: "k3", body }));
      refused(edge, await edge.send({ key: "k4", body }), "expired_api_key");
      refused(edge, await edge.send({ key: "k1", body }), "expired_api_key");
      await edge.wait(60_000);
      passed(await edge.send({ key: "k1", body }));
      await edge.wait(60_000);
      refused(edge, await edge.send({ key: "k1", body }), "expired_api_key");
      passed(await edge.send({ key: "k2", body }));
    },
  },
  {
    name: "an expired key is refused",
    policy: { tiers: { pro: {} }, keys: [keyEntry("k1", "pro", { expires: "2020-01-01T00:00:00Z" })] },
    run: async (edge) => refused(edge, await edge.send({ key: "k1", body }), "expired_api_key"),
  },
  {
    name: "a key asks for its own models only",
    policy: { tiers: { pro: {} }, keys: [keyEntry("k1", "pro", { models: ["gpt-4o", "claude-*"] })] },
    async run(edge) {
      passed(await edge.send({ key: "k1", body }));
      passed(await edge.send({ key: "k1", body: chat("Hi", { model: "claude-3-haiku" }) }));
      for (const model of ["gpt-4o-mini", "GPT-4O", "o1"]) {
        const answer = await edge.send({ key: "k1", body: chat("Hi", { model }) });
        refused(edge, answer, "model_not_allowed");
        assert.equal(answer.json.error.param, "/model");
      }
    },
  },
  {
    name: "a request that would switch protocols is refused",
    policy: keyed,
    async run(edge) {
      const headers: [string, string][] = [
        ["upgrade", "websocket"],
        ["connection", "upgrade"],
      ];
      refused(edge, await edge.send({ key: "k1", method: "GET", headers }), "unsupported_upgrade");
    },
  },
  {
    name: "a request without a body passes with its key",
    policy: keyed,
    async run(edge) {
      passed(await edge.send({ key: "k1", method: "GET", path: "/v1/models" }));
      refused(edge, await edge.send({ method: "GET", path: "/v1/models" }), "missing_api_key");
    },
  },
];
