// Usage as CSV, one record a line: what `weir analyze` reads. The first line names the columns, in any order; other
// columns are ignored. Names in brackets mean the same.
//
//   time (timestamp, ts)   RFC 3339, "YYYY-MM-DD hh:mm:ss" in UTC, or seconds or milliseconds since the epoch. Required.
//   address (ip, client_ip, remote_address)
//   key (key_id, key_sha256, api_key_id)      an identifier of the key, never the key
//   subject            "acme/search/key-7": its first part is the organisation, and it is the key where there is no such column
//   organisation (organization, org)
//   requests (count)   1 unless told: a line is one request, or the sum of several
//   tokens (total_tokens)   or prompt_tokens and completion_tokens, which add up
//   cost (cost_usd)    dollars
//
// At least one of address, key, subject and organisation must be there.
import { CsvError, fieldsOf } from "../csv.ts";
import type { UsageRow } from "../detect/detector.ts";
import { WeirError } from "../errors.ts";
import { momentOf } from "../moment.ts";

const NAMES: Readonly<Record<string, readonly string[]>> = {
  time: ["time", "timestamp", "ts"],
  address: ["address", "ip", "client_ip", "remote_address"],
  key: ["key", "key_id", "key_sha256", "api_key_id"],
  subject: ["subject"],
  organisation: ["organisation", "organization", "org"],
  requests: ["requests", "count"],
  tokens: ["tokens", "total_tokens"],
  prompt: ["prompt_tokens"],
  completion: ["completion_tokens"],
  cost: ["cost", "cost_usd"],
};
const WHO = ["address", "key", "subject", "organisation"];
const NAME_MAX = 256;

/** Reads the lines below a header. */
export class UsageCsv {
  readonly #at = new Map<string, number>();
  readonly #columns: number;

  /** Throws WeirError `invalid_argument` when the header lacks what is needed. */
  constructor(header: string) {
    const columns = fieldsOf(header).map((name) => name.trim().toLowerCase());
    this.#columns = columns.length;
    for (const [name, names] of Object.entries(NAMES)) {
      const at = columns.findIndex((column) => names.includes(column));
      if (at >= 0) this.#at.set(name, at);
    }
    if (!this.#at.has("time") || !WHO.some((name) => this.#at.has(name)))
      throw new WeirError(
        "invalid_argument",
        `line 1: ${columns.join(",").slice(0, 100)}: expected the names of columns: time, and one of ${WHO.join(", ")}`,
      );
  }

  /** Reads a line. Throws CsvError: `column: value: expected …`. */
  row(line: string): UsageRow {
    const fields = fieldsOf(line);
    if (fields.length !== this.#columns)
      throw new CsvError(`${fields.length} fields: expected ${this.#columns}`);
    const text = (name: string) => (fields[this.#at.get(name) ?? -1] ?? "").trim();
    const subject = text("subject");
    const who = {
      address: text("address"),
      key: text("key") || subject,
      organisation: text("organisation") || (subject.split("/", 1)[0] ?? ""),
    };
    for (const [name, value] of Object.entries(who))
      if (value.length > NAME_MAX || value.includes("\0"))
        throw new CsvError(`${name}: ${value.slice(0, 40)}…: expected at most ${NAME_MAX} characters`);
    const parts =
      amountOf(text("prompt"), "prompt_tokens") + amountOf(text("completion"), "completion_tokens");
    return {
      timeMs: timeOf(text("time")),
      ...who,
      requests: text("requests") === "" ? 1 : amountOf(text("requests"), "requests"),
      tokens: text("tokens") === "" ? parts : amountOf(text("tokens"), "tokens"),
      cost: amountOf(text("cost").replace(/^\$/, ""), "cost"),
    };
  }
}

function amountOf(text: string, name: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0 || value > Number.MAX_SAFE_INTEGER)
    throw new CsvError(`${name}: ${text}: expected a number, not negative`);
  return value;
}

const MILLISECONDS_MIN = 1e11;
/** The last instant that a Date can be. */
const MILLISECONDS_MAX = 8.64e15;

function timeOf(text: string): number {
  const expected = () =>
    new CsvError(
      `time: ${text}: expected RFC 3339 of a day that exists, or seconds or milliseconds since the epoch`,
    );
  if (/^\d+(\.\d+)?$/.test(text)) {
    const value = Number(text);
    if (value <= 0 || value > MILLISECONDS_MAX) throw expected();
    return value < MILLISECONDS_MIN ? value * 1000 : value;
  }
  const iso = text.replace(" ", "T");
  const ms = momentOf(iso) ?? momentOf(`${iso}Z`);
  if (ms === undefined) throw expected();
  return ms;
}
