// `weir ledger`: look at budgets and leases, correct them with a reason, take them out, compare them with a provider's bill.
// The ledger is the store itself (a directory nobody has open, or Redis) or a running sidecar's admin service.
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { WeirError } from "../errors.ts";
import { type Books, booksOf } from "../ledger/admin-books.ts";
import { openEmbedded } from "../ledger/embedded.ts";
import { openRedis } from "../ledger/redis/store.ts";
import { remoteBooks } from "../ledger/remote-books.ts";
import { type BudgetRecord, describeKey, organisationOf } from "../ledger/types.ts";
import { settingsFromEnvironment } from "../settings.ts";
import { compare } from "./ledger-compare.ts";
import { budgetText, journalText, leaseText, amount as shown, title } from "./ledger-text.ts";
import { baseUrlOf, secretOf, UsageError } from "./usage.ts";

export const USAGE = `usage: weir ledger show [SUBJECT]                          budgets, open leases and the journal, of one organisation or all
       weir ledger adjust BUDGET AMOUNT --reason TEXT      charges AMOUNT more; below zero gives back
       weir ledger reset BUDGET --reason TEXT              gives back all that is spent; open leases stay as they are
       weir ledger export [SUBJECT]                        one JSON object per line: budgets, leases, journal
       weir ledger reconcile FILE                          windows that have ended against a provider's usage CSV

BUDGET is a key as \`show\` prints it (in quotes), or SUBJECT NAME for the current window. A cost is in micro-dollars.

which ledger; the first that is given:
  --sidecar URL      a running sidecar, with the WEIR_ADMIN_TOKEN it was started with
  --redis URL        Redis itself; several with commas for a cluster
  --directory DIR    an embedded ledger whose sidecar is stopped
  without any: WEIR_REDIS_URL, else WEIR_LEDGER_DIRECTORY

adjust, reset:  --by NAME (your login)   --id ID (to repeat one whose answer was lost, within a day: it counts once)
reconcile:      --tolerance PERCENT (1)   --time-zone ZONE (UTC)   --class CLASS=MODEL,MODEL (repeatable; a budget's own
                list of models unless given; a star at a name's end stands for any rest)
                --export FILE  compare what \`weir ledger export\` wrote instead of the ledger
                CSV columns: date, subject, model, and any of requests, prompt_tokens, completion_tokens, tokens, cost (dollars)

exit status: 0 done, 1 refused, nothing found, or the books differ, 2 wrong usage`;

export const REPEATABLE = ["--class"];

const OPTIONS = {
  sidecar: { type: "string" },
  redis: { type: "string" },
  directory: { type: "string" },
  reason: { type: "string" },
  by: { type: "string" },
  id: { type: "string" },
  tolerance: { type: "string" },
  "time-zone": { type: "string" },
  class: { type: "string", multiple: true },
  export: { type: "string" },
} as const;

type Values = ReturnType<typeof parse>["values"];

function parse(args: string[]) {
  // An amount below zero looks like an option: everything that is one from its first digit on is none, but where an
  // option's value belongs, which would be taken from what follows.
  const isAmount = (arg: string, i: number) => /^-\d/.test(arg) && !/^--[^=]+$/.test(args[i - 1] ?? "");
  const [amounts, rest] = [args.filter(isAmount), args.filter((arg, i) => !isAmount(arg, i))];
  const { values, positionals } = parseArgs({ args: rest, options: OPTIONS, allowPositionals: true });
  return { values, positionals: [...positionals, ...amounts] };
}

/** The settings with the URL of --redis in the variable's place; where it is wrong the option is named. */
function settingsOfOption(environment: Parameters<typeof settingsFromEnvironment>[0]) {
  try {
    return settingsFromEnvironment(environment);
  } catch (thrown) {
    throw new UsageError(WeirError.from(thrown).message.replace(/^WEIR_REDIS_URL/, "--redis"));
  }
}

