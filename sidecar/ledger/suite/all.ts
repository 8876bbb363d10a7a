/**
 * What every ledger must do, whatever keeps it. Each store's test file calls `ledgerSuite` with a way to open one; the
 * finer rules (expiry, roll-over, late reports) need a clock and are in machine.test.ts and test/sim, which also replays
 * its histories on Redis.
 */
import { after, before, describe } from "node:test";
import { grantTests } from "./grants.ts";
import { keptTests } from "./kept.ts";
import { noticeTests } from "./notices.ts";
import { reportTests } from "./reports.ts";
import { type OpenedLedger, Suite } from "./suite.ts";

export function ledgerSuite(
  name: string,
  open: () => Promise<OpenedLedger>,
  skip: string | false = false,
): void {
  describe(`the ${name} ledger`, { skip }, () => {
    const suite = new Suite();
    before(() => suite.open(open));
    after(() => suite.stop());
    grantTests(suite);
    reportTests(suite);
    noticeTests(suite);
    keptTests(suite);
  });
}
