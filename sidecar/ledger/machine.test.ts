/** The rules of the pure machine that need a clock: dead leases, late reports, windows that end. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { apply } from "./machine.ts";
import { State } from "./state.ts";
import { acquire, budget } from "./testing.ts";
import { type Acquire, type AdjustReply, LIMITS, type OnExpiry, type ReportReply } from "./types.ts";

const START = Date.UTC(2026, 10, 21, 12, 59);
const TTL = 60_000;

function lease(onExpiry: OnExpiry) {
  const state = new State();
  const command: Acquire = acquire([budget("org", 100, { window: "hour", need: 50 })], { onExpiry });
  apply(state, command, START);
  const settle = (sequence: number, spent: number, final: boolean, now: number) =>
    apply(
      state,
      { kind: "settle", leaseId: command.leaseId, subject: "org", sequence, spent: [spent], final },
      now,
    ) as ReportReply;
  const books = () =>
    [...state.organisation("org").budgets.values()].map(({ spent, outstanding, debt }) => [
      spent,
      outstanding,
      debt,
    ]);
  return { state, command, settle, books };
}

describe("the ledger's machine", () => {
  it("returns what a dead lease did not report, and counts a late report as debt", () => {
    const { state, settle, books } = lease("charge_reported");
    settle(1, 20, false, START + 1);
    apply(state, { kind: "sweep", organisation: "org" }, START + 1 + TTL);
    assert.deepEqual(books(), [[20, 0, 0]]);
    assert.equal(settle(2, 30, true, START + 2 * TTL).status, "closed");
    assert.deepEqual(books(), [[30, 0, 10]]);
  });

  it("charges a dead lease whole, keeps a report of it, and refunds when the last report comes late", () => {
    const { state, settle, books } = lease("charge_all");
    settle(1, 20, false, START + 1);
    apply(state, { kind: "sweep", organisation: "org" }, START + 1 + TTL);
    assert.deepEqual(books(), [[50, 0, 0]]);
    settle(2, 25, false, START + 2 * TTL);
    assert.deepEqual(books(), [[50, 0, 0]]);
    settle(3, 30, true, START + 3 * TTL);
    assert.deepEqual(books(), [[30, 0, 0]]);
    const kinds = state.organisation("org").journal.map(({ kind, amount }) => [kind, amount]);
    assert.deepEqual(kinds, [
      ["charged_unseen", 30],
      ["corrected", -20],
    ]);
  });

  it("keeps a credit when a refund by hand and a late correction meet, and lets no more than the limit out", () => {
    const { state, settle, books } = lease("charge_all");
    apply(state, { kind: "sweep", organisation: "org" }, START + TTL);
    const record = [...state.organisation("org").budgets.values()][0];
    const end = record?.end ?? 0;
    // The dead lease's 50 are forgiven by a person; then its edge comes back and says that it had spent 30.
    apply(
      state,
      {
        ...{ kind: "adjust", id: "a", subject: "org", budget: record?.key ?? "", amount: -50 },
        ...{ by: "ana", reason: "the gateway died" },
      },
      START + TTL,
    );
    assert.deepEqual(books(), [[0, 0, 0]]);
    settle(1, 30, true, START + TTL + 1);
    assert.deepEqual(books(), [[-20, 0, 0]]);
    const limits = { window: "hour", need: 101 } as const;
    assert.equal(end, START + TTL);
    // Its window has just ended by now; ask by the clock of the moment before.
    const denied = apply(state, acquire([budget("org", 100, limits)]), end - 1);
    assert.deepEqual("busy" in denied && [denied.used, denied.never, denied.busy], [0, true, false]);
    const granted = apply(state, acquire([budget("org", 100, { ...limits, need: 100 })]), end - 1);
    assert.deepEqual("remaining" in granted && granted.remaining, [0]);
  });

  it("keeps a lease alive by its reports", () => {
    const { settle } = lease("charge_reported");
    assert.equal(settle(1, 10, false, START + TTL - 1).status, "applied");
    assert.equal(settle(2, 20, false, START + 2 * TTL - 2).status, "applied");
  });

  describe("when the clock goes back", () => {
    const hour = 3_600_000;
    /** In the window of START, and in the next. */
    const [before, after] = [START, START + 2 * TTL];

    for (const back of [1_000, TTL + 1_000, hour])
      it(`by ${back} ms, grants nothing twice and tells no time that has no sense`, () => {
        const state = new State();
        const wanted = budget("org", 100, { window: "hour", need: 60 });
        const ask = (now: number) => apply(state, acquire([wanted], { onExpiry: "charge_all" }), now);
        const outcome = (reply: object) => "outcome" in reply && reply.outcome;
        assert.equal(outcome(ask(before)), "granted");
        // The windows that this passes through are those that were there.
        for (const now of [after, after - back, before, after, after + hour - TTL, after - back]) {
          const reply = ask(now);
          if ("resetMs" in reply) assert.ok(reply.resetMs > 0 && reply.resetMs <= hour, `${reply.resetMs}`);
        }
        const records = [...state.organisation("org").budgets.values()];
        for (const { key, spent, outstanding } of records) assert.ok(spent + outstanding <= 60, key);
        assert.equal(outcome(ask(before)), "denied");
      });

    it("lets a lease be used no longer than half of its time", () => {
      const { state, command, settle } = lease("charge_reported");
      settle(1, 10, false, START);
      assert.equal(settle(1, 10, false, START - hour).usableMs, TTL / 2);
      const again = apply(state, command, START - hour);
      assert.equal("usableMs" in again && again.usableMs, TTL / 2);
    });

    it("finds a lease dead at its time, counted from the last report", () => {
      const { state, settle, books } = lease("charge_reported");
      settle(1, 10, false, START - hour);
      const sweep = (now: number) => apply(state, { kind: "sweep", organisation: "org" }, now);
      assert.deepEqual(sweep(START - hour + TTL - 1), { expired: 0, untold: 0, notices: [] });
      assert.deepEqual(sweep(START - hour + TTL), { expired: 1, untold: 0, notices: [] });
      assert.deepEqual(sweep(START + TTL), { expired: 0, untold: 0, notices: [] });
      assert.deepEqual(books(), [[10, 0, 0]]);
    });
  });

  it("moves the end of a window whose time zone changes, as the beginning is the same", () => {
    const state = new State();
    const ask = (timeZone: string, now: number, limit = 1_000) => {
      const reply = apply(state, acquire([budget("org", limit, { timeZone, need: 100 })]), now);
      return "usableMs" in reply && "granted" in reply ? [reply.outcome, reply.usableMs] : reply;
    };
    const hour = 3_600_000;
    // Summer time begins on March 29: London's March ends an hour before that of UTC.
    assert.deepEqual(ask("Europe/London", Date.UTC(2026, 2, 15)), ["granted", TTL / 2]);
    const last = Date.UTC(2026, 2, 31, 23, 30);
    assert.deepEqual(ask("UTC", last), ["granted", TTL / 2]);
    const [record] = state.organisation("org").budgets.values();
    assert.equal(record?.end, Date.UTC(2026, 3, 1));
    assert.equal(record?.keepUntil, record.end + 31 * 24 * hour);
    const denied = ask("UTC", last, 150);
    assert.deepEqual("resetMs" in denied && denied.resetMs, hour / 2);
  });

  it("lets a lease of several windows be used to the end of the nearest, whatever their order", () => {
    for (const windows of [["hour", "month"] as const, ["month", "hour"] as const]) {
      const budgets = windows.map((window) => budget("org", 100, { name: window, window }));
      const reply = apply(new State(), acquire(budgets), START + 50_000);
      assert.equal("usableMs" in reply && reply.usableMs, 10_000);
    }
  });

  it("takes what keeps every sum exact, and nothing beyond", () => {
    const state = new State();
    const most = LIMITS.amount;
    const ask = (need: number) => {
      const command = acquire([budget("org", most, { need, want: 0 })]);
      assert.ok("granted" in apply(state, command, START));
      return (sequence: number, spent: number) => {
        const { leaseId } = command;
        const report = {
          kind: "settle",
          leaseId,
          subject: "org",
          sequence,
          spent: [spent],
          final: false,
        } as const;
        return (apply(state, report, START) as ReportReply).status;
      };
    };
    const adjust = (id: string, amount: number) => {
      const key = [...state.organisation("org").budgets.keys()][0] ?? "";
      const command = {
        kind: "adjust",
        id,
        subject: "org",
        budget: key,
        amount,
        by: "ana",
        reason: "-",
      } as const;
      return (apply(state, command, START) as AdjustReply).status;
    };
    const large = ask(most - 100);
    const small = ask(50);
    assert.equal(large(1, most - 200), "applied");
    assert.equal(large(2, most - 100), "applied");
    assert.equal(small(1, 60), "applied");
    assert.equal(small(2, 101), "invalid");
    assert.equal(adjust("a", -60), "applied");
    assert.equal(small(2, 160), "applied");
    assert.equal(small(3, 161), "invalid");
    assert.equal(adjust("b", -20), "applied");
    ask(10);
    assert.equal(adjust("c", 11), "invalid");
    assert.equal(adjust("c", 10), "applied");
  });

  it("charges a dead lease whole also when it is released or reported on before its turn to be found", () => {
    for (const kind of ["release", "settle"] as const) {
      const state = new State();
      const commands = Array.from({ length: LIMITS.sweepPerCommand + 1 }, (_, i) =>
        acquire([budget("org", 100, { need: 2, want: 2 })], {
          leaseId: `lease-${i}`,
          onExpiry: "charge_all",
        }),
      );
      for (const [i, command] of commands.entries()) apply(state, command, START + i);
      const { leaseId } = commands.at(-1) as Acquire;
      const now = START + TTL + LIMITS.sweepPerCommand;
      const about = { leaseId, subject: "org" };
      const reply =
        kind === "release"
          ? apply(state, { kind, ...about }, now)
          : apply(state, { kind, ...about, sequence: 1, spent: [1], final: false }, now);
      assert.equal((reply as ReportReply).status, "closed", kind);
      assert.equal(state.organisation("org").leases.get(leaseId)?.entries[0]?.charged, 2, kind);
    }
  });

  it("frees leases and budgets whose time is over, and says so to who keeps them", () => {
    const { state, settle } = lease("charge_reported");
    settle(1, 20, true, START + 1);
    apply(
      state,
      acquire([budget("org", 100, { window: "hour", name: "b" })], { leaseId: "dead" }),
      START + 1,
    );
    const org = state.organisation("org");
    const sweep = (now: number) => apply(state, { kind: "sweep", organisation: "org" }, now);
    sweep(START + LIMITS.closedRetentionMs);
    assert.deepEqual([org.leases.size, org.budgets.size], [2, 2]);
    sweep(START + LIMITS.closedRetentionMs + 1);
    assert.deepEqual([...org.leases.keys()], ["dead"]);
    state.takeChanges();
    for (let hour = 1; hour <= 30; hour++) sweep(START + hour * 3_600_000);
    assert.deepEqual([org.leases.size, org.budgets.size], [0, 0]);
    assert.deepEqual([org.expiries.peek(), org.forgets.peek()], [undefined, undefined]);
    const told = state.takeChanges().map(({ table }) => table);
    assert.deepEqual(told.sort(), ["budget", "budget", "lease"]);
  });

  it("keeps the newest of the journal, and tells who keeps it of each that is new and each that is gone", () => {
    const state = new State();
    const org = state.organisation("org");
    const none = { at: START, kind: "adjusted", budget: "b", leaseId: "", edge: "", reason: "" } as const;
    for (let i = 0; i < LIMITS.journal; i++) state.append(org, { ...none, amount: i });
    state.takeChanges();
    for (let i = 0; i < 2; i++) state.append(org, { ...none, amount: LIMITS.journal + i });
    const kept = state.takeChanges().map(({ id }) => [id, state.journalEntry("org", Number(id))?.amount]);
    const last = LIMITS.journal + 1;
    assert.deepEqual(
      kept.sort(([a], [b]) => Number(a) - Number(b)),
      [
        [0, undefined],
        [1, undefined],
        [last - 1, last - 1],
        [last, last],
      ],
    );
    assert.deepEqual([org.journal.length, org.journal[0]?.amount], [LIMITS.journal, 2]);
  });

  it("lets a lease be used to the end of its window at most, and charges that window afterwards", () => {
    const { state, settle, books } = lease("charge_reported");
    assert.equal(settle(1, 10, false, START + 50_000).usableMs, 10_000);
    const next = apply(state, acquire([budget("org", 100, { window: "hour", need: 100 })]), START + TTL);
    assert.equal("outcome" in next && next.outcome, "granted");
    assert.equal(settle(2, 40, true, START + TTL + 1).status, "applied");
    assert.deepEqual(books(), [
      [40, 0, 0],
      [0, 100, 0],
    ]);
  });
});
