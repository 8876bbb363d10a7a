/**
 * What every ledger must do, whatever keeps it. Each store's test file calls `ledgerSuite` with a way to open one; the
 * finer rules (expiry, roll-over, late reports) need a clock and are in machine.test.ts and test/sim, which also replays
 * its histories on Redis.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { WeirError } from "../errors.ts";
import type { Acquire, Adjust, BudgetRequest, Denied, Granted, Ledger } from "./types.ts";

export interface OpenedLedger {
  readonly ledger: Ledger;
  /** Another one on the same data, after the first was closed. Absent where nothing is kept. */
  readonly reopen?: () => Promise<Ledger>;
  readonly stop: () => Promise<void>;
}

export function budget(subject: string, limit: number, more: Partial<BudgetRequest> = {}): BudgetRequest {
  return {
    name: "monthly",
    subject,
    meter: "tokens",
    limit,
    window: "month",
    timeZone: "UTC",
    billingDay: 1,
    modelClass: "",
    need: 1,
    want: 1,
    ...more,
  };
}

export function acquire(budgets: BudgetRequest[], more: Partial<Acquire> = {}): Acquire {
  return {
    kind: "acquire",
    leaseId: randomUUID(),
    edge: "edge-1",
    subject: budgets.at(-1)?.subject ?? "",
    budgets,
    ttlMs: 60_000,
    onExpiry: "charge_reported",
    ...more,
  };
}

const isRefused = (code: string, pattern: RegExp) => (error: WeirError) =>
  error.code === code && pattern.test(error.message);

