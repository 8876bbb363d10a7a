/** What a ledger grants, shares, denies and refuses: the part of the suite about Acquire. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { acquire, budget, isRefused } from "../testing.ts";
import { type Denied, describeKey, type Granted, LIMITS } from "../types.ts";
import type { Suite } from "./suite.ts";

export function grantTests(suite: Suite): void {
  it("grants what is asked for and counts it down", async () => {
    const org = suite.organisation();
    const reply = await suite.ledger.acquire(acquire([budget(org, 100, { need: 30, want: 30 })]));
    assert.equal(reply.outcome, "granted");
    assert.deepEqual((reply as Granted).granted, [30]);
    assert.deepEqual((reply as Granted).remaining, [70]);
    assert.ok((reply as Granted).usableMs > 0 && (reply as Granted).usableMs <= 30_000);
    const [record] = await suite.ledger.budgets(org);
    assert.equal(record?.outstanding, 30);
    assert.equal(record?.leases, 1);
    assert.equal((await suite.ledger.leases(org)).length, 1);
    assert.ok((await suite.ledger.organisations()).includes(org));
  });

  it("grants exactly ten of fifty concurrent requests on a budget for ten", async () => {
    const org = suite.organisation();
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => suite.ledger.acquire(acquire([budget(org, 10)]))),
    );
    assert.equal(replies.filter((reply) => reply.outcome === "granted").length, 10);
  });

  it("shares what is left when much is wanted and gives no less than is needed", async () => {
    const org = suite.organisation();
    const first = await suite.ledger.acquire(acquire([budget(org, 800, { need: 1, want: 1_000 })]));
    assert.deepEqual((first as Granted).granted, [100]);
    const second = await suite.ledger.acquire(acquire([budget(org, 800, { need: 700, want: 1_000 })]));
    assert.deepEqual((second as Granted).granted, [700]);
  });

  it("tells amounts as they are up to the greatest of all", async () => {
    const org = suite.organisation();
    const ask = (need: number, want: number) =>
      suite.ledger.acquire(acquire([budget(org, LIMITS.amount, { need, want })]));
    const none = (await ask(0, 0)) as Granted;
    assert.deepEqual([none.granted, none.remaining], [[0], [LIMITS.amount]]);
    const all = (await ask(LIMITS.amount, LIMITS.amount)) as Granted;
    assert.deepEqual([all.granted, all.remaining], [[LIMITS.amount], [0]]);
    assert.equal(((await ask(1, 1)) as Denied).used, LIMITS.amount);
  });

  it("debits as many budgets at once as there may be", async () => {
    const org = suite.organisation();
    const command = acquire(
      Array.from({ length: LIMITS.budgetsPerAcquire }, (_, i) => budget(org, 100, { name: `budget-${i}` })),
    );
    assert.equal((await suite.ledger.acquire(command)).outcome, "granted");
    const spent = command.budgets.map((_, i) => i);
    assert.equal((await suite.settle(command, 1, spent, true)).status, "applied");
    const records = await suite.ledger.budgets(org);
    assert.deepEqual(
      records.map((record) => record.spent).sort((a, b) => a - b),
      spent,
    );
  });

  it("names the first budget that denies and debits none", async () => {
    const org = suite.organisation();
    const budgets = [
      budget(`${org}/team/key`, 100, { name: "key", need: 50 }),
      budget(`${org}/team`, 40, { name: "team", need: 50 }),
      budget(org, 10, { name: "all", need: 50 }),
    ];
    const reply = (await suite.ledger.acquire(acquire(budgets))) as Denied;
    assert.equal(reply.outcome, "denied");
    assert.equal(reply.budget, "team");
    assert.equal(reply.never, true);
    assert.equal(reply.limit, 40);
    assert.equal(reply.window, "month");
    assert.ok(reply.resetMs > 0 && reply.resetMs <= 31 * 86_400_000);
    assert.deepEqual(await suite.ledger.budgets(org), []);
  });

  it("answers a repeated Acquire as the first time, also after the lease has ended", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 60, want: 60 })]);
    const first = (await suite.ledger.acquire(command)) as Granted;
    const again = (await suite.ledger.acquire(command)) as Granted;
    assert.deepEqual([again.granted, again.remaining], [first.granted, first.remaining]);
    await suite.settle(command, 1, [10], true);
    const late = (await suite.ledger.acquire(command)) as Granted;
    assert.deepEqual([late.granted, late.remaining, late.usableMs], [[60], [40], 0]);
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding], [10, 0]);
  });

  it("refuses a lease id that was used for other budgets", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100)]);
    await suite.ledger.acquire(command);
    const other = { ...command, budgets: [budget(org, 100, { name: "other" })] };
    await assert.rejects(suite.ledger.acquire(other), isRefused("conflict", /other budgets/));
  });

  it("says that it is busy while leases that may come back unspent are all that stands in the way", async () => {
    const org = suite.organisation();
    const first = acquire([budget(org, 100, { need: 60 })]);
    await suite.ledger.acquire(first);
    await suite.ledger.acquire(acquire([budget(org, 100, { need: 40 })]));
    const denied = async (need: number) => {
      const reply = (await suite.ledger.acquire(acquire([budget(org, 100, { need })]))) as Denied;
      return [reply.outcome, reply.busy, reply.never, reply.notices.map(({ percent }) => percent)];
    };
    assert.deepEqual(await denied(100), ["denied", true, false, []]);
    assert.deepEqual(await denied(101), ["denied", false, true, []]);
    await suite.settle(first, 1, [60], true);
    assert.deepEqual(await denied(40), ["denied", true, false, []]);
    assert.deepEqual(await denied(41), ["denied", false, false, [100]]);
    assert.deepEqual(await denied(41), ["denied", false, false, []]);
  });

  it("is exact at the largest integers and refuses larger ones", async () => {
    const org = suite.organisation();
    const most = Number.MAX_SAFE_INTEGER;
    const command = acquire([budget(org, most, { need: most - 1 })]);
    assert.deepEqual(((await suite.ledger.acquire(command)) as Granted).remaining, [1]);
    await suite.ledger.acquire(acquire([budget(org, most, { need: 1 })]));
    assert.equal((await suite.settle(command, 1, [most])).status, "invalid");
    assert.equal((await suite.settle(command, 1, [most - 1])).status, "applied");
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding], [most - 1, 1]);
    const beyond = acquire([budget(org, most + 1)]);
    await assert.rejects(suite.ledger.acquire(beyond), isRefused("invalid_argument", /budgets\[0\]\.limit/));
  });

  it("denies everything but nothing at a limit of zero", async () => {
    const org = suite.organisation();
    const none = await suite.ledger.acquire(acquire([budget(org, 0)]));
    assert.deepEqual([none.outcome, (none as Denied).never], ["denied", true]);
    const zero = await suite.ledger.acquire(acquire([budget(org, 0, { need: 0, want: 0 })]));
    assert.deepEqual((zero as Granted).granted, [0]);
  });

  it("lets a lowered limit deny at once and keeps what was granted", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 80 })]);
    await suite.ledger.acquire(command);
    const reply = (await suite.ledger.acquire(acquire([budget(org, 50)]))) as Denied;
    assert.deepEqual([reply.outcome, reply.used, reply.limit], ["denied", 80, 50]);
    assert.equal((await suite.settle(command, 1, [80], true)).status, "applied");
  });

  it("keeps model classes, meters and windows apart", async () => {
    const org = suite.organisation();
    const budgets = [
      budget(org, 10, { modelClass: "large", need: 10 }),
      budget(org, 10, { modelClass: "small", need: 10 }),
      budget(org, 10, { meter: "requests", need: 10 }),
      budget(org, 10, { window: "hour", need: 10 }),
    ];
    assert.equal((await suite.ledger.acquire(acquire(budgets))).outcome, "granted");
    assert.equal((await suite.ledger.budgets(org)).length, 4);
  });

  it("tells the budgets of a subject and of all below it, and not of one whose name only begins so", async () => {
    const org = suite.organisation();
    const subjects = [org, `${org}/a`, `${org}/a/key`, `${org}/ab`];
    await suite.ledger.acquire(
      acquire(
        subjects.map((subject) => budget(subject, 10)),
        { subject: org },
      ),
    );
    const told = async (subject: string) =>
      (await suite.ledger.budgets(subject)).map(({ key }) => describeKey(key).subject).sort();
    assert.deepEqual(await told(org), subjects);
    assert.deepEqual(await told(`${org}/a`), [`${org}/a`, `${org}/a/key`]);
    assert.deepEqual(await told(`${org}/a/key`), [`${org}/a/key`]);
    assert.deepEqual(await told(`${org}/b`), []);
  });

  it("refuses texts that could reach another organisation's keys", async () => {
    const org = suite.organisation();
    const foreign = acquire([budget("other", 10)], { subject: org });
    await assert.rejects(suite.ledger.acquire(foreign), isRefused("invalid_argument", /begins with/));
    const braces = acquire([budget(`${org}}{x`, 10)]);
    await assert.rejects(suite.ledger.acquire(braces), isRefused("invalid_argument", /subject/));
  });
}
