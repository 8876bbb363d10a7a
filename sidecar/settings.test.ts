/** The sidecar's settings: defaults, the environment, and refusals that name path, value and expectation. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeSettings, type Settings, settingsFromEnvironment } from "./settings.ts";

const refusal = (given: Partial<Settings>, message: string) => () =>
  assert.throws(() => makeSettings(given), { name: "WeirError", code: "invalid_argument", message });

const REDIS_URL =
  "expected redis://host:port or rediss://host:port, or user:password@host:port with both percent-encoded";

describe("the settings", () => {
  it("are an embedded ledger on the loopback address without anything given, and the admin service is off", () => {
    const { host, port, ledger, adminToken } = settingsFromEnvironment({});
    assert.deepEqual([host, port, adminToken], ["127.0.0.1", 8081, ""]);
    assert.deepEqual(ledger, { kind: "embedded", directory: ".weir/ledger" });
  });

  it("come from the environment", () => {
    const settings = settingsFromEnvironment({
      WEIR_SIDECAR_HOST: "0.0.0.0",
      WEIR_SIDECAR_PORT: "9000",
      WEIR_LEDGER_DIRECTORY: "/data",
      WEIR_ADMIN_TOKEN: "0123456789abcdef",
    });
    const { host, port, ledger, adminToken } = settings;
    assert.deepEqual([host, port, adminToken], ["0.0.0.0", 9_000, "0123456789abcdef"]);
    assert.deepEqual(ledger, { kind: "embedded", directory: "/data" });
  });

  it("take one Redis, and several or a word for a cluster", () => {
    const redis = (url: string, more = {}) =>
      settingsFromEnvironment({ WEIR_REDIS_URL: url, ...more }).ledger;
    const [a, b] = ["redis://a:1", "rediss://b:2"];
    assert.deepEqual(redis(a), { kind: "redis", urls: [a], cluster: false });
    assert.deepEqual(redis(`${a},${b}`), { kind: "redis", urls: [a, b], cluster: true });
    assert.deepEqual(redis(a, { WEIR_REDIS_CLUSTER: "1" }), { kind: "redis", urls: [a], cluster: true });
  });

  it("refuse a switch that is neither on nor off: a cluster with `true` was none", () => {
    const env = { WEIR_REDIS_URL: "redis://a:1", WEIR_REDIS_CLUSTER: "true" };
    const said = /^WeirError: WEIR_REDIS_CLUSTER: true: expected 1 or 0/;
    assert.throws(() => settingsFromEnvironment(env), said);
  });

  it("cannot be changed afterwards", () => {
    const settings = makeSettings();
    assert.ok(Object.isFrozen(settings) && Object.isFrozen(settings.ledger));
  });

  it("refuse a port that is none", refusal({ port: 65_536 }, "port: 65536: expected an integer, 0 to 65535"));
  it("refuse a port that is a word", () =>
    assert.throws(
      () => settingsFromEnvironment({ WEIR_SIDECAR_PORT: "http" }),
      /^WeirError: WEIR_SIDECAR_PORT: http: expected an integer, 0 to 65535/,
    ));
  it(
    "refuse messages that are not bounded well",
    refusal({ requestBytesMax: 10 }, "requestBytesMax: 10: expected an integer, 1024 to 67108864"),
  );
  it("refuse no address", refusal({ host: "" }, "host: empty: expected an address"));
  it(
    "refuse no directory",
    refusal({ ledger: { kind: "embedded", directory: "" } }, "ledger.directory: empty: expected a path"),
  );
  it(
    "refuse a Redis URL without repeating it, for it may hold a password",
    refusal(
      { ledger: { kind: "redis", urls: ["http://u:secret@h"], cluster: false } },
      `ledger.urls: ${REDIS_URL}`,
    ),
  );
  it(
    "refuse a Redis without any URL",
    refusal(
      { ledger: { kind: "redis", urls: [], cluster: false } },
      "ledger.urls: none: expected at least one",
    ),
  );
  it(
    "refuse a short admin token without repeating it",
    refusal({ adminToken: "secret" }, "adminToken: expected 16 to 256 printable ASCII characters, no spaces"),
  );

  it("take where events go from the environment, with OpenTelemetry's own variables", () => {
    const { events } = settingsFromEnvironment({
      WEIR_EVENTS_FILE: "-",
      WEIR_EVENTS_KEY: "0123456789abcdef",
      WEIR_WEBHOOK_URL: "https://example.com/hook",
      WEIR_WEBHOOK_SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZg==",
      WEIR_MODERATION_ALLOW: "openai=https://api.openai.com/v1/moderations, http://guard:8000/?a=b",
      WEIR_MODERATION_KEY_OPENAI: "key",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/",
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://logs:4318/own",
      OTEL_EXPORTER_OTLP_HEADERS: "api-key=a%20b, x-team = search",
      OTEL_EXPORTER_OTLP_TIMEOUT: "500",
      OTEL_SERVICE_NAME: "gateway",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=prod,service.name=other",
    });
    assert.deepEqual(events, {
      file: "-",
      pseudonymKey: "0123456789abcdef",
      webhook: { url: "https://example.com/hook", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZg==" },
      moderators: [
        { name: "openai", url: "https://api.openai.com/v1/moderations", key: "key" },
        { name: "", url: "http://guard:8000/?a=b", key: "" },
      ],
      otlp: {
        tracesUrl: "http://collector:4318/v1/traces",
        logsUrl: "http://logs:4318/own",
        headers: { "api-key": "a b", "x-team": "search" },
        timeoutMs: 500,
        resource: { "service.name": "gateway", "deployment.environment.name": "prod" },
      },
    });
    const off = settingsFromEnvironment({
      OTEL_SDK_DISABLED: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://c",
    });
    assert.equal(off.events.otlp.tracesUrl, "");
  });

  for (const [what, env, message] of [
    [
      "another protocol than is spoken",
      { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" },
      "OTEL_EXPORTER_OTLP_PROTOCOL: grpc: expected http/protobuf",
    ],
    [
      "a webhook without a secret",
      { WEIR_WEBHOOK_URL: "https://example.com" },
      "WEIR_WEBHOOK_URL and WEIR_WEBHOOK_SECRET: expected a URL and a secret, or neither",
    ],
    [
      "a short secret, without repeating it",
      { WEIR_WEBHOOK_URL: "https://example.com", WEIR_WEBHOOK_SECRET: "short" },
      "WEIR_WEBHOOK_SECRET: expected 16 to 256 printable ASCII characters, no spaces",
    ],
    [
      "a URL that is none, without repeating it",
      { WEIR_WEBHOOK_URL: "ftp://user:password@host", WEIR_WEBHOOK_SECRET: "0123456789abcdef" },
      "WEIR_WEBHOOK_URL: expected http://… or https://…",
    ],
    [
      "a webhook with a password in its URL, without repeating it",
      { WEIR_WEBHOOK_URL: "https://user:password@host/", WEIR_WEBHOOK_SECRET: "0123456789abcdef" },
      "WEIR_WEBHOOK_URL: expected http://… or https://… without user",
    ],
    [
      "a moderator with a password in its URL, without repeating it",
      { WEIR_MODERATION_ALLOW: "https://:password@host/" },
      "WEIR_MODERATION_ALLOW: expected http://… or https://… of at most 256 characters, without user or fragment",
    ],
    [
      "a moderator whose key is not there",
      { WEIR_MODERATION_ALLOW: "openai=https://api.openai.com/v1/moderations" },
      "WEIR_MODERATION_ALLOW: expected the key of printable ASCII in WEIR_MODERATION_KEY_OPENAI",
    ],
    [
      "a moderator with a name that no policy can have",
      { WEIR_MODERATION_ALLOW: "Open-AI=https://api.openai.com/v1/moderations" },
      'WEIR_MODERATION_ALLOW: expected at most 32 lower-case letters, digits and "_"',
    ],
    [
      "a short admin token",
      { WEIR_ADMIN_TOKEN: "secret" },
      "WEIR_ADMIN_TOKEN: expected 16 to 256 printable ASCII characters, no spaces",
    ],
    ["a Redis URL that is none", { WEIR_REDIS_URL: "http://u:secret@h" }, `WEIR_REDIS_URL: ${REDIS_URL}`],
    [
      "a Redis URL with a password as it is, and not percent-encoded",
      { WEIR_REDIS_URL: "redis://weir:50%off@h" },
      `WEIR_REDIS_URL: ${REDIS_URL}`,
    ],
    [
      "a Redis URL with a database that is no number",
      { WEIR_REDIS_URL: "redis://h/books" },
      `WEIR_REDIS_URL: ${REDIS_URL}`,
    ],
    [
      "a collector's base URL that is none",
      { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" },
      "OTEL_EXPORTER_OTLP_ENDPOINT: expected http://… or https://…",
    ],
    [
      "a whole URL of logs that is none",
      { OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "c:4318" },
      "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: expected http://… or https://…",
    ],
    [
      "headers that are none, without repeating them",
      { OTEL_EXPORTER_OTLP_HEADERS: "authorization secret" },
      "OTEL_EXPORTER_OTLP_HEADERS: expected name=value, several separated by commas",
    ],
  ] as const)
    it(`refuse ${what}`, () =>
      assert.throws(() => settingsFromEnvironment(env), { code: "invalid_argument", message }));
});
