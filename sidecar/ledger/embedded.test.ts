/** What the embedded store does with directories and files as it finds them; as a ledger it is tested in local.test.ts. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WeirError } from "../errors.ts";
import { openEmbedded } from "./embedded.ts";
import { acquire, budget } from "./testing.ts";

describe("the embedded ledger", () => {
  const root = mkdtempSync(join(tmpdir(), "weir-embedded-"));
  after(() => rmSync(root, { recursive: true, force: true }));

  /** A directory with these bytes as its ledger's file. */
  const holding = (name: string, bytes: Uint8Array) => {
    const directory = join(root, name);
    mkdirSync(directory);
    writeFileSync(join(directory, "data.mdb"), bytes);
    return directory;
  };

  it("opens what it made, a copy of it, and an empty file", async () => {
    const directory = join(root, "made");
    const made = await openEmbedded({ directory });
    await made.acquire(acquire([budget("acme/search", 100, { need: 60 })]));
    await made.close();
    const copied = holding("copied", new Uint8Array(0));
    copyFileSync(join(directory, "data.mdb"), join(copied, "data.mdb"));
    for (const [found, organisations] of [
      [directory, ["acme"]],
      [copied, ["acme"]],
      [holding("empty", new Uint8Array(0)), []],
    ] as const) {
      const ledger = await openEmbedded({ directory: found });
      assert.deepEqual(await ledger.organisations(), organisations);
      await ledger.close();
    }
  });

  it("tells that a file is no ledger instead of ending the process", async () => {
    const whole = readFileSync(join(root, "made", "data.mdb"));
    const page = whole.readUInt32LE(48);
    const damaged = Buffer.from(whole).fill(0xa5, page, 2 * page);
    for (const [name, bytes] of [
      ["noise", Buffer.alloc(100_000, 0xa5)],
      ["text", Buffer.from("not a ledger\n")],
      ["cut-in-its-first-page", whole.subarray(0, page)],
      ["damaged-in-its-second-page", damaged],
    ] as const) {
      const directory = holding(name, bytes);
      await assert.rejects(
        openEmbedded({ directory }),
        (thrown) =>
          thrown instanceof WeirError &&
          thrown.code === "unavailable" &&
          thrown.message.startsWith(
            `${join(directory, "data.mdb")}: ${bytes.length} bytes that are no ledger`,
          ),
      );
      assert.deepEqual(readFileSync(join(directory, "data.mdb")), Buffer.from(bytes), "it stays as it is");
    }
  });

  it("makes a directory with its parents, and tells where the system makes none", async () => {
    const ledger = await openEmbedded({ directory: join(root, "a", "b") });
    await ledger.close();
    for (const directory of ["/proc/none", "/proc/none/below", "/dev/null", "/dev/null/below"])
      await assert.rejects(
        openEmbedded({ directory }),
        (thrown) =>
          thrown instanceof WeirError &&
          thrown.code === "unavailable" &&
          thrown.message.startsWith(`the ledger's directory ${directory} cannot be used: E`),
      );
  });

  it("takes a directory with a dot in its name for one", async () => {
    const ledger = await openEmbedded({ directory: join(root, "weir.d") });
    await ledger.close();
  });
});
