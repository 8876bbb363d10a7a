// `make bench`: every benchmark, one after the other, each a process of its own. Each prints a table, checks its
// answers, and fails the run when they are wrong. Arguments select benchmarks by name.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL("./", import.meta.url));
/** Not benchmarks: what they share, this, and the evaluation (`make eval`). */
const OTHERS = new Set([
  "run.ts",
  "measure.ts",
  "chat-body.ts",
  "eval.ts",
  "load.ts",
  "texts.ts",
  "inspector.ts",
  "without.ts",
]);

const wanted = process.argv.slice(2);
const names = readdirSync(here)
  .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && !OTHERS.has(name))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();
const failed: string[] = [];
for (const name of names) {
  console.log(`\n## ${name.replace(/\.ts$/, "")}\n`);
  const { status } = spawnSync(process.execPath, ["--import", "tsx", here + name], { stdio: "inherit" });
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) console.error(`failed: ${failed.join(", ")}`);
process.exit(failed.length > 0 ? 1 : 0);
