/** The directory's lock: within a process, between processes, and after a kill. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { lockDirectory } from "./lock.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-lock-"));
const inUse = /is in use by another process/;

/** Another process that holds the lock until it is killed. */
async function holder(): Promise<{ kill(): Promise<void> }> {
  const source = `
    import { lockDirectory } from ${JSON.stringify(new URL("./lock.ts", import.meta.url).href)};
    await lockDirectory(${JSON.stringify(directory)});
    console.log("held");
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  return {
    kill: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await ended;
    },
  };
}

describe("the lock of a directory", () => {
  after(() => rmSync(directory, { recursive: true, force: true }));

  it("is held by one, and free again when it is released", async () => {
    const lock = await lockDirectory(directory);
    await assert.rejects(lockDirectory(directory), inUse);
    await lock.release();
    await (await lockDirectory(directory)).release();
    assert.deepEqual(readdirSync(directory), []);
  });

  it("is never held by two that come at once", async () => {
    const locks = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory)));
    const held = locks.flatMap((lock) => (lock.status === "fulfilled" ? [lock.value] : []));
    assert.ok(held.length <= 1, `held by ${held.length}`);
    await Promise.all(held.map((lock) => lock.release()));
  });

  it("keeps another process out, and dies with its holder", async () => {
    const other = await holder();
    await assert.rejects(lockDirectory(directory), inUse);
    await other.kill();
    await (await lockDirectory(directory)).release();
    assert.deepEqual(readdirSync(directory), []);
  });

  it("refuses a path that a socket's address cannot hold", async () => {
    await assert.rejects(lockDirectory(`/${"x".repeat(120)}`), /the ledger's directory .*: expected a path/);
  });
});
