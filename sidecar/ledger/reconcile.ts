/**
 * The ledger's books against a provider's usage report (`usage-report.ts`): what was charged here, and what the provider counted.
 *
 * Compared is every window of days, weeks and months that has ended: a budget's `spent` against the sum of the lines of
 * its dates, of its subject and all below it, of its models. A window's dates are those of its time zone, told by its
 * middle; the records do not carry the zone, so it is given for all. Ended windows are kept for one more length of theirs.
 * Lines of those dates that no window counts are usage that went past the ledger, and are told.
 */
import { type BudgetRecord, describeKey } from "./types.ts";
import { METERS, type MeterName, type UsageLine } from "./usage-report.ts";

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
