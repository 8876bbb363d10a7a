/**
 * The sidecar's one error class. Callers see `code` and `message`; `cause` is for the log and never leaves the process,
 * because it may carry addresses, keys or other people's data.
 */

/** Closed on purpose: each maps to one status of the protocol and one exit of the command line. */
export type ErrorCode =
  | "invalid_argument" // the caller's fault; repeating it will not help
  | "conflict" // the same idempotency key with another meaning
  | "unavailable" // a store or peer is away; repeat with back-off
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
