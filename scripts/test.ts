// `make test`: builds, then runs every test file with Node's own runner, one process a file and two files at a time,
// and adds up what they say. The last line is `N passed, N failed`.
//
//   npx tsx scripts/test.ts [PART …]      only files whose path contains one of the parts
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const FOLDERS = ["host", "kong", "sidecar", "test"];
/** A file that takes longer hangs. */
const FILE_MS_MAX = 600_000;

interface Outcome {
  file: string;
  passed: number;
  failed: number;
  skipped: number;
  output: string;
  seconds: number;
}

function testFiles(parts: string[]): string[] {
  const all = FOLDERS.flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((name) => name.endsWith(".test.ts") && !name.includes("node_modules"))
      .map((name) => join(folder, name)),
  ).sort();
  return parts.length === 0 ? all : all.filter((file) => parts.some((part) => file.includes(part)));
}

/** End-to-end tests start servers and measure waiting: they run one at a time, after the others. */
const alone = (file: string) => /^test[/\\](e2e|kill|deploy|observability)[/\\]/.test(file);

function run(file: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const begun = Date.now();
    const child = spawn(process.execPath, ["--import", "tsx", "--test", "--test-reporter=tap", file], {
      cwd: root,
    });
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    child.stderr.on("data", (data) => {
      output += data;
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), FILE_MS_MAX);
    child.on("close", (code) => {
      clearTimeout(timer);
      const tally = (name: string) => Number(output.match(new RegExp(`^# ${name} (\\d+)$`, "m"))?.[1] ?? 0);
      const failed = tally("fail") + tally("cancelled");
      const passed = tally("pass");
      // A file that ended badly without naming a failed test has failed all the same.
      const silent = failed === 0 && (code !== 0 || passed + tally("skipped") === 0);
      resolve({
        file,
        passed,
        failed: failed + (silent ? 1 : 0),
        skipped: tally("skipped"),
        output,
        seconds: (Date.now() - begun) / 1000,
      });
    });
  });
}

async function runAll(files: string[], atOnce: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...files];
  const worker = async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const outcome = await run(file);
      outcomes.push(outcome);
      const skipped = outcome.skipped ? `, ${outcome.skipped} skipped` : "";
      console.log(
        `${outcome.failed ? "✗" : "✓"} ${file}: ${outcome.passed} passed${skipped} (${outcome.seconds.toFixed(1)} s)`,
      );
      if (outcome.failed) console.log(outcome.output.slice(-20_000));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return outcomes;
}

await build();
const files = testFiles(process.argv.slice(2));
const outcomes = [
  ...(await runAll(
    files.filter((f) => !alone(f)),
    2,
  )),
  ...(await runAll(files.filter(alone), 1)),
];
const sum = (pick: (o: Outcome) => number) => outcomes.reduce((total, outcome) => total + pick(outcome), 0);
const [passed, failed] = [sum((o) => o.passed), sum((o) => o.failed)];
for (const outcome of outcomes) if (outcome.failed) console.log(`failed: ${outcome.file}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