async function openBooks(values: Values): Promise<Books> {
  if (values.sidecar !== undefined) {
    const url = baseUrlOf("--sidecar", values.sidecar);
    const token = secretOf("WEIR_ADMIN_TOKEN");
    if (token === "")
      throw new WeirError(
        "invalid_argument",
        "WEIR_ADMIN_TOKEN is not set: expected the token of the sidecar",
      );
    return remoteBooks(url, token);
  }
  // The URL may carry a password: it is not repeated.
  if (values.redis !== undefined && !/^rediss?:\/\/./.test(values.redis))
    throw new UsageError("--redis: expected redis://HOST:PORT or rediss://HOST:PORT");
  const { WEIR_REDIS_URL, WEIR_REDIS_CLUSTER, WEIR_LEDGER_DIRECTORY } = process.env;
  const environment = {
    WEIR_REDIS_URL,
    WEIR_REDIS_CLUSTER,
    WEIR_LEDGER_DIRECTORY,
    ...(values.directory !== undefined && { WEIR_REDIS_URL: "", WEIR_LEDGER_DIRECTORY: values.directory }),
    ...(values.redis !== undefined && { WEIR_REDIS_URL: values.redis }),
  };
  const { ledger } =
    values.redis === undefined ? settingsFromEnvironment(environment) : settingsOfOption(environment);
  if (ledger.kind === "redis")
    return booksOf(await openRedis({ urls: ledger.urls, cluster: ledger.cluster }));
  // Opening makes what is not there: whoever mistypes a path would be shown an empty ledger.
  if (!existsSync(join(ledger.directory, "data.mdb")))
    throw new WeirError(
      "unavailable",
      `no ledger in ${ledger.directory}: expected data.mdb; --directory, --redis or --sidecar say where it is`,
    );
  try {
    return booksOf(await openEmbedded({ directory: ledger.directory }));
  } catch (thrown) {
    const { code, message } = WeirError.from(thrown);
    if (!message.includes("in use")) throw thrown;
    throw new WeirError(
      code,
      `${message}: a sidecar runs on it. Ask that one: WEIR_ADMIN_TOKEN=… weir ledger … --sidecar http://HOST:PORT`,
      thrown,
    );
  }
}

/** What is kept of a subject and all below it, or of every organisation. */
async function* kept(books: Books, subject: string | undefined) {
  for (const path of subject === undefined ? await books.organisations() : [subject])
    yield { organisation: organisationOf(path), ...(await books.book(path)) };
}

/** The exit status; 1 with words where no budget was found. */
function statusOf(found: number, subject: string | undefined): number {
  if (found > 0) return 0;
  console.error(
    subject === undefined
      ? "weir ledger: this ledger is empty: no request has asked for a budget yet"
      : `weir ledger: nothing is known of ${subject}: no request of it has asked for a budget in a window that is kept`,
  );
  return 1;
}

async function show(books: Books, subject: string | undefined): Promise<number> {
  let found = 0;
  for await (const { now, budgets, leases, journal } of kept(books, subject)) {
    found += budgets.length;
    for (const record of budgets) console.log(`${budgetText(record, now)}\n`);
    if (leases.length > 0)
      console.log(`open leases\n${leases.map((lease) => leaseText(lease, now)).join("\n")}\n`);
    if (journal.length > 0)
      console.log(`journal, newest last\n${journal.slice(-20).map(journalText).join("\n")}\n`);
  }
  return statusOf(found, subject);
}

/** Of so many budgets one can be picked by eye. */
const TOLD_MAX = 20;

/** One record by its key, or the current one by subject and name. Throws WeirError that lists what there is. */
async function find(books: Books, subject: string, name: string | undefined): Promise<BudgetRecord> {
  if (subject.includes("|") && name !== undefined)
    throw new UsageError(`${name}: a key names the budget and its window: expected no NAME after it`);
  const path = subject.split("|", 1)[0] ?? "";
  const { now, budgets: all } = await books.book(path);
  const matches = subject.includes("|")
    ? all.filter(({ key }) => key === subject)
    : all.filter(({ key, end }) => {
        const budget = describeKey(key);
        return budget.subject === subject && budget.name === name && now < end;
      });
  const [record] = matches;
  if (record !== undefined && matches.length === 1) return record;
  const given = [subject, ...(name === undefined ? [] : [name])].join(" ");
  const what =
    matches.length > 0 ? "several budgets fit; name one by its key:" : `no budget ${given}; there are:`;
  // Who mistypes a subject is told those of the organisation.
  const near = [matches, all].find(({ length }) => length > 0) ?? (await books.budgets(organisationOf(path)));
  const keys = near.slice(0, TOLD_MAX).map(({ key }) => `  '${key}'`);
  const left = near.length - keys.length;
  if (left > 0) keys.push(`  and ${left} more: weir ledger show ${organisationOf(path)}`);
  if (keys.length === 0) keys.push("  none of this organisation");
  throw new WeirError("invalid_argument", [what, ...keys].join("\n"));
}

/** Says so of work that fails before anything is changed. */
async function unchanged<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) console.error("weir ledger: nothing was changed");
    throw thrown;
  }
}

async function change(books: Books, record: BudgetRecord, by: number, values: Values): Promise<number> {
  const id = values.id ?? `adjust-${randomUUID()}`;
  const { meter, subject } = describeKey(record.key);
  const { by: login = loginOf(), reason = "" } = values;
  const command = { kind: "adjust", id, subject, budget: record.key, amount: by } as const;
  let reply: Awaited<ReturnType<Books["adjust"]>>;
  try {
    reply = await books.adjust({ ...command, by: login, reason });
  } catch (thrown) {
    const isUnknown = ["unavailable", "internal"].includes(WeirError.from(thrown).code);
    console.error(
      isUnknown
        ? `weir ledger: whether it was done is unknown. Repeat it with --id ${id}: it counts once`
        : "weir ledger: nothing was changed",
    );
    throw thrown;
  }
  const spent = shown(reply.spent, meter);
  switch (reply.status) {
    case "applied":
      console.log(
        `${title(record.key)}\n  ${by > 0 ? "+" : ""}${shown(by, meter)}; spent is now ${spent}. Kept in the journal as ${id}`,
      );
      return 0;
    case "repeated":
      console.log(`${title(record.key)}\n  ${id} was done before and counts once; spent is ${spent}`);
      return 0;
    case "unknown_budget":
      console.error("weir ledger: this window is no longer kept; nothing was changed");
      return 1;
    case "invalid":
      console.error(
        `weir ledger: spent is ${spent} and cannot go below 0 or above 2^53; nothing was changed`,
      );
      return 1;
  }
}

