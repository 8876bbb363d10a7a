/** What a ledger makes of reports and releases, in whatever order they come. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { acquire, budget } from "../testing.ts";
import type { Denied, Granted } from "../types.ts";
import type { Suite } from "./suite.ts";

export function reportTests(suite: Suite): void {
  it("applies cumulative reports once, in whatever order they come", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 50 })]);
    await suite.ledger.acquire(command);
    assert.equal((await suite.settle(command, 2, [20])).status, "applied");
    assert.equal((await suite.settle(command, 1, [10])).status, "stale");
    assert.equal((await suite.settle(command, 2, [20])).status, "stale");
    assert.equal((await suite.settle(command, 3, [30], true)).status, "applied");
    assert.equal((await suite.settle(command, 3, [30], true)).status, "stale");
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [30, 0, 0]);
  });

  it("records what passes the grant as debt and denies afterwards", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 90 })]);
    await suite.ledger.acquire(command);
    await suite.settle(command, 1, [130], true);
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [130, 0, 40]);
    const reply = (await suite.ledger.acquire(acquire([budget(org, 100)]))) as Denied;
    assert.deepEqual([reply.outcome, reply.used, reply.never], ["denied", 130, false]);
    assert.equal(reply.busy, false);
  });

  it("grants a lease of nothing whatever is left, and takes what is reported on it for debt, once", async () => {
    const org = suite.organisation();
    const full = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(full);
    await suite.settle(full, 1, [120], true);
    const outage = acquire([budget(org, 100, { need: 0, want: 0 })]);
    const reply = (await suite.ledger.acquire(outage)) as Granted;
    assert.deepEqual([reply.outcome, reply.granted, reply.remaining], ["granted", [0], [0]]);
    assert.equal((await suite.settle(outage, 1, [7])).status, "applied");
    assert.deepEqual(((await suite.ledger.acquire(outage)) as Granted).granted, [0]);
    assert.equal((await suite.settle(outage, 2, [9], true)).status, "applied");
    assert.equal((await suite.settle(outage, 2, [9], true)).status, "stale");
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [129, 0, 29]);
  });

  it("returns the rest of a released lease, and still takes a report that was overtaken", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 50 })]);
    await suite.ledger.acquire(command);
    await suite.settle(command, 1, [20]);
    assert.equal((await suite.release(command)).status, "applied");
    assert.equal((await suite.release(command)).status, "closed");
    assert.equal((await suite.settle(command, 2, [25])).status, "closed");
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [25, 0, 5]);
  });

  it("takes what came back with a last report, and is reported all the same, for debt", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 50 })]);
    await suite.ledger.acquire(command);
    assert.equal((await suite.settle(command, 1, [20], true)).status, "applied");
    assert.equal((await suite.settle(command, 2, [45])).status, "closed");
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [45, 0, 25]);
  });

  it("knows no lease that was never granted", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100)]);
    assert.equal((await suite.settle(command, 1, [1])).status, "unknown_lease");
    assert.equal((await suite.release(command)).status, "unknown_lease");
  });

  it("changes nothing on a report with the wrong number of amounts", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100)]);
    await suite.ledger.acquire(command);
    assert.equal((await suite.settle(command, 1, [1, 1])).status, "invalid");
    assert.equal((await suite.settle(command, 1, [1])).status, "applied");
  });
}
