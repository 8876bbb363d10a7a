// What the subcommands share in how they are called: the error for a wrong call, what arguments must look like, the files that
// they name, and output. Each message is `what: value: expected`.
import { fstatSync, readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { systemReason, WeirError } from "../errors.ts";
import { utf8Of } from "../utf8.ts";

/** Called wrongly: shown with the command's usage, and exit status 2. */
export class UsageError extends Error {}

/** Of an option that is given twice node:util would take the last, without a word. */
export function onceEach(args: readonly string[], repeatable: readonly string[] = []): void {
  const names = args.filter((arg) => /^--./.test(arg)).map((arg) => arg.replace(/=.*/s, ""));
  const twice = names.find((name, i) => names.indexOf(name) < i && !repeatable.includes(name));
  if (twice) throw new UsageError(`${twice}: given twice: expected once`);
}

/** A variable of a script that is not set must not stand for what there is without the option: a key that never expires, another ledger. */
export function noneEmpty(args: readonly string[]): void {
  const at = args.findIndex((arg) => arg === "" || /^--[^=]+=$/.test(arg));
  if (at < 0) return;
  const before = args[at - 1] ?? "";
  const name = args[at] || (before.startsWith("--") ? before : `argument ${at + 1}`);
  throw new UsageError(`${name.replace(/=$/, "")}: nothing: expected a value`);
}

/** A whole number given as text. */
export function integerOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`${name}: ${text}: expected an integer, ${min} to ${max}`);
  return value;
}

/** `HOST:PORT`, where HOST may be an IPv6 address in brackets. */
export function authorityOf(name: string, text: string): string {
  const port = Number(/^(?:[\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(text)?.[1]);
  if (port >= 1 && port <= 65_535) return text;
  // As of a URL: what may be a password is not repeated.
  if (text.includes("@")) throw new UsageError(`${name}: expected HOST:PORT, without user and password`);
  throw new UsageError(`${name}: ${text}: expected HOST:PORT`);
}

/** A base URL, without the slash at its end. */
export function baseUrlOf(name: string, text: string): string {
  const url = /^https?:\/\/./.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  // What may be a password is not repeated, nor is one that leaves no URL, as with a `/` in it.
  if (url ? url.username + url.password !== "" : text.includes("@"))
    throw new UsageError(`${name}: expected http://HOST:PORT or https://…, without user and password`);
  if (!url) throw new UsageError(`${name}: ${text}: expected http://HOST:PORT or https://…`);
  // A path after it would be part of the query, in which some APIs have their keys.
  if (/[?#]/.test(text))
    throw new UsageError(`${name}: expected http://HOST:PORT or https://…, without a query or fragment`);
  return text.replace(/\/+$/, "");
}

/**
 * A key or token in the environment, as it is in a header: one out of a file may end with its line. Empty: none. What no
 * header can have is refused here, where it is not repeated.
 */
export function secretOf(variable: string): string {
  const secret = (process.env[variable] ?? "").trim();
  if (!/^[ -~]*$/.test(secret))
    throw new WeirError("invalid_argument", `${variable}: expected one line of printable ASCII characters`);
  return secret;
}

/** For a file that the operating system does not give. */
export function unreadable(file: string, thrown: unknown): WeirError {
  return new WeirError("invalid_argument", `${file}: cannot be read: ${systemReason(thrown)}`, thrown);
}

/** The text of `file`, of whose name `source` is read. Throws WeirError where it cannot be read, or is not in UTF-8. */
export function textOf(file: string, source: string | 0 = file): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(source);
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  return utf8Of(bytes, file);
}

/** Standard input. Node reads a directory as if nothing was in it. */
export function pipedInput(): Readable {
  if (fstatSync(0).isDirectory())
    throw new WeirError(
      "invalid_argument",
      "standard input: EISDIR: is a directory: expected a file or a pipe",
    );
  return process.stdin;
}

/**
 * Standard output of a command in a pipe. Whoever reads no further, as `| head` does, has what they wanted: the command ends
 * without a word. What cannot be written for another reason, as to a full disk, is told.
 */
export function pipedOutput(): NodeJS.WriteStream {
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit();
    console.error(`weir: standard output: ${systemReason(error)}`);
    process.exit(1);
  });
  return process.stdout;
}

/** For what serves others: it does not end because whoever read its log has. */
export function runsUnread(): void {
  process.stdout.removeAllListeners("error").on("error", () => undefined);
}
