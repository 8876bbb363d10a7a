// Usage as CSV in, windows that stand out out: the columns and their other names, both forms of output, and lines that cannot be read.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CsvError, fieldsOf } from "../csv.ts";
import { analyze } from "./analyze.ts";
import { UsageCsv } from "./usage-csv.ts";

const START = Date.UTC(2026, 0, 5);
const iso = (minute: number) => new Date(START + minute * 60_000).toISOString();

/** An hour of ten requests a minute, and then five hundred. */
const lines = [
  "time,address,subject,requests,tokens,cost",
  ...Array.from({ length: 60 }, (_, i) => `${iso(i)},192.0.2.1,acme/search/key-7,10,1000,0.01`),
  `${iso(60)},192.0.2.1,acme/search/key-7,500,50000,0.5`,
];

async function run(text: string, json = true): Promise<{ code: number; out: string }> {
  let out = "";
  const output = {
    write: (part: string) => {
      out += part;
      return true;
    },
    once: () => output,
  };
  const input = (async function* () {
    // Cut anywhere: a line may come in pieces.
    for (let at = 0; at < text.length; at += 1000) yield Buffer.from(text.slice(at, at + 1000));
  })();
  const code = await analyze(input, output as unknown as NodeJS.WritableStream, json);
  return { code, out };
}

const parse = (out: string) =>
  out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

test("a flood is found at its address, key and organisation, in both windows", async () => {
  const { code, out } = await run(lines.join("\n"));
  const all = parse(out);
  const summary = all.pop();
  assert.equal(code, 0);
  assert.deepEqual(
    all.map((one) => `${one.window} ${one.kind} ${one.name} ${one.severity} ${one.class} ${one.value}`),
    [
      "1m address 192.0.2.1 page flood 500",
      "1m key acme/search/key-7 page flood 500",
      "1m organisation acme page flood 500",
      "5m address 192.0.2.1 page flood 500",
      "5m key acme/search/key-7 page flood 500",
      "5m organisation acme page flood 500",
    ],
  );
  assert.equal(all[0].start, iso(60));
  assert.equal(all[0].end, iso(61));
  assert.equal(summary.type, "summary");
  assert.deepEqual([summary.rows, summary.found], [61, { "page flood": 6 }]);
  const table = (await run(lines.join("\r\n"), false)).out;
  assert.match(table, /^window begins \(UTC\)/);
  assert.match(
    table,
    /2026-01-05 01:00 {5}1 min {3}page .* flood {8}address {7}192\.0\.2\.1 .* 500 requests, usually 10 requests \(recent\)/,
  );
  assert.match(table, /61 rows from .*: 6 windows stand out\n {8}6 {2}page {2}flood/);
});

test("columns have other names, any order, and times other forms", () => {
  const csv = new UsageCsv(
    "\uFEFFCost_USD,model,Client_IP,timestamp,org,api_key_id,prompt_tokens,completion_tokens",
  );
  assert.deepEqual(csv.row('$1.50,"a, ""b""",2001:db8::1,1767571200,acme,k7,30,12'), {
    timeMs: START,
    address: "2001:db8::1",
    key: "k7",
    organisation: "acme",
    requests: 1,
    tokens: 42,
    cost: 1.5,
  });
  const times = new UsageCsv("time,key");
  for (const time of [
    "2026-01-05T00:00:00Z",
    "2026-01-05 00:00:00",
    "2026-01-05T01:00:00+01:00",
    "1767571200000",
  ])
    assert.equal(times.row(`${time},k`).timeMs, START, time);
});

test("regression: a time after the last that there is was taken, and ended the command at the summary", async () => {
  const { code, out } = await run("time,key\n8640000000000001,k\n8640000000000000,k");
  assert.equal(code, 1);
  const { rows, malformed } = parse(out).at(-1);
  assert.deepEqual([rows, malformed.count], [1, 1]);
});

test("regression: 30 February was read as 2 March", () => {
  const csv = new UsageCsv("time,key");
  for (const time of ["2026-02-30T10:00:00Z", "2026-02-29 10:00", "2026-04-31T10:00:00+02:00"])
    assert.throws(
      () => csv.row(`${time},k`),
      /^Error: time: 2026-0.*: expected RFC 3339 of a day that exists/,
    );
  assert.equal(csv.row("2028-02-29 10:00,k").timeMs, Date.UTC(2028, 1, 29, 10));
});

test("a line that cannot be read is named, counted and changes the exit status; the others count", async () => {
  const bad = [...lines];
  bad.splice(
    10,
    0,
    "yesterday,192.0.2.1,a/b/c,1,1,1",
    "1,2",
    `${iso(9)},192.0.2.1,a/b/c,-1,1,1`,
    `${iso(9)},"a"b,a/b/c,1,1,1`,
  );
  const { code, out } = await run(bad.join("\n"));
  const summary = parse(out).at(-1);
  assert.equal(code, 1);
  assert.equal(summary.rows, 61);
  assert.deepEqual(summary.malformed, {
    count: 4,
    errors: [
      "line 11: time: yesterday: expected RFC 3339 of a day that exists, or seconds or milliseconds since the epoch",
      "line 12: 2 fields: expected 6",
      "line 13: requests: -1: expected a number, not negative",
      "line 14: field 2: a quote that does not end, or a quote or line end that may not be",
    ],
  });
});

test("rows that come too late are told", async () => {
  const { code, out } = await run(
    [...lines, `${iso(30)},192.0.2.1,acme/search/key-7,1,1,1`].join("\n"),
    false,
  );
  assert.equal(code, 1);
  assert.match(out, /1 rows came more than a minute late and were not counted/);
});

test("a header that names no time or nobody is refused", () => {
  for (const header of ["day,key", "time,model", ""])
    assert.throws(() => new UsageCsv(header), /line 1: .*expected the names of columns: time, and one of/);
  assert.throws(() => fieldsOf('"a"b,c'), CsvError);
  assert.deepEqual(fieldsOf('a,"b,""c""",'), ["a", 'b,"c"', ""]);
});

test("names of columns that cannot be read are told, and no other line is taken for them", async () => {
  await assert.rejects(
    run('time,"key\n1700000000,k'),
    /^WeirError: line 1: field 2: a quote that does not end, or/,
  );
  const long = `time,"${"k".repeat(10_000_000)}\n1700000000,k`;
  await assert.rejects(run(long), /^WeirError: line 1: field 2: a quote that does not end, or/);
});

test("the command reads a file or standard input", () => {
  const folder = mkdtempSync(join(tmpdir(), "weir-analyze-"));
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const weir = (args: string[], input = "") =>
    spawnSync(process.execPath, ["--import", "tsx", main, "analyze", ...args], { encoding: "utf8", input });
  try {
    const file = join(folder, "usage.csv");
    writeFileSync(file, lines.join("\n"));
    assert.equal(weir(["--json", file]).stdout, weir(["--json", "-"], lines.join("\n")).stdout);
    assert.equal(weir([]).status, 2);
    const missing = weir([join(folder, "none.csv")]);
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /none\.csv: cannot be read: ENOENT/);
    assert.match(weir(["-"], "").stderr, /the usage is empty/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
