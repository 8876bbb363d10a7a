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

test("the evaluation refuses data that is not there, and does not judge something else in its place", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "bench/eval.ts"], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, WEIR_DATA: "/nowhere" },
  });
  assert.deepEqual([status, stdout], [2, ""]);
  assert.equal(stderr, "eval: /nowhere is neither a JSONL file nor a directory with prompts.jsonl\n");
});
