/**
 * A Redis ledger that is told the time, for tests: only here do the scripts take it from their last argument instead of Redis' clock.
 * That variant is made by replacing the one line that asks for it.
 */
import assert from "node:assert/strict";
import { connect } from "./connect.ts";
import { loadScripts, makeScript, SCRIPT_NAMES, type Script, type Scripts } from "./scripts.ts";
import { RedisLedger } from "./store.ts";
import { startRedis, type TestRedis } from "./testing.ts";

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

export class TimedRedisLedger extends RedisLedger {
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

/** Gives `use` a way to open ledgers on a Redis of its own, each with a time that is told. */
export async function withTimedRedis<T>(
  use: (open: () => TimedRedisLedger, redis: TestRedis) => Promise<T>,
): Promise<T> {
  const redis = await startRedis({ durable: false });
  try {
    const client = await connect({ urls: redis.urls, cluster: false, onConnectionError: () => undefined });
    try {
      const scripts = withInjectedTime(loadScripts());
      return await use(() => new TimedRedisLedger(client, scripts), redis);
    } finally {
      client.destroy();
    }
  } finally {
    await redis.stop();
  }
}
