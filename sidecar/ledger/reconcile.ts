/**
 * The ledger's books against a provider's usage report: what was charged here, and what the provider counted.
 *
 * The report is CSV (RFC 4180), its first line names the columns, in any order:
 *   date               YYYY-MM-DD; a time after it is cut off: the provider's day, whatever its zone
 *   subject            our path, "acme/search/key-7"; how the provider's project or key maps to it is the exporter's business
 *   model              the provider's name; may be absent, then only budgets on all models are compared
 *   requests, prompt_tokens, completion_tokens, tokens, cost
 *                      one or more of them, empty for 0; cost in dollars. tokens is the sum of the two others where it is absent
 *   currency           may be absent; else USD in every line, as in every column of which the name ends so (BillingCurrency)
 * Several lines of one day, subject and model add up. Other columns are ignored.
 *
 * Compared is every window of days, weeks and months that has ended: a budget's `spent` against the sum of the lines of
 * its dates, of its subject and all below it, of its models. A window's dates are those of its time zone, told by its
 * middle; the records do not carry the zone, so it is given for all. Ended windows are kept for one more length of theirs.
 * Lines of those dates that no window counts are usage that went past the ledger, and are told.
 *
 * Bounds: the report is held in memory.
 */
import { WeirError } from "../errors.ts";
import { isDate } from "../moment.ts";
import { type BudgetRecord, describeKey } from "./types.ts";

const METERS = ["requests", "prompt_tokens", "completion_tokens", "tokens", "cost"] as const;
type MeterName = (typeof METERS)[number];

export interface UsageLine {
  /** YYYY-MM-DD. */
  readonly date: string;
  readonly subject: string;
  readonly model: string;
  /** A cost in micro-dollars, with their fraction. */
  readonly amounts: Readonly<Partial<Record<MeterName, number>>>;
}

export interface ReconcileOptions {
  readonly now: number;
  /** IANA name, in which the windows' dates are told. */
  readonly timeZone: string;
  /** Models of each class; one without an entry is itself their list, as budgets of a policy have it: "gpt-4o*,o1". */
  readonly classes: ReadonlyMap<string, readonly string[]>;
  /** The difference that is still well, as a fraction of the greater amount. */
  readonly tolerance: number;
}

export interface Difference {
  readonly from: string;
  /** The same as `from` for a day. */
  readonly to: string;
  readonly subject: string;
  readonly budget: string;
  readonly meter: string;
  /** Empty for all models. */
  readonly modelClass: string;
  readonly ledger: number;
  readonly provider: number;
  readonly within: boolean;
}

/** What the provider counted of one subject and model, and no window that was compared. */
export interface Unbooked {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly model: string;
  readonly amounts: Readonly<Partial<Record<MeterName, number>>>;
  /** Windows count it by its model, and the report names none. */
  readonly needsModel: boolean;
}

interface Row {
  /** Of the file, from 1; a field may go on over several. */
  readonly line: number;
  readonly fields: readonly string[];
}

function refuse(line: number, what: string): never {
  throw new WeirError("invalid_argument", `usage CSV, line ${line}: ${what}`);
}

/** The lines of a CSV text that are not empty. Throws WeirError `invalid_argument`. */
function parseCsv(text: string): Row[] {
  const rows: Row[] = [];
  let fields: string[] = [];
  let line = 1;
  let first = 1;
  const field = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  field.lastIndex = text.startsWith("\uFEFF") ? 1 : 0;
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (match === null)
      refuse(
        line,
        `field ${fields.length + 1}: a quote that does not end, or a quote or line end that may not be`,
      );
    line += match[0].split("\n").length - 1;
    fields.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] === ",") continue;
    if (fields.length > 1 || fields[0] !== "") rows.push({ line: first, fields });
    fields = [];
    first = line;
  }
  // The last line of a text may end with an empty field and nothing else.
  if (fields.length > 0) rows.push({ line: first, fields: [...fields, ""] });
  return rows;
}

const NUMBER = /^\d+(\.\d+)?(e[+-]?\d+)?$/i;
/** Twelve thousand, where a point groups digits, and elsewhere twelve: as nobody writes integers. */
const GROUPED = /\.\d{3}$/;
const CURRENCY = /currency(_?code)?$/;

