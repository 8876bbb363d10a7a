// `weir replay`: what would change if this policy had been there. Recorded requests (replay-record.ts has the format) are
// put through the filter with the policy; the verdicts are compared with the recorded ones, or with those of another policy.
//
// A rule in shadow changes no end: it is shown as a verdict of its own and not counted.
//
// The file is read twice: first for its callers, then for its requests. Bounds: memory is one line, the callers, and the
// examples; of lines that cannot be read ERRORS_SHOWN_MAX are named, and all are counted.
import { createReadStream, statSync } from "node:fs";
import { parseArgs } from "node:util";
import { FakeClock } from "../../host/clock.ts";
import { WeirError } from "../errors.ts";
import { checkPolicy } from "./check.ts";
import { filterBytes } from "./filter.ts";
import { instant } from "./ledger-text.ts";
import { linesOf, Unread } from "./lines.ts";
import { LineError, parseRecord, type ReplayRecord } from "./replay-record.ts";
import { moveTo, newCallers, noteCaller, Replayed, type Verdict } from "./replay-run.ts";
import { integerOf, UsageError, unreadable } from "./usage.ts";

const ERRORS_SHOWN_MAX = 100;
const EXAMPLES_MAX = 1_000;

export const USAGE = `usage: weir replay --policy FILE [--against FILE] [--json] [--examples N] [--fail-on-change] RECORDS.jsonl

  --policy FILE      the policy in question
  --against FILE     another policy to compare with, instead of the recorded verdicts
  --json             the report as JSON
  --examples N       of each change (3), at most ${EXAMPLES_MAX}
  --fail-on-change   exit status 1 if a request would end otherwise

RECORDS.jsonl is read twice, so that it must be a file.

exit status: 0 replayed, 1 a line or file could not be read, a policy is refused, or --fail-on-change, 2 wrong usage`;

export interface Example {
  line: number;
  time: string;
  subject: string;
  request: string;
  message: string;
}

export interface Transition {
  was: string;
  now: string;
  count: number;
  /** The request would end otherwise. */
  changed: boolean;
  examples: Example[];
}

export interface ReplayReport {
  records: number;
  from: string | null;
  to: string | null;
  /** What `was` stands for: "recorded", or the file of the other policy. */
  against: string;
  changed: number;
  /** Records earlier than the one before; they were replayed at its time. */
  out_of_order: number;
  malformed: { count: number; errors: string[] };
  transitions: Transition[];
}

/** Every record of a file, or what is wrong with its line. */
async function* recordsOf(file: string): AsyncGenerator<ReplayRecord | LineError> {
  let number = 0;
  for await (const text of linesOf(createReadStream(file))) {
    number++;
    if (text instanceof Unread) yield new LineError(`line ${number}: ${text.why}`);
    else if (text.trim() !== "") yield readLine(text, number);
  }
}

function readLine(text: string, number: number): ReplayRecord | LineError {
  try {
    return parseRecord(text, number);
  } catch (error) {
    if (error instanceof LineError) return error;
    throw error;
  }
}

/** What was said of a record then. Without a verdict its status tells whether it passed. */
function recordedVerdict({ verdict, status }: ReplayRecord): string {
  if (verdict !== undefined) return verdict;
  if (status === undefined) return "not recorded";
  return status < 400 ? "ok" : `status ${status}`;
}

/** How the request ended: without the shadows, and by status where no code was recorded. */
function ends(was: string, now: Verdict): boolean {
  const end = (verdict: string) => verdict.replace(/;.*/, "");
  if (was === "not recorded") return true;
  return was.startsWith("status ") ? was === `status ${now.status}` : end(was) === end(now.verdict);
}

export interface ReplayOptions {
  /** The proposed policy, as JSON. */
  policy: string;
  /** Another policy, and its name for the report; without it the records' own verdicts. */
  against?: { policy: string; name: string };
  examples: number;
  wasm: Uint8Array;
}

/** Throws WeirError `invalid_argument` for what cannot be read twice. */
function checkFile(file: string): void {
  let regular: boolean;
  try {
    regular = file !== "-" && statSync(file).isFile();
  } catch (thrown) {
    throw unreadable(file, thrown);
  }
  if (!regular)
    throw new WeirError("invalid_argument", `${file}: expected a regular file, because it is read twice`);
}

