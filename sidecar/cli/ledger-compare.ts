// `weir ledger reconcile`: windows that have ended against a provider's usage CSV, in words.
import { WeirError } from "../errors.ts";
import { isTimeZone } from "../ledger/calendar.ts";
import { type Difference, outside, reconcile, type Unbooked, unbooked } from "../ledger/reconcile.ts";
import type { BudgetRecord } from "../ledger/types.ts";
import { parseUsage } from "../ledger/usage-report.ts";
import { amount as shown } from "./ledger-text.ts";
import { textOf, UsageError } from "./usage.ts";

function readExport(file: string): BudgetRecord[] {
  const records: BudgetRecord[] = [];
  for (const [i, line] of textOf(file).split("\n").entries()) {
    if (line === "") continue;
    let item: (Partial<BudgetRecord> & { type?: unknown }) | null;
    try {
      item = JSON.parse(line);
    } catch (thrown) {
      throw new WeirError("invalid_argument", `${file}:${i + 1}: not JSON: expected an export`, thrown);
    }
    if (item?.type !== "budget") continue;
    const { key, start, end, spent } = item;
    if (typeof key !== "string" || ![start, end, spent].every(Number.isSafeInteger))
      throw new WeirError("invalid_argument", `${file}:${i + 1}: not a budget as an export has it`);
    records.push(item as BudgetRecord);
  }
  return records;
}

const daysText = (from: string, to: string): string => (from === to ? from : `${from} to ${to}`);

function unbookedText({ from, to, subject, model, amounts, needsModel }: Unbooked): string {
  const told = Object.entries(amounts).map(([meter, amount]) => `${meter} ${shown(amount, meter)}`);
  const why = needsModel
    ? "its budgets are on some models only, and the file does not say which it asked: expected a column model"
    : "no window of this ledger counts it";
  return `NOWHERE ${daysText(from, to)}  ${subject || "no subject"}  ${model || "no model"}: provider ${told.join(", ")}: ${why}`;
}

function differenceText(difference: Difference): string {
  const { from, to, subject, budget, meter, modelClass, ledger, provider, within } = difference;
  const days = daysText(from, to);
  // Of the greater amount, as the tolerance is.
  const most = Math.max(ledger, provider);
  const percent = most === 0 ? "" : ` (${(((ledger - provider) / most) * 100).toFixed(2)} %)`;
  const gap = `${ledger > provider ? "+" : ""}${shown(ledger - provider, meter)}${percent}`;
  const amounts = `ledger ${shown(ledger, meter)}, provider ${shown(provider, meter)}`;
  return `${within ? "  ok  " : "DIFFER"}  ${days}  ${subject}  ${budget}  ${meter}  ${modelClass || "all models"}: ${amounts}, ${gap}`;
}

interface Options {
  readonly tolerance?: string | undefined;
  readonly "time-zone"?: string | undefined;
  readonly class?: readonly string[] | undefined;
  /** An export's file, in place of the ledger. */
  readonly export?: string | undefined;
}

/** Compares the report in `file` with an export, or with what `ask` says that the ledger has, and prints it. The exit status. */
export async function compare(
  file: string,
  values: Options,
  ask: () => Promise<BudgetRecord[]>,
): Promise<number> {
  const { tolerance: percentage = "1", "time-zone": timeZone = "UTC" } = values;
  const tolerance = /\d/.test(percentage) ? Number(percentage.replace(/%$/, "")) / 100 : Number.NaN;
  if (!(tolerance >= 0 && tolerance <= 1))
    throw new UsageError(`--tolerance: ${percentage}: expected a percentage, 0 to 100`);
  if (!isTimeZone(timeZone))
    throw new UsageError(`--time-zone: ${timeZone}: expected a zone's name, as Europe/Berlin`);
  const classes = (values.class ?? []).map((text): [string, string[]] => {
    const [, name = "", models = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (name === "") throw new UsageError(`--class: ${text}: expected CLASS=MODEL,MODEL`);
    return [name, models.split(",")];
  });
  const usage = parseUsage(textOf(file));
  const options = { now: Date.now(), timeZone, classes: new Map(classes), tolerance };
  const records = values.export === undefined ? await ask() : readExport(values.export);
  const differences = reconcile(records, usage, options);
  const nowhere = unbooked(records, usage, options);
  for (const difference of differences) console.log(differenceText(difference));
  for (const entry of nowhere) console.log(unbookedText(entry));
  const beyond = differences.filter(({ within }) => !within).length;
  if (differences.length === 0) {
    const onAll = usage.some(({ model }) => model !== "") ? "" : ", and on all models, as it names none";
    console.error(
      `weir ledger: nothing to compare: this ledger keeps no window of a day, week or month that has ended, of a meter that the file has${onAll}`,
    );
    return 1;
  }
  const summary = `${differences.length} windows compared, ${beyond} differ by more than ${tolerance * 100} %`;
  const past = nowhere.length > 0 ? `; ${nowhere.length} subjects and models that none counts` : "";
  const ignored = outside(records, usage, options);
  const beside = ignored > 0 ? `; ${ignored} lines are of dates of no window that has ended` : "";
  console.log(summary + past + beside);
  return beyond + nowhere.length > 0 ? 1 : 0;
}
