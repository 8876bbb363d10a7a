/** The file of events on a disk that is full for a while: what fits is there, whole, and the reason is told. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { openLines } from "./lines.ts";

const hasLimits = spawnSync("prlimit", ["--version"]).status === 0;

it("the file of events is written again when its disk has room again, and no line is torn", {
  skip: hasLimits ? false : "needs prlimit",
}, () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-lines-"));
  const file = join(directory, "events.jsonl");
  // The largest file that the process may write stands for the disk. It is another process, as this one writes files of its own.
  const script = `
    import { execFileSync } from "node:child_process";
    import { openLines } from ${JSON.stringify(fileURLToPath(new URL("lines.ts", import.meta.url)))};
    const room = (bytes) => execFileSync("prlimit", ["--pid", String(process.pid), "--fsize=" + bytes + ":"]);
    process.on("SIGXFSZ", () => undefined);
    const failures = [];
    const lines = await openLines(${JSON.stringify(file)}, () => undefined, (error) => failures.push(error.message));
    const write = (n) => new Promise((resolve) => lines.write({ type: "t", n, text: "x".repeat(80) }, resolve));
    const outcomes = [await write(1)];
    room(150);
    outcomes.push(await write(2), await write(3));
    room("unlimited");
    outcomes.push(await write(4));
    await lines.close(1000);
    console.log(JSON.stringify({ outcomes, failures }));`;
  const ran = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
  });
  assert.equal(ran.status, 0, ran.stderr);
  const { outcomes, failures } = JSON.parse(ran.stdout);
  assert.deepEqual(outcomes, ["delivered", "failed", "failed", "delivered"]);
  assert.match(failures[0], /^EFBIG: file too large/);
  const whole = readFileSync(file, "utf8")
    .split("\n")
    .flatMap((line) => {
      try {
        return [JSON.parse(line).n];
      } catch {
        return [];
      }
    });
  assert.deepEqual(whole, [1, 4]);
  rmSync(directory, { recursive: true });
});

it("the first line after a start is whole, also where the process before died within one", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-lines-"));
  const file = join(directory, "events.jsonl");
  const write = async (n: number) => {
    const lines = await openLines(
      file,
      () => undefined,
      (error) => assert.fail(String(error)),
    );
    lines.write({ type: "t", n });
    await lines.close(1_000);
  };
  await write(1);
  appendFileSync(file, '{"type":"t","n":');
  await write(2);
  await write(3);
  const text = readFileSync(file, "utf8");
  rmSync(directory, { recursive: true });
  assert.equal(text, '{"type":"t","n":1}\n{"type":"t","n":\n{"type":"t","n":2}\n{"type":"t","n":3}\n');
});

it("a pipe of events is not waited for, neither at the start nor at the end, and its reader gets what there is", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-lines-"));
  const file = join(directory, "events.pipe");
  assert.equal(spawnSync("mkfifo", [file]).status, 0);
  const script = `
    import { openLines } from ${JSON.stringify(fileURLToPath(new URL("lines.ts", import.meta.url)))};
    import { createReadStream } from "node:fs";
    const lines = await openLines(${JSON.stringify(file)}, () => undefined, () => undefined);
    const write = (n, text) => new Promise((resolve) => lines.write({ type: "t", n, text }, resolve));
    const outcomes = [await write(1, "")];
    const reader = createReadStream(${JSON.stringify(file)});
    const [got] = await new Promise((resolve) => reader.once("data", (data) => resolve([String(data)])));
    reader.pause();
    [2, 3].forEach((n) => write(n, "x".repeat(1 << 20)));
    await lines.close(100);
    console.log(JSON.stringify({ got, outcomes }));
    process.exit(0);`;
  const ran = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    encoding: "utf8",
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    timeout: 10_000,
  });
  rmSync(directory, { recursive: true });
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual(JSON.parse(ran.stdout), {
    got: '{"type":"t","n":1,"text":""}\n',
    outcomes: ["delivered"],
  });
});

it("a file of events that cannot be opened is told with its path and the reason", async () => {
  const opened = openLines(
    "/nowhere/events.jsonl",
    () => undefined,
    () => undefined,
  );
  await assert.rejects(opened, /the file of events \/nowhere\/events\.jsonl cannot be written: ENOENT/);
});
