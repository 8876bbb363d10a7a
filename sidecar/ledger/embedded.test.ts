/** What the embedded store does with directories and files as it finds them; as a ledger it is tested in local.test.ts. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { WeirError } from "../errors.ts";
import { openEmbedded } from "./embedded.ts";
import { acquire, budget, isRefused } from "./testing.ts";

/** Fills the ledger in the directory it is given until a write fails; tells how many Acquires were answered, and what then was. */
const FILL = `
import { openEmbedded } from "./sidecar/ledger/embedded.ts";
import { acquire, budget } from "./sidecar/ledger/testing.ts";
process.on("SIGXFSZ", () => {});
const ledger = await openEmbedded({ directory: process.argv[1] });
const grant = (i) => ledger.acquire(acquire([budget("acme/t/key-" + i, 100)]));
let answered = 0;
let failure;
const worker = async () => {
  while (failure === undefined) await grant(answered++).catch((thrown) => { failure = thrown; answered--; });
};
await Promise.all(Array.from({ length: 8 }, worker));
const next = await grant(0).catch(({ code }) => code);
// What nobody listens to has ended the process by then.
await new Promise((resolve) => setTimeout(resolve, 100));
console.log(JSON.stringify([answered, failure.message, String(failure.cause), next, await ledger.ready()]));
await ledger.close();
`;

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

  it("tells that records are missing, where a damaged page reads as one that holds fewer", async () => {
    const directory = join(root, "damaged");
    const made = await openEmbedded({ directory });
    for (let i = 0; i < 100; i++) await made.acquire(acquire([budget(`acme/${i}`, 100, { need: 60 })]));
    await made.close();
    const bytes = readFileSync(join(directory, "data.mdb"));
    const pageBytes = bytes.readUInt32LE(48);
    for (let at = 2 * pageBytes; at < bytes.length; at += pageBytes) {
      const page = bytes.subarray(at, at + pageBytes);
      // A leaf, at whose end its list of nodes is told; two bytes for each.
      if (page.readUInt16LE(18) === 2 && page.includes("b/acme/"))
        page.writeUInt16LE(page.readUInt16LE(20) - 2, 20);
    }
    await assert.rejects(
      openEmbedded({ directory: holding("with-fewer", bytes) }),
      isRefused("unavailable", /with-fewer\/data\.mdb: \d+ of 200 records can be read: it is damaged/),
    );
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

  it("regression: a new ledger on a full disk ended the process without a word, and one that is there is read", (t) => {
    const directory = join(root, "no-room");
    const open = `
import { openEmbedded } from "./sidecar/ledger/embedded.ts";
for (const name of ["old", "new"])
  await openEmbedded({ directory: process.argv[1] + "/" + name })
    .then((ledger) => ledger.close())
    .then(() => console.log("opened"), ({ message }) => console.log(message));
`;
    const shell = `mount -t tmpfs -o size=1m none "$2" || exit 99
      mkdir "$2/old" "$2/new" && cp "$3"/*.mdb "$2/old" && head -c 2m /dev/zero > "$2/filler"
      exec "$0" --import tsx --input-type=module -e "$1" "$2"`;
    mkdirSync(directory);
    const from = join(root, "made");
    const args = ["-rm", "sh", "-c", shell, process.execPath, open, directory, from];
    const { status, stdout, stderr, error } = spawnSync("unshare", args, { encoding: "utf8" });
    if (error || status === 99 || /unshare/.test(stderr))
      return t.skip("this system lets nobody mount a small disk");
    const why = `the ledger's directory ${directory}/new: 0 bytes are free on its disk: expected at least 262144`;
    assert.deepEqual([status, stdout], [0, `opened\n${why}\n`], stderr);
  });

  it("refuses everything once its disk is full, says why, goes on living, and has all that it answered when there is room", async () => {
    const directory = join(root, "full");
    const shell = 'ulimit -f 2048 && exec "$0" --import tsx --input-type=module -e "$1" "$2"';
    const child = spawnSync("sh", ["-c", shell, process.execPath, FILL, directory], { encoding: "utf8" });
    assert.equal(child.status, 0, child.stderr);
    const [answered, message, cause, next, ready] = JSON.parse(child.stdout);
    assert.match(message, /^the ledger cannot write: (EFBIG: file too large|EIO: i\/o error); restart it$/);
    // The system's reason, or LMDB's where the first part of a write had room.
    assert.match(cause, /^Error: (File too large|Input\/output error)/);
    assert.deepEqual([next, ready], ["unavailable", 0]);
    const ledger = await openEmbedded({ directory });
    const leases = await ledger.leases("acme");
    assert.ok(answered > 100 && leases.length >= answered, `${leases.length} of ${answered}`);
    await ledger.close();
  });
});
