/**
 * The sidecar's one error class. Callers see `code` and `message`; `cause` is for the log and never leaves the process,
 * because it may carry addresses, keys or other people's data.
 */
import { getSystemErrorMap } from "node:util";

/** Closed on purpose: each maps to one status of the protocol and one exit of the command line. */
export type ErrorCode =
  | "invalid_argument" // the caller's fault; repeating it will not help
  | "conflict" // the same idempotency key with another meaning
  | "unavailable" // a store or peer is away, and may have done it all the same; repeat with back-off
  | "refused" // a store answered and did nothing; repeat when it is mended
  | "resource_exhausted" // a bound of ours
  | "internal"; // ours

export class WeirError extends Error {
  override readonly name = "WeirError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  /** Anything thrown becomes a WeirError; what is not one already is hidden behind `internal`. */
  static from(thrown: unknown): WeirError {
    return thrown instanceof WeirError ? thrown : new WeirError("internal", "internal error", thrown);
  }
}

/** Why another place could not be reached: what `fetch` says, and what it found, which alone tells a wrong port from a wrong certificate. */
export function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return "failed";
  // Of an address with several forms, what was wrong with the first.
  const cause = thrown.cause instanceof AggregateError ? thrown.cause.errors[0] : thrown.cause;
  return cause === undefined ? thrown.message : `${thrown.message}: ${systemReason(cause)}`;
}

/** Why the operating system refused, in its words: "ENOENT: no such file or directory". */
export function systemReason(thrown: unknown): string {
  const { errno = 0, code } = (thrown ?? {}) as { errno?: number; code?: unknown };
  const [name, words] = getSystemErrorMap().get(errno) ?? [];
  // zlib has numbers of its own, which would be taken for others' reasons.
  if (name !== undefined && !String(code).startsWith("Z_")) return `${name}: ${words}`;
  return thrown instanceof Error ? thrown.message : String(thrown);
}
