/**
 * Replays histories of the pure ledger on a real Redis and compares every reply. Only here do the scripts take the time
 * from their last argument instead of Redis' clock: that variant is made by replacing the one line that asks for it.
 */
import assert from "node:assert/strict";
import { connect } from "../../sidecar/ledger/redis/connect.ts";
import {
  loadScripts,
  makeScript,
  SCRIPT_NAMES,
  type Script,
  type Scripts,
} from "../../sidecar/ledger/redis/scripts.ts";
import { RedisLedger } from "../../sidecar/ledger/redis/store.ts";
import { startRedis } from "../../sidecar/ledger/redis/testing.ts";
import type { Command, LeaseRecord, Reply } from "../../sidecar/ledger/types.ts";
import { type Books, World } from "./world.ts";

const ASKS_FOR_TIME = "local time = redis.call('TIME')";
const TAKES_TIME = "local time = { math.floor(ARGV[#ARGV] / 1000), ARGV[#ARGV] % 1000 * 1000 }";

function withInjectedTime(scripts: Scripts): Scripts {
  const change = (script: Script): Script => {
    const { name, source } = script;
    if (name === "ready") return script;
    assert.equal(source.split(ASKS_FOR_TIME).length, 2, `${name}: asks for the time other than once`);
    return makeScript(name, source.replace(ASKS_FOR_TIME, TAKES_TIME));
  };
  return Object.fromEntries(SCRIPT_NAMES.map((name) => [name, change(scripts[name])])) as unknown as Scripts;
}

/** Each history is a sequence; different ones have different organisations and run side by side. */
const AT_ONCE = 20;

class TimedRedisLedger extends RedisLedger {
  time = 0;
  /** How far the next guess of the time is off. */
  off = 0;

  override now(): number {
    const guess = this.time + this.off;
    this.off = 0;
    return guess;
  }

  protected override run(
    script: Script,
    keys: string[],
    args: (string | Buffer)[],
  ): Promise<(string | number)[]> {
    return super.run(script, keys, [...args, String(this.time)]);
  }
}

function apply(ledger: TimedRedisLedger, command: Command): Promise<Reply> {
  if (command.kind === "acquire") return ledger.acquire(command);
  if (command.kind === "settle") return ledger.settle(command);
  if (command.kind === "release") return ledger.release(command);
  if (command.kind === "adjust") return ledger.adjust(command);
  return ledger.sweep(command.organisation);
}

/** Gives `use` a way to open ledgers on a Redis of its own, each with a time that is told. */
export async function withTimedRedis<T>(use: (open: () => TimedRedisLedger) => Promise<T>): Promise<T> {
  const redis = await startRedis({ durable: false });
  try {
    const client = await connect({ urls: redis.urls, cluster: false, onConnectionError: () => undefined });
    try {
      const scripts = withInjectedTime(loadScripts());
      return await use(() => new TimedRedisLedger(client, scripts));
    } finally {
      client.destroy();
    }
  } finally {
    await redis.stop();
  }
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
