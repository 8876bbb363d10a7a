/** What a ledger has again after its process is gone. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { acquire, budget } from "../testing.ts";
import type { Granted } from "../types.ts";
import type { Suite } from "./suite.ts";

export function keptTests(suite: Suite): void {
  it("has everything again after it was opened anew, if it keeps anything", async () => {
    if (!suite.keeps) return;
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 60 })]);
    const first = (await suite.ledger.acquire(command)) as Granted;
    await suite.settle(command, 1, [30]);
    const before = [
      await suite.ledger.budgets(org),
      await suite.ledger.leases(org),
      await suite.ledger.journal(org),
    ];
    await suite.reopen();
    assert.deepEqual(
      [await suite.ledger.budgets(org), await suite.ledger.leases(org), await suite.ledger.journal(org)],
      before,
    );
    assert.deepEqual(((await suite.ledger.acquire(command)) as Granted).granted, first.granted);
    assert.equal((await suite.settle(command, 1, [30])).status, "stale");
    assert.equal((await suite.settle(command, 2, [40], true)).status, "applied");
  });

  it("tells that 80 % are spent no second time after it was opened anew", async () => {
    if (!suite.keeps) return;
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    const [notice] = (await suite.settle(command, 1, [80])).notices;
    assert.deepEqual([notice?.budget, notice?.subject, notice?.percent], ["monthly", org, 80]);
    await suite.reopen();
    // The answer was lost with the process that gave it: the edge repeats the report, then makes a newer one.
    assert.deepEqual((await suite.settle(command, 1, [80])).notices, []);
    assert.deepEqual((await suite.settle(command, 2, [90])).notices, []);
    assert.deepEqual(
      (await suite.settle(command, 3, [100], true)).notices.map(({ percent }) => percent),
      [100],
    );
  });

  it("has the notices that nobody told, and none that somebody did", async () => {
    if (!suite.keeps) return;
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    const [first] = (await suite.settle(command, 1, [80])).notices;
    await suite.settle(command, 2, [100], true);
    await suite.ledger.told(org, [first?.id ?? ""]);
    const left = await suite.ledger.untold(org);
    assert.deepEqual(
      left.map(({ percent }) => percent),
      [100],
    );
    await suite.reopen();
    assert.deepEqual(await suite.ledger.untold(org), left);
  });
}
