/**
 * The sidecar's settings: one immutable typed object, made once and checked at start. Nothing else reads the environment.
 */
import { WeirError } from "./errors.ts";
import {
  checkEvents,
  EVENTS_DEFAULTS,
  type EventsSettings,
  moderatorVariable,
  parseModerators,
  parsePairs,
} from "./events/settings.ts";

export type LedgerSettings =
  | { readonly kind: "embedded"; readonly directory: string }
  /** Any node of one cluster is enough; several let the start survive the loss of one. */
  | { readonly kind: "redis"; readonly urls: readonly string[]; readonly cluster: boolean };

export interface Settings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly ledger: LedgerSettings;
  /** Where events of requests go. */
  readonly events: EventsSettings;
  /** Opens the admin service to those who show it. Empty: the service is off. */
  readonly adminToken: string;
  /** The largest request message, and the largest body of any other route. */
  readonly requestBytesMax: number;
  readonly connectionsMax: number;
  /** How often dead leases and notices that nobody told are looked for; where the last look found none, every 12th time. */
  readonly sweepIntervalMs: number;
  /** How long a stop waits for requests under way. */
  readonly stopGraceMs: number;
}

const DEFAULTS: Settings = {
  host: "127.0.0.1",
  port: 8081,
  ledger: { kind: "embedded", directory: ".weir/ledger" },
  events: EVENTS_DEFAULTS,
  adminToken: "",
  requestBytesMax: 1 << 20,
  connectionsMax: 4_096,
  sweepIntervalMs: 5_000,
  stopGraceMs: 10_000,
};

/** Short ones can be guessed over the network. */
const ADMIN_TOKEN = /^[!-~]{16,256}$/;

function integer(path: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new WeirError("invalid_argument", `${path}: ${value}: expected an integer, ${min} to ${max}`);
}

function isRedisUrl(text: string): boolean {
  try {
    const { protocol, username, password, pathname } = new URL(text);
    decodeURIComponent(username + password);
    return /^rediss?:$/.test(protocol) && /^\/?\d*$/.test(pathname);
  } catch {
    return false;
  }
}

function checkRedisUrl(url: string): void {
  // The URL may carry a password: it is not repeated.
  if (!isRedisUrl(url))
    throw new WeirError(
      "invalid_argument",
      "ledger.urls: expected redis://host:port or rediss://host:port, or user:password@host:port with both percent-encoded",
    );
}

/** Defaults for what is not given. Throws WeirError `invalid_argument` with path, value and expectation. */
export function makeSettings(given: Partial<Settings> = {}): Settings {
  const settings: Settings = { ...DEFAULTS, ...given };
  integer("port", settings.port, 0, 65_535);
  integer("requestBytesMax", settings.requestBytesMax, 1_024, 1 << 26);
  integer("connectionsMax", settings.connectionsMax, 1, 1 << 16);
  integer("sweepIntervalMs", settings.sweepIntervalMs, 100, 3_600_000);
  integer("stopGraceMs", settings.stopGraceMs, 0, 600_000);
  if (settings.host === "") throw new WeirError("invalid_argument", "host: empty: expected an address");
  // The token itself is not repeated.
  if (settings.adminToken !== "" && !ADMIN_TOKEN.test(settings.adminToken))
    throw new WeirError(
      "invalid_argument",
      "adminToken: expected 16 to 256 printable ASCII characters, no spaces",
    );
  checkEvents(settings.events);
  const { ledger } = settings;
  if (ledger.kind === "redis") {
    if (ledger.urls.length === 0)
      throw new WeirError("invalid_argument", "ledger.urls: none: expected at least one");
    ledger.urls.forEach(checkRedisUrl);
  } else if (ledger.directory === "") {
    throw new WeirError("invalid_argument", "ledger.directory: empty: expected a path");
  }
  return Object.freeze({
    ...settings,
    ledger: Object.freeze({ ...ledger }),
    events: Object.freeze({ ...settings.events }),
  });
}

type Environment = Readonly<Record<string, string | undefined>>;

/** OpenTelemetry's own variables, as its specification has them: a signal's endpoint is whole, the common one a base. */
function otlpFromEnvironment(env: Environment): EventsSettings["otlp"] {
  const { otlp } = EVENTS_DEFAULTS;
  if (env.OTEL_SDK_DISABLED === "true") return otlp;
  const protocol = env.OTEL_EXPORTER_OTLP_PROTOCOL || "http/protobuf";
  if (protocol !== "http/protobuf")
    throw new WeirError(
      "invalid_argument",
      `OTEL_EXPORTER_OTLP_PROTOCOL: ${protocol}: expected http/protobuf`,
    );
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT ?? "";
  const under = (path: string): string => (base === "" ? "" : `${base.replace(/\/$/, "")}/${path}`);
  const resource = parsePairs("OTEL_RESOURCE_ATTRIBUTES", env.OTEL_RESOURCE_ATTRIBUTES ?? "");
  return {
    tracesUrl: env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || under("v1/traces"),
    logsUrl: env.OTEL_EXPORTER_OTLP_LOGS_ENDPOINT || under("v1/logs"),
    headers: parsePairs("OTEL_EXPORTER_OTLP_HEADERS", env.OTEL_EXPORTER_OTLP_HEADERS ?? ""),
    timeoutMs: Number(env.OTEL_EXPORTER_OTLP_TIMEOUT || otlp.timeoutMs),
    resource: {
      ...otlp.resource,
      ...resource,
      ...(env.OTEL_SERVICE_NAME && { "service.name": env.OTEL_SERVICE_NAME }),
    },
  };
}

