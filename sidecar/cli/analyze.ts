// `weir analyze`: usage as CSV (usage-csv.ts has the columns) to windows that stand out. It judges as sidecar/detect does,
// each window by what was known before it.
//
// Rows are expected in the order of time; up to a minute late they still count, later ones are told. The table has a line for
// each window as it is found; --json prints lines {"type":"anomaly",…} and a last {"type":"summary",…}.
//
// Bounds: the detector's, and one line. Of lines that cannot be read ERRORS_SHOWN_MAX are named, and all are counted.
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { parseArgs } from "node:util";
import { CsvError } from "../csv.ts";
import { type Anomaly, Detector } from "../detect/detector.ts";
import { WeirError } from "../errors.ts";
import { instant } from "./ledger-text.ts";
import { type LineInput, linesOf, Unread } from "./lines.ts";
import type { ScanOutput } from "./scan.ts";
import { pipedInput, pipedOutput, UsageError, unreadable } from "./usage.ts";
import { UsageCsv } from "./usage-csv.ts";

export const USAGE = `usage: weir analyze [--json] USAGE.csv

A line for each window that stands out; - reads standard input. Rows are expected in the order of time.
  --json   lines {"type":"anomaly",…} and a last {"type":"summary",…}

columns, in any order: time; any of address, key, subject, organisation; requests, tokens, cost (dollars)

exit status: 0 whatever was found, 1 a line could not be read or came too late, 2 wrong usage`;

const ERRORS_SHOWN_MAX = 100;
const CLASSES: Readonly<Record<Anomaly["class"], string>> = {
  key_walking: "key walking",
  cost_spike: "cost spike",
  flood: "flood",
  scraping: "scraping",
};

const iso = (ms: number) => new Date(ms).toISOString();
const round = (value: number, digits: number) => Number(value.toFixed(digits));

/** An anomaly as JSON has it. */
function anomalyJson(anomaly: Anomaly): object {
  const { startMs, lengthMs, kind, name, severity, measure, value, usual, z, basis } = anomaly;
  return {
    type: "anomaly",
    start: iso(startMs),
    end: iso(startMs + lengthMs),
    window: `${lengthMs / 60_000}m`,
    kind,
    name,
    severity,
    class: anomaly.class,
    measure,
    value: round(value, 6),
    usual: round(usual, 6),
    sigma: round(z, 2),
    basis,
  };
}

function shown({ measure, value, kind }: Anomaly, amount = value): string {
  if (measure === "cost") return `$${amount.toFixed(4)}`;
  const what = measure === "others" ? (kind === "address" ? "keys" : "addresses") : measure;
  return `${Math.round(amount).toLocaleString("en-US")} ${what}`;
}

const HEAD = ["window begins (UTC)", "length", "severity", "sigma", "class", "of", "name", "what"];
const WIDTHS = [19, 6, 8, 6, 11, 12, 24];

const line = (cells: string[]) =>
  cells
    .map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0))
    .join("  ")
    .trimEnd();

function anomalyText(anomaly: Anomaly): string {
  const { startMs, lengthMs, kind, name, severity, z, usual, basis } = anomaly;
  return line([
    instant(startMs).replace(" UTC", ""),
    `${lengthMs / 60_000} min`,
    severity,
    z.toFixed(1),
    CLASSES[anomaly.class],
    kind,
    name,
    `${shown(anomaly)}, usually ${shown(anomaly, usual)} (${basis})`,
  ]);
}

interface Summary {
  rows: number;
  fromMs: number;
  toMs: number;
  found: Map<string, number>;
  malformed: number;
  errors: string[];
}

