/** Replays histories of the pure ledger on a real Redis that is told the time, and compares every reply. */
import assert from "node:assert/strict";
import { type TimedRedisLedger, withTimedRedis } from "../../sidecar/ledger/redis/testing-time.ts";
import type { Command, LeaseRecord, Reply } from "../../sidecar/ledger/types.ts";
import { type Books, World } from "./world.ts";

/** Each history is a sequence; different ones have different organisations and run side by side. */
const AT_ONCE = 20;

function apply(ledger: TimedRedisLedger, command: Command): Promise<Reply> {
  if (command.kind === "acquire") return ledger.acquire(command);
  if (command.kind === "settle") return ledger.settle(command);
  if (command.kind === "release") return ledger.release(command);
  if (command.kind === "adjust") return ledger.adjust(command);
  return ledger.sweep(command.organisation);
}

/** Returns how many replies were compared; throws AssertionError with the seed at the first difference. */
export function replayOnRedis(from: number, seeds: number): Promise<number> {
  return withTimedRedis(async (open) => {
    let compared = 0;
    for (let first = from; first < from + seeds; first += AT_ONCE) {
      const batch = Array.from({ length: Math.min(AT_ONCE, from + seeds - first) }, (_, i) => first + i);
      const counts = await Promise.all(batch.map((seed) => replay(open(), seed)));
      compared += counts.reduce((sum, count) => sum + count, 0);
    }
    return compared;
  });
}

async function replay(ledger: TimedRedisLedger, seed: number): Promise<number> {
  const world = new World({ seed, replayable: true });
  world.run();
  for (const [i, { now, command, reply, books }] of world.history.entries()) {
    ledger.time = now;
    const what = `seed ${seed}, command ${i}: ${JSON.stringify(command)}`;
    assert.deepEqual(await apply(ledger, command), reply, what);
    if (books) await compareBooks(ledger, world.organisation, books, what);
  }
  await compareBooks(ledger, world.organisation, world.books(), `seed ${seed}, at the end`);
  return world.history.length;
}

async function compareBooks(
  ledger: TimedRedisLedger,
  organisation: string,
  { budgets, leases, journal, untold }: Books,
  what: string,
): Promise<void> {
  const byId = (records: LeaseRecord[]) => records.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  assert.deepEqual(await ledger.budgets(organisation), budgets, `${what}: budgets`);
  assert.deepEqual(byId(await ledger.leases(organisation)), byId(leases), `${what}: leases`);
  assert.deepEqual(await ledger.journal(organisation), journal, `${what}: journal`);
  const ids = (await ledger.untold(organisation)).map(({ id }) => id);
  assert.deepEqual(ids, untold, `${what}: untold notices`);
}
