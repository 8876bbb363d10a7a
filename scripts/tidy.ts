// What a formatter cannot see: files that do not say what they are, unfinished marks, tests switched off, paths of
// one machine, and files too large to have one purpose.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const SOURCE = /\.(ts|lua|proto)$/;
const GENERATED = /\.gen\.ts$|_pb\.ts$/;
/** Kept exactly as others published it. */
const VENDORED = /^test\/otel\/proto\//;
/** Longer files, each with its reason. */
const LONG: Record<string, string> = {};
const LINES_MAX = 500;

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file && existsSync(`${root}/${file}`));

const problems: string[] = [];
for (const file of files.filter(
  (name) => SOURCE.test(name) && !GENERATED.test(name) && !VENDORED.test(name),
)) {
  const text = readFileSync(`${root}/${file}`, "utf8");
  const lines = text.split("\n");
  const test = /\.test\.ts$|\.entry\.ts$/.test(file);
  if (!test && !/^(\/\/|\/\*|--|#!)/.test(lines[0] ?? ""))
    problems.push(`${file}:1: expected a comment that says what the file is`);
  if (lines.length > LINES_MAX && !LONG[file] && !test)
    problems.push(`${file}: ${lines.length} lines: expected at most ${LINES_MAX}`);
  lines.forEach((line, i) => {
    if (/\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b/.test(line)) problems.push(`${file}:${i + 1}: an unfinished mark`);
    if (/\b(test|it|describe|suite)\.(only|todo)\(/.test(line))
      problems.push(`${file}:${i + 1}: a test that is alone or to be written`);
    if (/\/(home|root|work)\/[a-z]/.test(line)) problems.push(`${file}:${i + 1}: a path of one machine`);
  });
}
for (const problem of problems) console.error(problem);
process.exit(problems.length ? 1 : 0);
