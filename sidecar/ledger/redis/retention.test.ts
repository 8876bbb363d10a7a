/** What Redis keeps of a ledger ends by itself, and not before: nothing is left for ever, nothing open is forgotten. Needs `redis-server`. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { acquire, budget } from "../testing.ts";
import { type Acquire, type Ledger, LIMITS } from "../types.ts";
import { hasRedis } from "./testing.ts";
import { type TimedRedisLedger, withTimedRedis } from "./testing-time.ts";

const START = Date.UTC(2035, 0, 1, 1, 10);
const HOUR_MS = 3_600_000;
/** The window's end, and as long again. */
const KEEP = Date.UTC(2035, 0, 1, 3);
const NEVER = -1;

const options = { skip: hasRedis() ? (false as const) : "redis-server is not installed" };
const hourly = (org: string, more: object = {}) => budget(org, 100, { window: "hour", ...more });

const end = (ledger: Ledger, { leaseId, subject }: Acquire, spent: number) =>
  ledger.settle({ kind: "settle", leaseId, subject, sequence: 1, spent: [spent], final: true });

/** A ledger at START, when each key of organisation `org` ends, and the members of its sorted sets. */
function withOrg<T>(
  use: (
    ledger: TimedRedisLedger,
    ends: (key: string) => Promise<number>,
    members: (key: string) => Promise<string[]>,
  ) => Promise<T>,
): Promise<T> {
  return withTimedRedis((open, redis) => {
    const ledger = Object.assign(open(), { time: START });
    const ask = async (...args: string[]) => await redis.nodes[0]?.command(args);
    return use(
      ledger,
      async (key) => Number(await ask("PEXPIRETIME", `weir:{org}:${key}`)),
      async (key) => (await ask("ZRANGE", `weir:{org}:${key}`, "0", "-1")) as string[],
    );
  });
}

const BUDGET = `budget:org|monthly|tokens|hour||${START - (START % HOUR_MS)}`;

it("keeps a budget while a lease of it is open, and until the window after its own is over", options, () =>
  withOrg(async (ledger, ends) => {
    const [first, second] = [acquire([hourly("org")]), acquire([hourly("org")])];
    await ledger.acquire(first);
    await ledger.acquire(second);
    assert.deepEqual([await ends(BUDGET), await ends(`lease:${first.leaseId}`)], [NEVER, NEVER]);
    await end(ledger, first, 1);
    assert.deepEqual(
      [await ends(BUDGET), await ends(`lease:${first.leaseId}`)],
      [NEVER, START + LIMITS.closedRetentionMs],
    );
    await end(ledger, second, 1);
    assert.equal(await ends(BUDGET), KEEP);
  }),
);

it("keeps what ended without a last report until one may come, and its budget as long", options, () =>
  withOrg(async (ledger, ends) => {
    const lease = acquire([hourly("org")]);
    await ledger.acquire(lease);
    await ledger.release({ kind: "release", leaseId: lease.leaseId, subject: "org" });
    const until = START + LIMITS.unsettledRetentionMs;
    assert.deepEqual([await ends(`lease:${lease.leaseId}`), await ends(BUDGET)], [until, until]);
  }),
);

it("lists a budget until it is long gone", options, () =>
  withOrg(async (ledger, _ends, members) => {
    await ledger.acquire(acquire([hourly("org")]));
    const gone = KEEP + 2 * LIMITS.unsettledRetentionMs;
    const listed = async (time: number) => {
      ledger.time = time;
      await ledger.acquire(acquire([hourly("org")]));
      return (await members("windows")).includes(BUDGET.slice("budget:".length));
    };
    assert.deepEqual([await listed(gone - HOUR_MS), await listed(gone)], [true, false]);
  }),
);

it("drops a notice that nobody told when it is too old to matter", options, () =>
  withOrg(async (ledger, ends, members) => {
    const exhaust = async (name: string, time: number) => {
      ledger.time = time;
      const lease = acquire([hourly("org", { name, need: 100 })]);
      await ledger.acquire(lease);
      await end(ledger, lease, 100);
      return (await members("untold")).map((id) => id.split("|")[4]);
    };
    assert.deepEqual(await exhaust("one", START), ["one"]);
    assert.equal(await ends("untold"), START + LIMITS.untoldRetentionMs);
    assert.deepEqual(await exhaust("two", START + LIMITS.untoldRetentionMs - 1), ["one", "two"]);
    assert.deepEqual(await exhaust("three", START + LIMITS.untoldRetentionMs), ["two", "three"]);
  }),
);
