/**
 * Where events go. Every part is off until it is named; the service itself always answers, so that edges do not keep
 * events that nobody wants.
 */
import { WeirError } from "../errors.ts";
import type { OtlpSettings } from "../otel/otlp.ts";
import type { AllowedModerator } from "./moderators.ts";

export interface EventsSettings {
  /** JSON lines: a path, or "-" for stdout. Empty: none. */
  readonly file: string;
  /** Makes pseudonyms that outlive the process. Empty: a random one. */
  readonly pseudonymKey: string;
  /** Both or neither. */
  readonly webhook: { readonly url: string; readonly secret: string };
  /** The moderators that policies may name, in OpenAI's shape. */
  readonly moderators: readonly AllowedModerator[];
  readonly otlp: OtlpSettings;
}

export const EVENTS_DEFAULTS: EventsSettings = {
  file: "",
  pseudonymKey: "",
  webhook: { url: "", secret: "" },
  moderators: [],
  otlp: { tracesUrl: "", logsUrl: "", headers: {}, timeoutMs: 10_000, resource: { "service.name": "weir" } },
};

const MODERATORS_MAX = 16;
const MODERATOR_NAME = /^[a-z][a-z0-9_]{0,31}$/;
/** Short secrets can be guessed from what they sign. */
const SECRET = /^[!-~]{16,256}$/;

function refuse(path: string, expected: string): never {
  throw new WeirError("invalid_argument", `${path}: expected ${expected}`);
}

/** Values may hold passwords and keys: none is repeated. */
function checkUrl(path: string, url: string): void {
  if (url === "") return;
  const protocol = URL.canParse(url) ? new URL(url).protocol : "";
  if (protocol !== "http:" && protocol !== "https:") refuse(path, "http://… or https://…");
}

/** `fetch` takes no URL with one, and repeats all of it when it says so. */
const hasUser = ({ username, password }: URL): boolean => username + password !== "";

function checkSecret(path: string, secret: string): void {
  if (secret !== "" && !SECRET.test(secret)) refuse(path, "16 to 256 printable ASCII characters, no spaces");
}

/** A key is sent as a header, and is asked for by name. */
function checkModerator(name: string, url: string, key: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isPlain = parsed && /^https?:$/.test(parsed.protocol) && !hasUser(parsed) && parsed.hash === "";
  if (!isPlain || url.length > 256)
    refuse(
      "events.moderators.url",
      "http://… or https://… of at most 256 characters, without user or fragment",
    );
  if (name !== "" && !MODERATOR_NAME.test(name))
    refuse("events.moderators.name", 'at most 32 lower-case letters, digits and "_"');
  if ((name === "") !== (key === "") || !/^[!-~]*$/.test(key))
    refuse(
      "events.moderators.key",
      name === "" ? "none without a name" : `the key of printable ASCII in ${moderatorVariable(name)}`,
    );
}

/** Where the environment has the key of a moderator. */
export const moderatorVariable = (name: string): string => `WEIR_MODERATION_KEY_${name.toUpperCase()}`;

/** "URL" or "NAME=URL", several with commas; `keyOf` knows the key of a name. */
export function parseModerators(text: string, keyOf: (name: string) => string): AllowedModerator[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [, name = "", url = entry] = /^([^=/]*)=(.*)$/.exec(entry) ?? [];
      return { name, url, key: name === "" ? "" : keyOf(name) };
    });
}

/** Throws WeirError `invalid_argument` with the path and what was expected. */
export function checkEvents(events: EventsSettings): void {
  const { webhook, moderators, otlp } = events;
  checkSecret("events.pseudonymKey", events.pseudonymKey);
  checkUrl("events.webhook.url", webhook.url);
  if (webhook.url !== "" && hasUser(new URL(webhook.url)))
    refuse("events.webhook.url", "http://… or https://… without user");
  checkSecret("events.webhook.secret", webhook.secret);
  if ((webhook.url === "") !== (webhook.secret === ""))
    refuse("events.webhook", "a URL and a secret, or neither");
  if (moderators.length > MODERATORS_MAX) refuse("events.moderators", `at most ${MODERATORS_MAX}`);
  for (const { name, url, key } of moderators) checkModerator(name, url, key);
  checkUrl("events.otlp.tracesUrl", otlp.tracesUrl);
  checkUrl("events.otlp.logsUrl", otlp.logsUrl);
  for (const [name, value] of Object.entries(otlp.headers))
    if (!/^[!#-'*+.^_`|~\w-]+$/.test(name) || !/^[ -~]*$/.test(value))
      refuse("events.otlp.headers", "name=value, several separated by commas");
  if (!Number.isInteger(otlp.timeoutMs) || otlp.timeoutMs < 1 || otlp.timeoutMs > 600_000)
    refuse("events.otlp.timeoutMs", "an integer, 1 to 600000");
}

/** "name=value,name=value" with percent-encoded values, as OpenTelemetry's variables have it. */
export function parsePairs(path: string, text: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const pair of text.split(",")) {
    if (pair.trim() === "") continue;
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(at, 0)).trim();
    if (name === "") refuse(path, "name=value, several separated by commas");
    try {
      pairs[name] = decodeURIComponent(pair.slice(at + 1).trim());
    } catch {
      refuse(path, "values in percent-encoding");
    }
  }
  return pairs;
}
