/** The shared suite on the pure machine in memory, and on the embedded store. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbedded } from "./embedded.ts";
import { LocalLedger } from "./local.ts";
import { ledgerSuite } from "./suite/all.ts";
import type { Ledger } from "./types.ts";

ledgerSuite("in-memory", async () => {
  const ledger = new LocalLedger();
  return { ledger, stop: () => ledger.close() };
});

ledgerSuite("embedded", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-ledger-"));
  let current: Ledger = await openEmbedded({ directory });
  return {
    ledger: current,
    reopen: async () => {
      current = await openEmbedded({ directory });
      return current;
    },
    stop: async () => {
      await current.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
});