async function adjust(books: Books, targets: string[], by: number, values: Values): Promise<number> {
  const [subject = "", name] = targets;
  return change(books, await unchanged(find(books, subject, name)), by, values);
}

async function reset(books: Books, targets: string[], values: Values): Promise<number> {
  const record = await unchanged(find(books, targets[0] ?? "", targets[1]));
  if (record.spent === 0) {
    console.log(`${title(record.key)}\n  nothing is spent; nothing was changed`);
    return 0;
  }
  return change(books, record, -record.spent, values);
}

async function exportAll(books: Books, subject: string | undefined): Promise<number> {
  let found = 0;
  for await (const { organisation, budgets, leases, journal } of kept(books, subject)) {
    const write = (type: string, items: readonly object[]): void => {
      for (const item of items) console.log(JSON.stringify({ type, organisation, ...item }));
    };
    found += budgets.length;
    write("budget", budgets);
    // An open lease has no time to be forgotten at: Infinity, which JSON writes as null.
    write("lease", leases);
    write("journal", journal);
  }
  return statusOf(found, subject);
}

async function allBudgets(values: Values): Promise<BudgetRecord[]> {
  const books = await openBooks(values);
  try {
    const records: BudgetRecord[][] = [];
    // One after the other: together they would take the place of all that others ask.
    for (const organisation of await books.organisations()) records.push(await books.budgets(organisation));
    return records.flat();
  } finally {
    await books.close();
  }
}

/** Who runs this; a container's user may have no name. */
function loginOf(): string {
  try {
    return userInfo().username;
  } catch {
    throw new UsageError("--by is missing: the journal keeps who, and this system has no name for its user");
  }
}

function requireReason({ by, reason }: Values): void {
  if (reason === undefined || reason.trim() === "")
    throw new UsageError("--reason is missing: the journal keeps why, for whoever asks later");
  if (by === undefined) loginOf();
}

function amountOf(text: string): number {
  // Not 20.00, which is meant as dollars, and not 1.000, which is a thousand to some.
  const value = /^[+-]?\d+(e\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value !== 0) return value;
  throw new UsageError(
    `AMOUNT: ${text}: expected an integer other than 0, in the budget's unit: requests, tokens, or micro-dollars for a cost`,
  );
}

interface Action {
  /** How many targets it takes, at least and at most. */
  readonly targets: readonly [number, number];
  /** Options of its own, beside those that name a ledger. */
  readonly options: readonly string[];
}

const CHANGE = ["reason", "by", "id"];
const ACTIONS: ReadonlyMap<string, Action> = new Map([
  ["show", { targets: [0, 1], options: [] }],
  ["adjust", { targets: [2, 3], options: CHANGE }],
  ["reset", { targets: [1, 2], options: CHANGE }],
  ["export", { targets: [0, 1], options: [] }],
  ["reconcile", { targets: [1, 1], options: ["tolerance", "time-zone", "class", "export"] }],
]);
const WHERE = ["sidecar", "redis", "directory"];

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse(args);
  const [action = "", ...targets] = positionals;
  const known = ACTIONS.get(action);
  if (!known)
    throw new UsageError(`${action || "nothing"}: expected one of ${[...ACTIONS.keys()].join(", ")}`);
  // One that would do nothing was meant to do something: `show --export FILE` shows no file.
  const alien = Object.keys(values).find((name) => ![...WHERE, ...known.options].includes(name));
  if (alien !== undefined) throw new UsageError(`--${alien}: is no option of ${action}`);
  const [least, most] = known.targets;
  if (targets.length < least || targets.length > most)
    throw new UsageError(
      `${action}: ${targets.length} arguments: expected ${least === most ? least : `${least} or ${most}`}`,
    );
  if (action === "reconcile") return compare(targets[0] ?? "", values, () => allBudgets(values));
  if (action === "adjust" || action === "reset") requireReason(values);
  // What is given wrongly is told before a ledger is opened for it.
  const by = action === "adjust" ? amountOf(targets.pop() ?? "") : 0;
  const opening = openBooks(values);
  const books = await (action === "adjust" || action === "reset" ? unchanged(opening) : opening);
  try {
    if (action === "show") return await show(books, targets[0]);
    if (action === "export") return await exportAll(books, targets[0]);
    return action === "adjust"
      ? await adjust(books, targets, by, values)
      : await reset(books, targets, values);
  } finally {
    await books.close();
  }
}
