/**
 * Where events go. Every part is off until it is named; the service itself always answers, so that edges do not keep
 * events that nobody wants.
 */
import { WeirError } from "../errors.ts";
import type { OtlpSettings } from "../otel/otlp.ts";

export interface EventsSettings {
  /** JSON lines: a path, or "-" for stdout. Empty: none. */
  readonly file: string;
  /** Makes pseudonyms that outlive the process. Empty: a random one. */
  readonly pseudonymKey: string;
  /** Both or neither. */
  readonly webhook: { readonly url: string; readonly secret: string };
  /** Of an API in OpenAI's shape; empty: none. Needs texts, so `events.text` in the policy. */
  readonly moderation: { readonly url: string; readonly key: string; readonly model: string };
  readonly otlp: OtlpSettings;
}

export const EVENTS_DEFAULTS: EventsSettings = {
  file: "",
  pseudonymKey: "",
  webhook: { url: "", secret: "" },
  moderation: { url: "", key: "", model: "omni-moderation-latest" },
  otlp: { tracesUrl: "", logsUrl: "", headers: {}, timeoutMs: 10_000, resource: { "service.name": "weir" } },
};

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

function checkSecret(path: string, secret: string): void {
  if (secret !== "" && !SECRET.test(secret)) refuse(path, "16 to 256 printable ASCII characters, no spaces");
}

/** Throws WeirError `invalid_argument` with the path and what was expected. */
export function checkEvents(events: EventsSettings): void {
  const { webhook, moderation, otlp } = events;
  checkSecret("events.pseudonymKey", events.pseudonymKey);
  checkUrl("events.webhook.url", webhook.url);
  checkSecret("events.webhook.secret", webhook.secret);
  if ((webhook.url === "") !== (webhook.secret === ""))
    refuse("events.webhook", "a URL and a secret, or neither");
  checkUrl("events.moderation.url", moderation.url);
  if (moderation.url !== "" && moderation.model === "")
    refuse("events.moderation.model", "the name of a model");
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
