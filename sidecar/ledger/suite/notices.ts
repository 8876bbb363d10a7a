/** What a ledger tells: marks that a budget crosses, warnings, and what people adjust by hand. Notices are kept until they are told. */
import assert from "node:assert/strict";
import { it } from "node:test";
import type { WeirError } from "../../errors.ts";
import { acquire, budget, isRefused } from "../testing.ts";
import { type Adjust, type Granted, LIMITS, type Notice } from "../types.ts";
import type { Suite } from "./suite.ts";

export function noticeTests(suite: Suite): void {
  it("counts an adjustment by hand once, keeps who made it and why, and tells again what it brought back", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    await suite.settle(command, 1, [100], true);
    const key = (await suite.ledger.budgets(org))[0]?.key ?? "";
    const adjust = async (id: string, amount: number, more: Partial<Adjust> = {}) => {
      const reply = await suite.ledger.adjust({
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
    await assert.rejects(adjust(command.leaseId, 1), isRefused("conflict", /used before, for a lease/));
    const recorded = ({ code, message }: WeirError) =>
      code === "conflict" && message === `id: a-1: was used before, for -60 on ${key}`;
    await assert.rejects(adjust("a-1", -61), recorded);
    await assert.rejects(adjust("a-1", -60, { budget: key.replace("monthly", "other") }), recorded);
    await assert.rejects(adjust("a-5", 0), isRefused("invalid_argument", /amount: 0/));
    await assert.rejects(adjust("a-5", 1, { subject: "other" }), isRefused("invalid_argument", /budget:/));
    await assert.rejects(adjust("a-5", 1, { reason: "two\nlines" }), isRefused("invalid_argument", /reason/));
    const [record] = await suite.ledger.budgets(org);
    assert.deepEqual([record?.spent, record?.outstanding, record?.debt], [85, 0, 45]);
    const adjusted = (await suite.ledger.journal(org)).filter(({ kind }) => kind === "adjusted");
    assert.deepEqual(
      adjusted.map(({ leaseId, edge, amount, reason }) => [leaseId, edge, amount, reason]),
      [
        ["a-1", "ana", -60, "Störung, 3 Uhr"],
        ["a-3", "ana", 45, "Störung, 3 Uhr"],
      ],
    );
    assert.equal((await suite.ledger.acquire(acquire([budget(org, 100, { need: 16 })]))).outcome, "denied");
    assert.equal((await suite.ledger.acquire(acquire([budget(org, 100, { need: 15 })]))).outcome, "granted");
  });

  it("is adjusted down to nothing, up to the largest amount less what is out, and no further", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 10 })]);
    await suite.ledger.acquire(command);
    await suite.settle(command, 1, [4]);
    const key = (await suite.ledger.budgets(org))[0]?.key ?? "";
    const adjust = async (id: string, amount: number) => {
      const about = { kind: "adjust", subject: org, budget: key, by: "ana", reason: "test" } as const;
      const { status, spent } = await suite.ledger.adjust({ ...about, id, amount });
      return [status, spent];
    };
    const most = LIMITS.amount - 6;
    assert.deepEqual(await adjust("a-1", -4), ["applied", 0]);
    assert.deepEqual(await adjust("a-2", most + 1), ["invalid", 0]);
    assert.deepEqual(await adjust("a-3", most), ["applied", most]);
  });

  it("tells once that 80 % and 100 % are spent", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    const told = async (sequence: number, spent: number): Promise<unknown[]> =>
      (await suite.settle(command, sequence, [spent])).notices.map(({ percent }) => percent);
    assert.deepEqual(await told(1, 79), []);
    assert.deepEqual(await told(2, 80), [80]);
    assert.deepEqual(await told(3, 99), []);
    assert.deepEqual(await told(4, 100), [100]);
    assert.deepEqual(await told(5, 120), []);
    const kinds = (await suite.ledger.journal(org)).map(({ kind, amount }) => [kind, amount]);
    assert.deepEqual(kinds, [
      ["notice", 80],
      ["notice", 100],
    ]);
  });

  it("tells once that a budget is used up, be it by a denial or by what is spent", async () => {
    const org = suite.organisation();
    const percents = ({ notices }: { readonly notices: readonly Notice[] }) =>
      notices.map(({ percent }) => percent);
    const ask = (need: number) => suite.ledger.acquire(acquire([budget(org, 100, { need })]));
    const command = acquire([budget(org, 100, { need: 99 })]);
    await suite.ledger.acquire(command);
    assert.deepEqual(percents(await suite.settle(command, 1, [99], true)), [80]);
    assert.deepEqual(percents(await ask(2)), [100]);
    assert.deepEqual(percents(await ask(2)), []);
    const rest = acquire([budget(org, 100, { need: 1 })]);
    await suite.ledger.acquire(rest);
    assert.deepEqual(percents(await suite.settle(rest, 1, [1], true)), []);
    assert.deepEqual(percents(await ask(2)), []);
    const told = (await suite.ledger.journal(org)).map(({ amount }) => amount);
    assert.deepEqual(told, [80, 100]);
  });

  it("neither warns nor tells of a budget of nothing", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 0, { need: 0, want: 0 })]);
    const { warning, notices } = (await suite.ledger.acquire(command)) as Granted;
    assert.deepEqual([warning, notices], [null, []]);
    const report = await suite.settle(command, 1, [5]);
    assert.deepEqual([report.status, report.warning, report.notices], ["applied", null, []]);
  });

  it("tells again what a raised limit brought back, once for each limit that is higher than any before it", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    const charged = async (sequence: number, spent: number) =>
      (await suite.settle(command, sequence, [spent])).notices.map(({ percent }) => percent);
    const limited = async (limit: number) =>
      (await suite.ledger.acquire(acquire([budget(org, limit, { need: 0, want: 0 })]))).notices.map(
        ({ percent }) => percent,
      );
    assert.deepEqual(await charged(1, 100), [100]);
    assert.deepEqual(await limited(200), []);
    assert.deepEqual(await charged(2, 170), [80]);
    // A tier of a lower limit on the same budget, and then again one of the higher.
    assert.deepEqual([await limited(100), await limited(200), await limited(100)], [[100], [], []]);
    assert.deepEqual(await limited(300), []);
    assert.deepEqual(await charged(3, 240), [80]);
    assert.deepEqual(await charged(4, 300), [100]);
  });

  it("warns, as long as it is so, of the fullest budget of an open lease, and of none once it has ended", async () => {
    const org = suite.organisation();
    const budgets = [
      budget(`${org}/key`, 100, { name: "key", need: 100 }),
      budget(org, 200, { name: "all", need: 100 }),
    ];
    const command = acquire(budgets);
    assert.equal(((await suite.ledger.acquire(command)) as Granted).warning, null);
    const told = async (sequence: number, spent: number[]) => {
      const { warning } = await suite.settle(command, sequence, spent);
      return warning && [warning.budget, warning.percent, warning.resetMs > 0];
    };
    assert.equal(await told(1, [79, 79]), null);
    assert.deepEqual(await told(2, [80, 80]), [0, 80, true]);
    assert.deepEqual(await told(2, [80, 80]), [0, 80, true]);
    assert.deepEqual(await told(3, [85, 190]), [1, 95, true]);
    assert.deepEqual(((await suite.ledger.acquire(command)) as Granted).warning?.percent, 95);
    const next = acquire([budget(`${org}/key`, 100, { name: "key", need: 0 })]);
    assert.deepEqual(((await suite.ledger.acquire(next)) as Granted).warning?.percent, 85);
    // As full as the other, and fuller.
    assert.deepEqual(await told(4, [95, 190]), [0, 95, true]);
    assert.deepEqual(await told(5, [98, 190]), [0, 98, true]);
    assert.equal((await suite.settle(command, 6, [98, 190], true)).warning, null);
  });

  it("keeps a notice with the change that made it, until somebody has told it", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    const told = [80, 100].map(async (spent, i) => (await suite.settle(command, i + 1, [spent])).notices);
    const [[first], [second]] = (await Promise.all(told)) as [Notice[], Notice[]];
    const left = await suite.ledger.untold(org);
    assert.deepEqual(left.map(({ id }) => id).sort(), [first?.id, second?.id].sort());
    assert.deepEqual(
      left.map(({ budget: name, subject, percent }) => [name, subject, percent]).sort(),
      [
        ["monthly", org, 100],
        ["monthly", org, 80],
      ].sort(),
    );
    assert.ok(left.every(({ at }) => Math.abs(at - Date.now()) < 60_000));
    assert.equal((await suite.ledger.sweep(org)).untold, 2);
    await suite.ledger.told(org, [first?.id ?? "", "an id that nobody knows"]);
    await suite.ledger.told(org, [first?.id ?? ""]);
    assert.deepEqual(await suite.ledger.untold(org), [second]);
    await suite.ledger.told(org, [second?.id ?? ""]);
    assert.deepEqual(await suite.ledger.untold(org), []);
    assert.deepEqual(await suite.ledger.untold("nobody"), []);
  });

  it("gives a mark that is crossed again after a refund another id", async () => {
    const org = suite.organisation();
    const command = acquire([budget(org, 100, { need: 100 })]);
    await suite.ledger.acquire(command);
    await suite.settle(command, 1, [80], true);
    const key = (await suite.ledger.budgets(org))[0]?.key ?? "";
    for (const [id, amount] of [
      ["refund", -50],
      ["charge", 50],
    ] as const)
      await suite.ledger.adjust({
        ...{
          kind: "adjust",
          id: `${org}-${id}`,
          subject: org,
          budget: key,
          amount,
          by: "ana",
          reason: "test",
        },
      });
    const left = await suite.ledger.untold(org);
    assert.deepEqual(
      [left.map(({ percent }) => percent), new Set(left.map(({ id }) => id)).size],
      [[80, 80], 2],
    );
  });

  it("keeps no more than a bounded number of them, the newest", async () => {
    const org = suite.organisation();
    const budgets = (i: number) => [budget(`${org}/${i}`, 1, { name: "each", need: 0, want: 0 })];
    const count = LIMITS.untold + 25;
    for (let from = 0; from < count; from += 100)
      await Promise.all(
        Array.from({ length: Math.min(100, count - from) }, async (_, i) => {
          const command = acquire(budgets(from + i));
          await suite.ledger.acquire(command);
          await suite.settle(command, 1, [1], true);
        }),
      );
    const left = await suite.ledger.untold(org);
    assert.equal(left.length, LIMITS.untold);
    const newest =
      (await suite.ledger.journal(org)).filter(({ kind }) => kind === "notice").at(-1)?.budget ?? "";
    assert.ok(left.some(({ subject }) => newest.startsWith(`${subject}|`)));
  });
}
