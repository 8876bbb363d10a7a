// What benchmarks say to options that are none: a line, and no table of a measurement that did not take place.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const module = new URL("../../bench/measure.ts", import.meta.url).href;
const root = fileURLToPath(new URL("../../", import.meta.url));

function optionsOf(...args: string[]) {
  const script = `import { optionsOf } from "${module}";
    console.log(JSON.stringify(optionsOf({ rounds: 7, serve: "" })));`;
  const flags = ["--import", "tsx", "--input-type=module", "-e", script, "--", ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, flags, { cwd: root, encoding: "utf8" });
  return { status, stdout, stderr };
}

test("a benchmark takes numbers above 0 and refuses anything else in one line", () => {
  assert.deepEqual(JSON.parse(optionsOf().stdout), { rounds: 7, serve: "" });
  assert.deepEqual(JSON.parse(optionsOf("--rounds", "0.5", "--serve=x").stdout), { rounds: 0.5, serve: "x" });
  for (const args of [["--help"], ["--rounds", "x"], ["--rounds="], ["--rounds", "0"], ["5"]]) {
    const { status, stdout, stderr } = optionsOf(...args);
    assert.deepEqual([status, stdout], [2, ""], args.join(" "));
    assert.match(stderr, /^[^\n]+ \(takes \[--rounds …\] \[--serve …\]\)\n$/);
  }
});