/** Reads usage and writes what stands out. Throws WeirError for a header that cannot be used. */
export async function analyze(input: LineInput, output: ScanOutput, json: boolean): Promise<number> {
  const detector = new Detector();
  const summary: Summary = {
    rows: 0,
    fromMs: Number.POSITIVE_INFINITY,
    toMs: Number.NEGATIVE_INFINITY,
    found: new Map(),
    malformed: 0,
    errors: [],
  };
  const write = async (text: string) => {
    if (!output.write(`${text}\n`)) await once(output as NodeJS.WritableStream, "drain");
  };
  const tell = async (anomalies: readonly Anomaly[]) => {
    for (const anomaly of anomalies) {
      if (summary.found.size === 0 && !json) await write(line(HEAD));
      const kind = `${anomaly.severity} ${anomaly.class}`;
      summary.found.set(kind, (summary.found.get(kind) ?? 0) + 1);
      await write(json ? JSON.stringify(anomalyJson(anomaly)) : anomalyText(anomaly));
    }
  };
  let csv: UsageCsv | undefined;
  let number = 0;
  for await (const text of linesOf(input)) {
    number++;
    if (text === "") continue;
    try {
      if (text instanceof Unread) throw new CsvError(text.why);
      if (csv) await tell(addRow(detector, summary, csv, text));
      else csv = new UsageCsv(text);
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      // Without the names of columns no other line can be read.
      if (!csv) throw new WeirError("invalid_argument", `line ${number}: ${error.message}`);
      summary.malformed++;
      if (summary.errors.length < ERRORS_SHOWN_MAX) summary.errors.push(`line ${number}: ${error.message}`);
    }
  }
  if (!csv)
    throw new WeirError("invalid_argument", "the usage is empty: expected a line with the names of columns");
  await tell(detector.finish());
  await write(json ? JSON.stringify(summaryJson(summary, detector)) : summaryText(summary, detector));
  return summary.malformed > 0 || detector.late > 0 ? 1 : 0;
}

function addRow(detector: Detector, summary: Summary, csv: UsageCsv, text: string): Anomaly[] {
  const row = csv.row(text);
  summary.rows++;
  summary.fromMs = Math.min(summary.fromMs, row.timeMs);
  summary.toMs = Math.max(summary.toMs, row.timeMs);
  return detector.add(row);
}

function summaryJson({ rows, fromMs, toMs, found, malformed, errors }: Summary, detector: Detector): object {
  return {
    type: "summary",
    rows,
    from: rows > 0 ? iso(fromMs) : null,
    to: rows > 0 ? iso(toMs) : null,
    found: Object.fromEntries(found),
    late: detector.late,
    forgotten: detector.forgotten,
    malformed: { count: malformed, errors },
  };
}

function summaryText({ rows, fromMs, toMs, found, malformed, errors }: Summary, detector: Detector): string {
  const n = (count: number) => count.toLocaleString("en-US");
  const total = [...found.values()].reduce((sum, count) => sum + count, 0);
  const span = rows > 0 ? ` from ${instant(fromMs)} to ${instant(toMs)}` : "";
  const lines = [`${total > 0 ? "\n" : ""}${n(rows)} rows${span}: ${n(total)} windows stand out`];
  for (const [kind, count] of [...found].sort((a, b) => b[1] - a[1])) {
    const [severity, name = ""] = kind.split(" ");
    lines.push(`${n(count).padStart(9)}  ${severity}  ${CLASSES[name as Anomaly["class"]]}`);
  }
  if (detector.late > 0)
    lines.push(`${n(detector.late)} rows came more than a minute late and were not counted`);
  if (detector.forgotten > 0)
    lines.push(`${n(detector.forgotten)} times a subject long unseen was forgotten to make room`);
  if (malformed > 0) lines.push(`${n(malformed)} lines could not be read:`);
  lines.push(...errors.map((error) => `  ${error}`));
  if (malformed > errors.length) lines.push(`  and ${n(malformed - errors.length)} more`);
  return lines.join("\n");
}

export async function run(
  args: string[],
  stdin?: LineInput,
  stdout: ScanOutput = pipedOutput(),
): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { json: { type: "boolean", default: false } },
  });
  const [file] = positionals;
  if (!file || positionals.length > 1) throw new UsageError("expected one USAGE.csv");
  try {
    return await analyze(
      file === "-" ? (stdin ?? pipedInput()) : createReadStream(file),
      stdout,
      values.json,
    );
  } catch (thrown) {
    const { syscall } = thrown as { syscall?: string };
    if (syscall === undefined) throw thrown;
    throw unreadable(file, thrown);
  }
}