/** Of a cost micro-dollars with their fraction: one line may be of less than half of one, and many of them add up. */
function amountOf(text: string, meter: MeterName, line: number): number {
  if (text === "") return 0;
  const value = NUMBER.test(text) ? Number(text) : Number.NaN;
  const amount = meter === "cost" ? value * 1_000_000 : value;
  const isExact = meter === "cost" ? amount <= Number.MAX_SAFE_INTEGER : Number.isSafeInteger(amount);
  if (!isExact || (meter !== "cost" && GROUPED.test(text)))
    refuse(
      line,
      `${meter}: ${text}: expected ${meter === "cost" ? "dollars, as 12.34" : "an integer"}, 0 or more`,
    );
  return amount;
}

/** The day of a date, with or without a time after it. */
function dateOf(text: string, line: number): string {
  const date = /^(\d{4}-\d\d-\d\d)(?:[T ]\d.*)?$/.exec(text)?.[1] ?? "";
  if (!isDate(date)) refuse(line, `date: ${text}: expected YYYY-MM-DD of a day that exists`);
  return date;
}

/** Throws WeirError `invalid_argument` with line, column and expectation. */
export function parseUsage(text: string): UsageLine[] {
  const [{ line, fields: header } = { line: 1, fields: [] }, ...rows] = parseCsv(text);
  const names = header.map((name) => name.trim().toLowerCase());
  const column = new Map(names.map((name, i) => [name, i]));
  for (const name of ["date", "subject", "model", "currency", ...METERS])
    if (names.indexOf(name) !== names.lastIndexOf(name))
      refuse(line, `column ${name}: is there twice: expected once`);
  for (const name of ["date", "subject"])
    if (!column.has(name))
      refuse(
        line,
        `no column ${name}: expected date, subject, model, ${METERS.join(", ")}, with commas between`,
      );
  const meters = METERS.filter((meter) => column.has(meter));
  if (meters.length === 0)
    throw new WeirError("invalid_argument", `usage CSV: no amounts: expected one of ${METERS.join(", ")}`);
  if (rows.length === 0)
    throw new WeirError("invalid_argument", "usage CSV: no usage: expected lines below the first");
  const currencies = names.filter((name) => CURRENCY.test(name));
  return rows.map(({ line, fields }): UsageLine => {
    // A number with commas and no quotes would be taken for its first digits.
    if (fields.length !== header.length)
      refuse(line, `${fields.length} fields: expected ${header.length}, as the first line has`);
    const get = (name: string): string => fields[column.get(name) ?? -1]?.trim() ?? "";
    const date = dateOf(get("date"), line);
    for (const name of currencies)
      if (get(name).toUpperCase() !== "USD") refuse(line, `${name}: ${get(name)}: expected USD`);
    const amounts: Partial<Record<MeterName, number>> = {};
    for (const meter of meters) amounts[meter] = amountOf(get(meter), meter, line);
    if (column.has("prompt_tokens") && column.has("completion_tokens"))
      amounts.tokens ??= (amounts.prompt_tokens ?? 0) + (amounts.completion_tokens ?? 0);
    return { date, subject: get("subject"), model: get("model"), amounts };
  });
}

/** As the filter compares a model with a name of the policy: a star at its end stands for any rest. */
const isModel = (model: string, name: string): boolean =>
  name.endsWith("*") ? model.startsWith(name.slice(0, -1)) : model === name;

/** A window that has ended. */
interface Ended {
  readonly record: BudgetRecord;
  readonly key: ReturnType<typeof describeKey>;
  readonly dates: Dates;
  /** Undefined: all. */
  readonly models: readonly string[] | undefined;
}

interface Dates {
  readonly from: string;
  readonly to: string;
}

const spans = ({ from, to }: Dates, { date }: UsageLine): boolean => date >= from && date <= to;

/**
 * The windows that have ended, found by the subjects that a line's lies within: there may be as many windows as keys, and a
 * line of each day for each of them.
 */
class EndedWindows {
  readonly all: readonly Ended[];
  readonly #of = new Map<string, Ended[]>();
  /** Of all windows, each once. */
  readonly #dates = new Map<string, Dates>();

