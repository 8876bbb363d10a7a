// What benchmarks share: processor time of another process, medians, tables, and the record of a run.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("../", import.meta.url));
/** Time that the threads of process `pid` have run so far, in microseconds. Steadier on a shared machine than wall
 *  time; from the scheduler's own account, which counts nanoseconds where /proc/PID/stat counts hundredths. */
export function cpuMicros(pid: number): number {
  let nanos = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanos += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanos / 1000;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * Where the median of what `values` are a sample of lies, 19 times in 20: the values that many places on either side of the
 * middle (the sign test, by the normal approximation; from some 20 values on).
 */
export function medianInterval(values: number[]): [low: number, high: number] {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.ceil(0.98 * Math.sqrt(sorted.length));
  const middle = sorted.length >> 1;
  return [sorted[Math.max(middle - half, 0)]!, sorted[Math.min(middle + half, sorted.length - 1)]!];
}

/**
 * What a benchmark is called with: `--rounds 7`, by its defaults, of which a number takes a number. Anything else ends it with
 * one line and status 2, before it measures nothing and keeps that as a record.
 */
export function optionsOf<T extends Record<string, number | string>>(defaults: T): T {
  const asText = Object.entries(defaults).map(([name, value]) => [
    name,
    { type: "string" as const, default: String(value) },
  ]);
  try {
    const { values } = parseArgs({ options: Object.fromEntries(asText) });
    const read = Object.entries(values).map(([name, text]) => {
      if (typeof defaults[name] === "string") return [name, text];
      const value = Number(text);
      if (!(value > 0 && value < Number.POSITIVE_INFINITY))
        throw new Error(`--${name}: ${text}: expected a number above 0`);
      return [name, value];
    });
    return Object.fromEntries(read) as T;
  } catch (error) {
    const usage = Object.keys(defaults).map((name) => `[--${name} …]`);
    console.error(`${(error as Error).message} (takes ${usage.join(" ")})`);
    process.exit(2);
  }
}

/** Prints rows as a table with the keys of the first as its head. */
export function printTable(rows: Record<string, string | number>[]): void {
  const keys = Object.keys(rows[0] ?? {});
  const width = (key: string) => Math.max(key.length, ...rows.map((row) => String(row[key] ?? "").length));
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  console.log(line(keys.map((key) => key.padEnd(width(key)))));
  console.log(line(keys.map((key) => "-".repeat(width(key)))));
  for (const row of rows) console.log(line(keys.map((key) => String(row[key] ?? "").padEnd(width(key)))));
}

/** Keeps the rows of a run under bench/record/NAME.json, with what they were measured on. */
export function record(name: string, rows: unknown[]): void {
  const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, node: process.version };
  mkdirSync(join(root, "bench/record"), { recursive: true });
  const text = JSON.stringify({ date: new Date().toISOString().slice(0, 10), machine, rows }, null, 2);
  writeFileSync(join(root, `bench/record/${name}.json`), `${text}\n`);
}