export function ledgerSuite(
  name: string,
  open: () => Promise<OpenedLedger>,
  skip: string | false = false,
): void {
  describe(`the ${name} ledger`, { skip }, () => {
    let opened: OpenedLedger;
    let ledger: Ledger;
    /** Every test has an organisation of its own. */
    let count = 0;
    const organisation = (): string => `org-${++count}-${randomUUID().slice(0, 8)}`;
    const settle = (command: Acquire, sequence: number, spent: number[], final = false) =>
      ledger.settle({
        kind: "settle",
        leaseId: command.leaseId,
        subject: command.subject,
        sequence,
        spent,
        final,
      });
    const release = ({ leaseId, subject }: Acquire) => ledger.release({ kind: "release", leaseId, subject });

    before(async () => {
      opened = await open();
      ledger = opened.ledger;
    });
    after(() => opened.stop());

    it("grants what is asked for and counts it down", async () => {
      const org = organisation();
      const reply = await ledger.acquire(acquire([budget(org, 100, { need: 30, want: 30 })]));
      assert.equal(reply.outcome, "granted");
      assert.deepEqual((reply as Granted).granted, [30]);
      assert.deepEqual((reply as Granted).remaining, [70]);
      assert.ok((reply as Granted).usableMs > 0 && (reply as Granted).usableMs <= 30_000);
      const [record] = await ledger.budgets(org);
      assert.equal(record?.outstanding, 30);
      assert.equal(record?.leases, 1);
      assert.equal((await ledger.leases(org)).length, 1);
      assert.ok((await ledger.organisations()).includes(org));
    });

    it("grants exactly ten of fifty concurrent requests on a budget for ten", async () => {
      const org = organisation();
      const replies = await Promise.all(
        Array.from({ length: 50 }, () => ledger.acquire(acquire([budget(org, 10)]))),
      );
      assert.equal(replies.filter((reply) => reply.outcome === "granted").length, 10);
    });

    it("shares what is left when much is wanted and gives no less than is needed", async () => {
      const org = organisation();
      const first = await ledger.acquire(acquire([budget(org, 800, { need: 1, want: 1_000 })]));
      assert.deepEqual((first as Granted).granted, [100]);
      const second = await ledger.acquire(acquire([budget(org, 800, { need: 700, want: 1_000 })]));
      assert.deepEqual((second as Granted).granted, [700]);
    });

    it("names the first budget that denies and debits none", async () => {
      const org = organisation();
      const budgets = [
        budget(`${org}/team/key`, 100, { name: "key", need: 50 }),
        budget(`${org}/team`, 40, { name: "team", need: 50 }),
        budget(org, 10, { name: "all", need: 50 }),
      ];
      const reply = (await ledger.acquire(acquire(budgets))) as Denied;
      assert.equal(reply.outcome, "denied");
      assert.equal(reply.budget, "team");
      assert.equal(reply.never, true);
      assert.equal(reply.limit, 40);
      assert.equal(reply.window, "month");
      assert.ok(reply.resetMs > 0 && reply.resetMs <= 31 * 86_400_000);
      assert.deepEqual(await ledger.budgets(org), []);
    });

    it("answers a repeated Acquire as the first time, also after the lease has ended", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 60, want: 60 })]);
      const first = (await ledger.acquire(command)) as Granted;
      const again = (await ledger.acquire(command)) as Granted;
      assert.deepEqual([again.granted, again.remaining], [first.granted, first.remaining]);
      await settle(command, 1, [10], true);
      const late = (await ledger.acquire(command)) as Granted;
      assert.deepEqual([late.granted, late.remaining, late.usableMs], [[60], [40], 0]);
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding], [10, 0]);
    });

    it("refuses a lease id that was used for other budgets", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100)]);
      await ledger.acquire(command);
      const other = { ...command, budgets: [budget(org, 100, { name: "other" })] };
      await assert.rejects(ledger.acquire(other), isRefused("conflict", /other budgets/));
    });

    it("applies cumulative reports once, in whatever order they come", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 50 })]);
      await ledger.acquire(command);
      assert.equal((await settle(command, 2, [20])).status, "applied");
      assert.equal((await settle(command, 1, [10])).status, "stale");
      assert.equal((await settle(command, 2, [20])).status, "stale");
      assert.equal((await settle(command, 3, [30], true)).status, "applied");
      assert.equal((await settle(command, 3, [30], true)).status, "stale");
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [30, 0, 0]);
    });

    it("records what passes the grant as debt and denies afterwards", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 90 })]);
      await ledger.acquire(command);
      await settle(command, 1, [130], true);
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [130, 0, 40]);
      const reply = (await ledger.acquire(acquire([budget(org, 100)]))) as Denied;
      assert.deepEqual([reply.outcome, reply.used, reply.never], ["denied", 130, false]);
      assert.equal(reply.busy, false);
    });

    it("grants a lease of nothing whatever is left, and takes what is reported on it for debt, once", async () => {
      const org = organisation();
      const full = acquire([budget(org, 100, { need: 100 })]);
      await ledger.acquire(full);
      await settle(full, 1, [120], true);
      const outage = acquire([budget(org, 100, { need: 0, want: 0 })]);
      const reply = (await ledger.acquire(outage)) as Granted;
      assert.deepEqual([reply.outcome, reply.granted, reply.remaining], ["granted", [0], [0]]);
      assert.equal((await settle(outage, 1, [7])).status, "applied");
      assert.deepEqual(((await ledger.acquire(outage)) as Granted).granted, [0]);
      assert.equal((await settle(outage, 2, [9], true)).status, "applied");
      assert.equal((await settle(outage, 2, [9], true)).status, "stale");
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [129, 0, 29]);
    });

    it("says that it is busy while leases that may come back unspent are all that stands in the way", async () => {
      const org = organisation();
      const first = acquire([budget(org, 100, { need: 60 })]);
      await ledger.acquire(first);
      await ledger.acquire(acquire([budget(org, 100, { need: 40 })]));
      const denied = async (need: number) => {
        const reply = (await ledger.acquire(acquire([budget(org, 100, { need })]))) as Denied;
        return [reply.outcome, reply.busy, reply.never, reply.notices.map(({ percent }) => percent)];
      };
      assert.deepEqual(await denied(100), ["denied", true, false, []]);
      assert.deepEqual(await denied(101), ["denied", false, true, []]);
      await settle(first, 1, [60], true);
      assert.deepEqual(await denied(40), ["denied", true, false, []]);
      assert.deepEqual(await denied(41), ["denied", false, false, [100]]);
      assert.deepEqual(await denied(41), ["denied", false, false, []]);
    });

    it("returns the rest of a released lease, and still takes a report that was overtaken", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 50 })]);
      await ledger.acquire(command);
      await settle(command, 1, [20]);
      assert.equal((await release(command)).status, "applied");
      assert.equal((await release(command)).status, "closed");
      assert.equal((await settle(command, 2, [25])).status, "closed");
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [25, 0, 5]);
    });

    it("knows no lease that was never granted", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100)]);
      assert.equal((await settle(command, 1, [1])).status, "unknown_lease");
      assert.equal((await release(command)).status, "unknown_lease");
    });

    it("changes nothing on a report with the wrong number of amounts", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100)]);
      await ledger.acquire(command);
      assert.equal((await settle(command, 1, [1, 1])).status, "invalid");
      assert.equal((await settle(command, 1, [1])).status, "applied");
    });

    it("counts an adjustment by hand once, keeps who made it and why, and tells again what it brought back", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 100 })]);
      await ledger.acquire(command);
      await settle(command, 1, [100], true);
      const key = (await ledger.budgets(org))[0]?.key ?? "";
      const adjust = async (id: string, amount: number, more: Partial<Adjust> = {}) => {
        const reply = await ledger.adjust({
          ...{ kind: "adjust", id, subject: org, budget: key, amount, by: "ana", reason: "Störung, 3 Uhr" },
          ...more,
        });
        return [reply.status, reply.spent, reply.notices.map(({ percent }) => percent)];
      };
      assert.deepEqual(await adjust("a-1", -60), ["applied", 40, []]);
      assert.deepEqual(await adjust("a-1", -60), ["repeated", 40, []]);
      assert.deepEqual(await adjust("a-2", -41), ["invalid", 40, []]);
      assert.deepEqual(await adjust("a-3", 45), ["applied", 85, [80]]);
      assert.deepEqual(await adjust("a-4", 1, { budget: key.replace("monthly", "other") }), [
        "unknown_budget",
        0,
        [],
      ]);
      await assert.rejects(adjust(command.leaseId, 1), isRefused("conflict", /something else/));
      await assert.rejects(adjust("a-5", 0), isRefused("invalid_argument", /amount: 0/));
      await assert.rejects(adjust("a-5", 1, { subject: "other" }), isRefused("invalid_argument", /budget:/));
      await assert.rejects(
        adjust("a-5", 1, { reason: "two\nlines" }),
        isRefused("invalid_argument", /reason/),
      );
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [85, 0, 45]);
      const adjusted = (await ledger.journal(org)).filter(({ kind }) => kind === "adjusted");
      assert.deepEqual(
        adjusted.map(({ leaseId, edge, amount, reason }) => [leaseId, edge, amount, reason]),
        [
          ["a-1", "ana", -60, "Störung, 3 Uhr"],
          ["a-3", "ana", 45, "Störung, 3 Uhr"],
        ],
      );
      assert.equal((await ledger.acquire(acquire([budget(org, 100, { need: 16 })]))).outcome, "denied");
      assert.equal((await ledger.acquire(acquire([budget(org, 100, { need: 15 })]))).outcome, "granted");
    });

    it("tells once that 80 % and 100 % are spent", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 100 })]);
      await ledger.acquire(command);
      const told = async (sequence: number, spent: number): Promise<unknown[]> =>
        (await settle(command, sequence, [spent])).notices.map(({ percent }) => percent);
      assert.deepEqual(await told(1, 79), []);
      assert.deepEqual(await told(2, 80), [80]);
      assert.deepEqual(await told(3, 99), []);
      assert.deepEqual(await told(4, 100), [100]);
      assert.deepEqual(await told(5, 120), []);
      const kinds = (await ledger.journal(org)).map(({ kind, amount }) => [kind, amount]);
      assert.deepEqual(kinds, [
        ["notice", 80],
        ["notice", 100],
      ]);
    });

    it("warns, as long as it is so, of the fullest budget of an open lease, and of none once it has ended", async () => {
      const org = organisation();
      const budgets = [
        budget(`${org}/key`, 100, { name: "key", need: 100 }),
        budget(org, 200, { name: "all", need: 100 }),
      ];
      const command = acquire(budgets);
      assert.equal(((await ledger.acquire(command)) as Granted).warning, null);
      const told = async (sequence: number, spent: number[]) => {
        const { warning } = await settle(command, sequence, spent);
        return warning && [warning.budget, warning.percent, warning.resetMs > 0];
      };
      assert.equal(await told(1, [79, 79]), null);
      assert.deepEqual(await told(2, [80, 80]), [0, 80, true]);
      assert.deepEqual(await told(2, [80, 80]), [0, 80, true]);
      assert.deepEqual(await told(3, [85, 190]), [1, 95, true]);
      assert.deepEqual(((await ledger.acquire(command)) as Granted).warning?.percent, 95);
      const next = acquire([budget(`${org}/key`, 100, { name: "key", need: 0 })]);
      assert.deepEqual(((await ledger.acquire(next)) as Granted).warning?.percent, 85);
      assert.equal((await settle(command, 4, [90, 190], true)).warning, null);
    });

    it("is exact at the largest integers and refuses larger ones", async () => {
      const org = organisation();
      const most = Number.MAX_SAFE_INTEGER;
      const command = acquire([budget(org, most, { need: most - 1 })]);
      assert.deepEqual(((await ledger.acquire(command)) as Granted).remaining, [1]);
      await ledger.acquire(acquire([budget(org, most, { need: 1 })]));
      assert.equal((await settle(command, 1, [most])).status, "invalid");
      assert.equal((await settle(command, 1, [most - 1])).status, "applied");
      const [record] = await ledger.budgets(org);
      assert.deepEqual([record?.spent, record?.outstanding], [most - 1, 1]);
      const beyond = acquire([budget(org, most + 1)]);
      await assert.rejects(ledger.acquire(beyond), isRefused("invalid_argument", /budgets\[0\]\.limit/));
    });

    it("denies everything but nothing at a limit of zero", async () => {
      const org = organisation();
      const none = await ledger.acquire(acquire([budget(org, 0)]));
      assert.deepEqual([none.outcome, (none as Denied).never], ["denied", true]);
      const zero = await ledger.acquire(acquire([budget(org, 0, { need: 0, want: 0 })]));
      assert.deepEqual((zero as Granted).granted, [0]);
    });

    it("lets a lowered limit deny at once and keeps what was granted", async () => {
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 80 })]);
      await ledger.acquire(command);
      const reply = (await ledger.acquire(acquire([budget(org, 50)]))) as Denied;
      assert.deepEqual([reply.outcome, reply.used, reply.limit], ["denied", 80, 50]);
      assert.equal((await settle(command, 1, [80], true)).status, "applied");
    });

    it("keeps model classes, meters and windows apart", async () => {
      const org = organisation();
      const budgets = [
        budget(org, 10, { modelClass: "large", need: 10 }),
        budget(org, 10, { modelClass: "small", need: 10 }),
        budget(org, 10, { meter: "requests", need: 10 }),
        budget(org, 10, { window: "hour", need: 10 }),
      ];
      assert.equal((await ledger.acquire(acquire(budgets))).outcome, "granted");
      assert.equal((await ledger.budgets(org)).length, 4);
    });

    it("refuses texts that could reach another organisation's keys", async () => {
      const org = organisation();
      const foreign = acquire([budget("other", 10)], { subject: org });
      await assert.rejects(ledger.acquire(foreign), isRefused("invalid_argument", /begins with/));
      const braces = acquire([budget(`${org}}{x`, 10)]);
      await assert.rejects(ledger.acquire(braces), isRefused("invalid_argument", /subject/));
    });

    it("has everything again after it was opened anew, if it keeps anything", async () => {
      if (opened.reopen === undefined) return;
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 60 })]);
      const first = (await ledger.acquire(command)) as Granted;
      await settle(command, 1, [30]);
      const before = [await ledger.budgets(org), await ledger.leases(org), await ledger.journal(org)];
      await ledger.close();
      ledger = await opened.reopen();
      assert.deepEqual(
        [await ledger.budgets(org), await ledger.leases(org), await ledger.journal(org)],
        before,
      );
      assert.deepEqual(((await ledger.acquire(command)) as Granted).granted, first.granted);
      assert.equal((await settle(command, 1, [30])).status, "stale");
      assert.equal((await settle(command, 2, [40], true)).status, "applied");
    });

    it("tells that 80 % are spent no second time after it was opened anew", async () => {
      if (opened.reopen === undefined) return;
      const org = organisation();
      const command = acquire([budget(org, 100, { need: 100 })]);
      await ledger.acquire(command);
      assert.deepEqual((await settle(command, 1, [80])).notices, [
        { budget: "monthly", subject: org, percent: 80 },
      ]);
      await ledger.close();
      ledger = await opened.reopen();
      // The answer was lost with the process that gave it: the edge repeats the report, then makes a newer one.
      assert.deepEqual((await settle(command, 1, [80])).notices, []);
      assert.deepEqual((await settle(command, 2, [90])).notices, []);
      assert.deepEqual(
        (await settle(command, 3, [100], true)).notices.map(({ percent }) => percent),
        [100],
      );
    });
  });
}
