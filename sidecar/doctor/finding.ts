/**
 * What `weir doctor` finds: one finding a check, each with what was seen and, if it is not well, what to do about it.
 */

/** `warn`: it works, but not as it should; `fail`: something does not work, or nothing stands in its way. */
export type Level = "ok" | "warn" | "fail";

export interface Finding {
  /** PART.WHAT, stable. */
  readonly check: string;
  readonly level: Level;
  readonly text: string;
  /** What to do; with every warning and failure. */
  readonly fix?: string;
}

export const ok = (check: string, text: string): Finding => ({ check, level: "ok", text });
export const warn = (check: string, text: string, fix: string): Finding => ({
  check,
  level: "warn",
  text,
  fix,
});
export const fail = (check: string, text: string, fix: string): Finding => ({
  check,
  level: "fail",
  text,
  fix,
});

/** An answer, or why there is none, in words. */
export type Asked =
  | {
      readonly response: Response;
      readonly text: string;
      /** By the clock here, in milliseconds since 1970: when it was asked, and when the answer began. */
      readonly askedMs: number;
      readonly answeredMs: number;
      readonly failure?: undefined;
    }
  | { readonly failure: string; readonly timedOut: boolean };

const NETWORK: Record<string, string> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "the name does not resolve",
  EAI_AGAIN: "the name does not resolve",
  ECONNRESET: "the connection was closed",
  UND_ERR_SOCKET: "the connection was closed",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  CERT_HAS_EXPIRED: "its certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "its certificate is not trusted (NODE_EXTRA_CA_CERTS names a file of authorities)",
  SELF_SIGNED_CERT_IN_CHAIN:
    "its certificate is not trusted (NODE_EXTRA_CA_CERTS names a file of authorities)",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate is not trusted (NODE_EXTRA_CA_CERTS names a file of authorities)",
};

/** Asks by HTTP and reads the whole answer within `timeoutMs`. Never throws. */
export async function ask(url: string, timeoutMs: number, options: RequestInit = {}): Promise<Asked> {
  const askedMs = Date.now();
  try {
    const response = await fetch(url, {
      ...options,
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "manual",
    });
    const answeredMs = Date.now();
    return { response, text: await response.text(), askedMs, answeredMs };
  } catch (thrown) {
    const { name, message, cause } = thrown as Error & { cause?: { code?: string; message?: string } };
    if (name === "TimeoutError") return { failure: `no answer within ${timeoutMs} ms`, timedOut: true };
    const code = cause?.code ?? "";
    return { failure: NETWORK[code] ?? cause?.message ?? message, timedOut: false };
  }
}

/** A clock that is further off than this can matter: keys' validity is to the second, and the header has only seconds. */
const CLOCK_SECONDS_MAX = 3;

/** The Date header has whole seconds: the answer was made within this time from then. */
const DATE_MS = 1_000;

/**
 * Compares our clock with the Date of an answer; undefined without one. An answer was made between asking and its coming,
 * however long that took: only what lies outside is the clocks' difference.
 */
export function clockFinding(check: string, whose: string, asked: Asked): Finding | undefined {
  if (asked.failure !== undefined) return undefined;
  const { response, askedMs, answeredMs } = asked;
  const told = Date.parse(response.headers.get("date") ?? "");
  if (Number.isNaN(told)) return undefined;
  const ahead = Math.round((told - answeredMs) / 1_000);
  const behind = Math.round((askedMs - told - DATE_MS) / 1_000);
  if (Math.max(ahead, behind) <= CLOCK_SECONDS_MAX) return ok(check, `${whose} has our time`);
  return warn(
    check,
    `${whose} is ${ahead > 0 ? `${ahead} s ahead of` : `${behind} s behind`} the clock here`,
    "synchronise the clocks (NTP): budgets do not depend on them, but expires and not_before of keys do",
  );
}