/** A switch: `1`, or `0` or nothing. */
function isOn(variable: string, given: string | undefined): boolean {
  const value = given || "0";
  if (value !== "0" && value !== "1")
    throw new WeirError("invalid_argument", `${variable}: ${value}: expected 1 or 0`);
  return value === "1";
}

function eventsFromEnvironment(env: Environment): EventsSettings {
  const moderatorKey = (name: string): string => env[moderatorVariable(name)] ?? "";
  return {
    file: env.WEIR_EVENTS_FILE ?? "",
    pseudonymKey: env.WEIR_EVENTS_KEY ?? "",
    webhook: { url: env.WEIR_WEBHOOK_URL ?? "", secret: env.WEIR_WEBHOOK_SECRET ?? "" },
    moderators: parseModerators(env.WEIR_MODERATION_ALLOW ?? "", moderatorKey),
    otlp: otlpFromEnvironment(env),
  };
}

/** Where a setting that is checked comes from, for who has only seen the variable. */
function variableOf(path: string, env: Environment): string | undefined {
  const endpoint = (own: string) => (env[own] ? own : "OTEL_EXPORTER_OTLP_ENDPOINT");
  const variables: Readonly<Record<string, string>> = {
    host: "WEIR_SIDECAR_HOST",
    port: "WEIR_SIDECAR_PORT",
    adminToken: "WEIR_ADMIN_TOKEN",
    "ledger.urls": "WEIR_REDIS_URL",
    "events.pseudonymKey": "WEIR_EVENTS_KEY",
    "events.webhook": "WEIR_WEBHOOK_URL and WEIR_WEBHOOK_SECRET",
    "events.webhook.url": "WEIR_WEBHOOK_URL",
    "events.webhook.secret": "WEIR_WEBHOOK_SECRET",
    "events.moderators": "WEIR_MODERATION_ALLOW",
    "events.moderators.url": "WEIR_MODERATION_ALLOW",
    "events.moderators.name": "WEIR_MODERATION_ALLOW",
    "events.moderators.key": "WEIR_MODERATION_ALLOW",
    "events.otlp.tracesUrl": endpoint("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    "events.otlp.logsUrl": endpoint("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
    "events.otlp.headers": "OTEL_EXPORTER_OTLP_HEADERS",
    "events.otlp.timeoutMs": "OTEL_EXPORTER_OTLP_TIMEOUT",
  };
  return variables[path];
}

/** The same refusal with the name of the variable in place of the setting's path. */
function inVariables(thrown: unknown, env: Environment): unknown {
  if (!(thrown instanceof WeirError)) return thrown;
  const [path = "", ...rest] = thrown.message.split(": ");
  const variable = variableOf(path, env);
  if (variable === undefined) return thrown;
  // A text that is no number is shown as it was given.
  if (rest[0] === "NaN") rest[0] = env[variable] ?? "";
  return new WeirError(thrown.code, [variable, ...rest].join(": "), thrown);
}

/**
 * WEIR_SIDECAR_HOST, WEIR_SIDECAR_PORT, WEIR_REDIS_URL (one, or several with commas: then a cluster),
 * WEIR_REDIS_CLUSTER=1 (a cluster known by one URL), WEIR_LEDGER_DIRECTORY (embedded),
 * WEIR_ADMIN_TOKEN; and those of events: WEIR_EVENTS_*, WEIR_WEBHOOK_*, WEIR_MODERATION_*, OTEL_*.
 * Throws WeirError `invalid_argument` that names the variable.
 */
export function settingsFromEnvironment(env: Environment): Settings {
  const urls = (env.WEIR_REDIS_URL ?? "").split(",").filter((url) => url !== "");
  const cluster = urls.length > 1 || isOn("WEIR_REDIS_CLUSTER", env.WEIR_REDIS_CLUSTER);
  const ledger: LedgerSettings =
    urls.length > 0
      ? { kind: "redis", urls, cluster }
      : { kind: "embedded", directory: env.WEIR_LEDGER_DIRECTORY || ".weir/ledger" };
  const given = {
    ledger,
    events: eventsFromEnvironment(env),
    adminToken: env.WEIR_ADMIN_TOKEN ?? "",
    ...(env.WEIR_SIDECAR_HOST && { host: env.WEIR_SIDECAR_HOST }),
    ...(env.WEIR_SIDECAR_PORT && { port: Number(env.WEIR_SIDECAR_PORT) }),
  };
  try {
    return makeSettings(given);
  } catch (thrown) {
    throw inVariables(thrown, env);
  }
}
