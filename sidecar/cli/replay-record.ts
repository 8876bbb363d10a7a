// The lines that `weir replay` reads: one recorded request each, as JSON. From access logs, or from events that carry bodies.
//
//   time      RFC 3339 with an offset ("2026-01-05T10:00:00.120Z"), or an integer, milliseconds since the epoch. Required.
//   method    default POST
//   path      with its query; default /v1/chat/completions
//   headers   an object of those that matter; content-type is application/json unless told. Keys do not belong here:
//   key_sha256   the SHA-256 of the caller's key, 64 hexadecimal digits; or
//   subject   who called, "acme/search/key-7"; `tier` counts where the policy has no key of that subject. None of them: anonymous
//   address   the caller's, IPv4 or IPv6; default 203.0.113.1
//   body      the body as JSON, or as a string with its exact text; none: a request without one
//   verdict   what was said then: "ok", or a code such as "rate_limit_exceeded" (header x-weir-verdict)
//   status    the status that the caller got; of use without `verdict`, and as the upstream's answer when `verdict` is ok
//   usage     {"prompt_tokens","completion_tokens"}: what the answer used. Without it a request is charged what it reserved
//
// Other members are ignored.
import { isIP } from "node:net";
import { momentOf } from "../moment.ts";

export interface ReplayRecord {
  readonly line: number;
  readonly timeMs: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly keySha256?: string;
  readonly subject?: string;
  readonly tier?: string;
  readonly address: string;
  /** Exact text; undefined: none. */
  readonly body?: string;
  readonly verdict?: string;
  readonly status?: number;
  readonly usage?: { readonly prompt: number; readonly completion: number };
}

/** What is wrong with a line: `line N: member: value: expected …`. */
export class LineError extends Error {}

type Members = Record<string, unknown>;

const DIGEST = /^[0-9a-fA-F]{64}$/;
const METHOD = /^[A-Z]{1,16}$/;
const HEADER = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VERDICT = /^[a-z][a-z0-9_]*(;shadow=[a-z0-9_,]+)?$/;
const SUBJECT = /^(?=.{1,96}$)[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+){0,2}$/;
/** The last that the filter's clock, 64 bits of nanoseconds, can say: what is beyond was counted in microseconds. */
const TIME_MAX_MS = Number((2n ** 64n - 1n) / 1_000_000n);
const SHOWN_MAX = 60;
/** Where a key may stand by mistake: what is wrong there is not repeated. */
const SECRET = ["key_sha256", "headers"];

/** Reads one line. Throws LineError. */
export function parseRecord(text: string, line: number): ReplayRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LineError(`line ${line}: not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new LineError(`line ${line}: expected an object`);
  const members = value as Members;
  const wrong = (name: string, expected: string): never => {
    const shown = (JSON.stringify(members[name]) ?? "none").slice(0, SHOWN_MAX);
    const value = SECRET.includes(name) ? "" : `${shown}: `;
    throw new LineError(`line ${line}: ${name}: ${value}expected ${expected}`);
  };
  const matching = (name: string, pattern: RegExp, expected: string): string | undefined => {
    const found = members[name];
    if (found === undefined || found === null) return undefined;
    return typeof found === "string" && pattern.test(found) ? found : wrong(name, expected);
  };
  const address = matching("address", /./, "an IPv4 or IPv6 address");
  if (address !== undefined && isIP(address) === 0) wrong("address", "an IPv4 or IPv6 address");
  const optional = {
    keySha256: matching("key_sha256", DIGEST, "64 hexadecimal digits")?.toLowerCase(),
    subject: matching("subject", SUBJECT, "a subject such as acme/search/key-7"),
    tier: matching("tier", /./, "a tier's name"),
    body: bodyOf(members.body),
    verdict: matching("verdict", VERDICT, "ok or a code"),
    status: statusOf(members, wrong),
    usage: usageOf(members, wrong),
  };
  return {
    line,
    timeMs: timeOf(members, wrong),
    method: matching("method", METHOD, "a method in capitals") ?? "POST",
    path: matching("path", /^\/[!-~]*$/, "a path that begins with /") ?? "/v1/chat/completions",
    headers: headersOf(members, wrong),
    address: address ?? "203.0.113.1",
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, found]) => found !== undefined),
    ) as Partial<ReplayRecord>),
  };
}

type Wrong = (name: string, expected: string) => never;

function timeOf({ time }: Members, wrong: Wrong): number {
  const expected = "RFC 3339 with an offset, of a day that exists, or milliseconds since the epoch";
  const ms = typeof time === "string" ? momentOf(time) : time;
  const isTime = Number.isSafeInteger(ms) && (ms as number) > 0 && (ms as number) <= TIME_MAX_MS;
  return isTime ? (ms as number) : wrong("time", expected);
}

function headersOf({ headers = {} }: Members, wrong: Wrong): Record<string, string> {
  const expected = "an object of header names and texts";
  if (typeof headers !== "object" || headers === null || Array.isArray(headers))
    return wrong("headers", expected);
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!HEADER.test(name) || typeof value !== "string") return wrong("headers", expected);
    found[name.toLowerCase()] = value;
  }
  return found;
}

function bodyOf(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined;
  return typeof body === "string" ? body : JSON.stringify(body);
}

function statusOf({ status }: Members, wrong: Wrong): number | undefined {
  if (status === undefined || status === null) return undefined;
  const known = Number.isInteger(status) && (status as number) >= 100 && (status as number) <= 599;
  return known ? (status as number) : wrong("status", "100 to 599");
}

function usageOf({ usage }: Members, wrong: Wrong): ReplayRecord["usage"] {
  if (usage === undefined || usage === null) return undefined;
  const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = usage as Record<string, number>;
  const counts = [prompt, completion].every((count) => Number.isSafeInteger(count) && count >= 0);
  return typeof usage === "object" && counts
    ? { prompt, completion }
    : wrong("usage", "an object of prompt_tokens and completion_tokens");
}