  constructor(records: readonly BudgetRecord[], { now, timeZone, classes }: ReconcileOptions) {
    // Sweden writes dates as ISO 8601 does.
    const format = new Intl.DateTimeFormat("sv-SE", {
      timeZone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
    });
    this.all = records.flatMap((record) => {
      const key = describeKey(record.key);
      if (record.end > now || key.window === "hour") return [];
      const { subject, modelClass } = key;
      const models = modelClass === "" ? undefined : (classes.get(modelClass) ?? modelClass.split(","));
      const ended = { record, key, models, dates: this.#datesOf(record, format) };
      const others = this.#of.get(subject);
      if (others === undefined) this.#of.set(subject, [ended]);
      else others.push(ended);
      return [ended];
    });
  }

  /** The first and the last date: the ends may lie up to an hour off midnight, twelve hours in are safe. */
  #datesOf({ start, end }: BudgetRecord, format: Intl.DateTimeFormat): Dates {
    const span = `${start}-${end}`;
    const half = 43_200_000;
    const dates = this.#dates.get(span) ?? {
      from: format.format(start + half),
      to: format.format(end - half),
    };
    this.#dates.set(span, dates);
    return dates;
  }

  /** Whether the line is of a date of any of them. */
  span(line: UsageLine): boolean {
    return [...this.#dates.values()].some((dates) => spans(dates, line));
  }

  /** Those of the line's date and subject, whatever their models. */
  #around(line: UsageLine): Ended[] {
    const found: Ended[] = [];
    const { subject } = line;
    for (let end = subject.indexOf("/"); ; end = subject.indexOf("/", end + 1)) {
      for (const ended of this.#of.get(end < 0 ? subject : subject.slice(0, end)) ?? [])
        if (spans(ended.dates, line)) found.push(ended);
      if (end < 0) return found;
    }
  }

  /** Those that count the line. */
  counting(line: UsageLine): Ended[] {
    return this.#around(line).filter(
      ({ models }) => models === undefined || models.some((name) => isModel(line.model, name)),
    );
  }

  /** Whether one would count the line if it named a model. */
  needModel(line: UsageLine): boolean {
    return line.model === "" && this.#around(line).length > 0;
  }
}

/**
 * One entry per window that can be compared, in the order of the records. Meters the report does not have are left out, and
 * windows of models where it names none.
 */
export function reconcile(
  records: readonly BudgetRecord[],
  usage: readonly UsageLine[],
  options: ReconcileOptions,
): Difference[] {
  const windows = new EndedWindows(records, options);
  const reported = new Set<string>();
  const namesModels = usage.some(({ model }) => model !== "");
  const providers = new Map<Ended, number>();
  for (const line of usage) {
    for (const meter of Object.keys(line.amounts)) reported.add(meter);
    for (const ended of windows.counting(line))
      providers.set(ended, (providers.get(ended) ?? 0) + (line.amounts[ended.key.meter as MeterName] ?? 0));
  }
  return windows.all.flatMap((ended) => {
    const { subject, name, meter, modelClass } = ended.key;
    if (!reported.has(meter) || (ended.models !== undefined && !namesModels)) return [];
    const provider = Math.round(providers.get(ended) ?? 0);
    const ledger = ended.record.spent;
    const within = Math.abs(ledger - provider) <= Math.max(ledger, provider) * options.tolerance;
    const what = { ...ended.dates, subject, budget: name, meter, modelClass };
    return [{ ...what, ledger, provider, within }];
  });
}

/** How many lines are of dates that no window is of which has ended: nothing was said of them. */
export function outside(
  records: readonly BudgetRecord[],
  usage: readonly UsageLine[],
  options: ReconcileOptions,
): number {
  const windows = new EndedWindows(records, options);
  return usage.filter((line) => !windows.span(line)).length;
}

/** What lies within the dates of windows that have ended and is counted by none, one entry per subject and model. */
export function unbooked(
  records: readonly BudgetRecord[],
  usage: readonly UsageLine[],
  options: ReconcileOptions,
): Unbooked[] {
  const windows = new EndedWindows(records, options);
  const found = new Map<string, Unbooked>();
  for (const line of usage) {
    if (!windows.span(line) || windows.counting(line).length > 0) continue;
    const { date, subject, model } = line;
    const key = JSON.stringify([subject, model]);
    const none = { from: date, to: date, subject, model, amounts: {}, needsModel: false };
    const known = found.get(key) ?? none;
    const amounts = { ...known.amounts };
    for (const meter of METERS)
      if (line.amounts[meter] !== undefined) amounts[meter] = (amounts[meter] ?? 0) + line.amounts[meter];
    const [from = date, , to = date] = [known.from, date, known.to].sort();
    const needsModel = known.needsModel || windows.needModel(line);
    found.set(key, { ...known, from, to, amounts, needsModel });
  }
  return [...found.values()];
}