/** Replays a file. Throws WeirError `invalid_argument` when it cannot be read or a policy is refused. */
export async function replayFile(file: string, options: ReplayOptions): Promise<ReplayReport> {
  checkFile(file);
  const callers = newCallers();
  let first: number | undefined;
  for await (const record of recordsOf(file)) {
    if (record instanceof LineError) continue;
    first ??= record.timeMs;
    noteCaller(callers, record);
  }
  const clock = new FakeClock(first ?? 0);
  const wasm = new WebAssembly.Module(options.wasm as BufferSource);
  const proposed = await Replayed.open(options.policy, callers, wasm, clock);
  const other = options.against && (await Replayed.open(options.against.policy, callers, wasm, clock));
  const both = other ? [proposed, other] : [proposed];
  const report: ReplayReport = {
    records: 0,
    from: first === undefined ? null : new Date(first).toISOString(),
    to: null,
    against: options.against?.name ?? "recorded",
    changed: 0,
    out_of_order: 0,
    malformed: { count: 0, errors: [] },
    transitions: [],
  };
  const found = new Map<string, Transition>();
  for await (const record of recordsOf(file)) {
    if (record instanceof LineError) {
      report.malformed.count++;
      if (report.malformed.errors.length < ERRORS_SHOWN_MAX) report.malformed.errors.push(record.message);
      continue;
    }
    report.records++;
    if (await moveTo(clock, both, record.timeMs)) report.out_of_order++;
    const now = await proposed.serve(record);
    const was = other ? (await other.serve(record)).verdict : recordedVerdict(record);
    note(report, found, record, was, now, options.examples);
  }
  report.to = report.records === 0 ? null : new Date(Number(clock.now() / 1_000_000n)).toISOString();
  report.transitions = [...found.values()].sort(
    (a, b) => Number(b.changed) - Number(a.changed) || b.count - a.count,
  );
  return report;
}

function note(
  report: ReplayReport,
  found: Map<string, Transition>,
  record: ReplayRecord,
  was: string,
  now: Verdict,
  examplesMax: number,
): void {
  const key = `${was}\0${now.verdict}`;
  const changed = !ends(was, now);
  const transition = found.get(key) ?? { was, now: now.verdict, count: 0, changed, examples: [] };
  found.set(key, transition);
  transition.count++;
  if (changed) report.changed++;
  if (transition.examples.length < examplesMax && was !== now.verdict) {
    transition.examples.push({
      line: record.line,
      time: new Date(record.timeMs).toISOString(),
      subject:
        record.subject ?? (record.keySha256 ? `key ${record.keySha256.slice(0, 12)}…` : record.address),
      request: `${record.method} ${record.path}`,
      message: now.message,
    });
  }
}

function text(report: ReplayReport): string {
  const { records, changed, malformed, out_of_order: late } = report;
  const n = (count: number) => count.toLocaleString("en-US");
  const span =
    report.from && report.to
      ? ` from ${instant(Date.parse(report.from))} to ${instant(Date.parse(report.to))}`
      : "";
  const lines = [`${n(records)} records${span}`];
  if (late > 0) lines.push(`${n(late)} were earlier than the one before, and were replayed at its time`);
  if (malformed.count > 0) lines.push(`${n(malformed.count)} lines could not be read:`);
  lines.push(...malformed.errors.map((error) => `  ${error}`));
  if (malformed.count > malformed.errors.length)
    lines.push(`  and ${n(malformed.count - malformed.errors.length)} more`);
  const was = report.against === "recorded" ? "as recorded" : `with ${report.against}`;
  lines.push("", `${n(changed)} of ${n(records)} would end otherwise than ${was}`, "");
  const width = Math.max(4, ...report.transitions.map((t) => t.was.length));
  const head = `${"count".padStart(9)}  ${"was".padEnd(width)}  now`;
  for (const [title, wanted] of [
    ["changed", true],
    ["unchanged", false],
  ] as const) {
    const part = report.transitions.filter((t) => t.changed === wanted);
    if (part.length === 0) continue;
    lines.push(title, head);
    for (const { count, was, now, examples } of part) {
      lines.push(`${n(count).padStart(9)}  ${was.padEnd(width)}  ${now}`);
      for (const { line, time, subject, request, message } of examples)
        lines.push(`${" ".repeat(13)}line ${line}  ${time}  ${subject}  ${request}  ${message}`.trimEnd());
    }
    lines.push("");
  }
  return lines.join("\n").trimEnd();
}

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      policy: { type: "string" },
      against: { type: "string" },
      json: { type: "boolean", default: false },
      examples: { type: "string", default: "3" },
      "fail-on-change": { type: "boolean", default: false },
    },
  });
  const [file] = positionals;
  const examples = integerOf("--examples", values.examples, 0, EXAMPLES_MAX);
  if (!values.policy) throw new UsageError("--policy is missing");
  if (!file || positionals.length > 1) throw new UsageError("expected one RECORDS.jsonl");
  const wasm = filterBytes();
  const policies = [values.policy, ...(values.against ? [values.against] : [])].map((name) => ({
    name,
    ...checkPolicy(name, wasm),
  }));
  for (const { problems } of policies) for (const problem of problems) console.error(problem);
  if (policies.some(({ problems }) => problems.length > 0)) return 1;
  const [proposed, other] = policies;
  const report = await replayFile(file, {
    policy: proposed!.policy,
    ...(other && { against: other }),
    examples,
    wasm,
  });
  console.log(values.json ? JSON.stringify(report, null, 2) : text(report));
  return report.malformed.count > 0 || (values["fail-on-change"] && report.changed > 0) ? 1 : 0;
}
