/**
 * One budget, many edges: two Envoys with four workers each, two sidecars on one Redis, 64 connections. What is
 * admitted never passes the limit and comes to at least 99 % of it, and hardly any request waits for the ledger.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { keyEntry, type World, world } from "../support/e2e.ts";

const CONNECTIONS = 64;
const LIMIT = 300_000;
/** Of one request; the tier lets an answer have 40 tokens. */
const PROMPT = 6;
const COMPLETION_MIN = 20;
const COMPLETION_MAX = 40;
/** The part of the budget that counts as the steady state: leases have grown, and the end is far. */
const STEADY_FROM = 0.1 * LIMIT;
const STEADY_TO = 0.6 * LIMIT;

const tokens = { name: "tokens", meter: "tokens", limit: LIMIT, window: "month", per: "organisation" };
const policy = {
  tiers: { pro: { budgets: [tokens], output: { max_tokens: COMPLETION_MAX } } },
  ledger: { sync: "500ms" },
  keys: [
    keyEntry("one", "one/team/key", "pro"),
    ...[0, 1, 2, 3].map((n) => keyEntry(`four-${n}`, `four/team/key-${n}`, "pro")),
  ],
};

/** What the callers saw. */
interface Tally {
  used: number;
  admitted: number;
  busy: number;
  /** Statuses that are neither an admission nor a budget's denial. */
  others: Map<string, number>;
  hits: number;
  acquires: number;
}

/** Spends a budget to its end over all connections. Each stops at its first 402. */
async function spend(w: World, keys: string[]): Promise<Tally> {
  const tally: Tally = { used: 0, admitted: 0, busy: 0, others: new Map(), hits: 0, acquires: 0 };
  const sample = async () => [await w.stat("weir_lease_hits_total"), await w.stat("weir_acquires_total")];
  let from: Promise<number[]> | undefined;
  let to: Promise<number[]> | undefined;
  const connection = async (n: number) => {
    for (let turn = n; ; turn += 7) {
      const completion = COMPLETION_MIN + (turn % (COMPLETION_MAX - COMPLETION_MIN + 1));
      const answer = await w.chat(keys[n % keys.length] as string, "hello", {
        envoy: n % 2,
        headers: {
          "x-mock-prompt-tokens": String(PROMPT),
          "x-mock-completion-tokens": String(completion),
        },
      });
      if (answer.status === 200) {
        tally.admitted++;
        tally.used += PROMPT + completion;
      } else if (answer.code === "budget_busy") {
        tally.busy++;
        await sleep(1000 * Number(answer.headers.get("retry-after")));
      } else if (answer.status === 402) return;
      else tally.others.set(answer.text, (tally.others.get(answer.text) ?? 0) + 1);
      if (tally.used > STEADY_FROM) from ??= sample();
      if (tally.used > STEADY_TO) to ??= sample();
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, n) => connection(n)));
  const [a = [], b = []] = [await from, await to];
  tally.hits = (b[0] ?? 0) - (a[0] ?? 0);
  tally.acquires = (b[1] ?? 0) - (a[1] ?? 0);
  return tally;
}

describe("one budget at two Envoys of four workers, two sidecars and one Redis", {
  skip: !hasRedis(),
}, () => {
  let w: World;
  before(async () => {
    w = await world({ policy, workers: 4, envoys: 2, sidecars: 2, redis: true });
  });
  after(() => w?.close());

  for (const [name, keys] of [
    ["one", ["one"]],
    ["four", ["four-0", "four-1", "four-2", "four-3"]],
  ] as const) {
    it(`is spent to at least 99 % and never beyond by ${name} key${keys.length > 1 ? "s" : ""} over 64 connections`, async (t) => {
      const start = performance.now();
      const { used, admitted, busy, others, hits, acquires } = await spend(w, [...keys]);
      const seconds = (performance.now() - start) / 1000;
      const ratio = hits / (hits + acquires);
      t.diagnostic(
        `${used} of ${LIMIT} tokens (${((100 * used) / LIMIT).toFixed(3)} %), ${admitted} admitted in ${seconds.toFixed(1)} s, ` +
          `${busy} told to wait; steady state: ${hits} without a callout, ${acquires} with (${(100 * ratio).toFixed(2)} %)`,
      );
      assert.deepEqual([...others], []);
      assert.ok(used <= LIMIT, `${used} of ${LIMIT}`);
      assert.ok(used >= 0.99 * LIMIT, `${used} of ${LIMIT}`);
      assert.ok(ratio >= 0.95, `${hits} of ${hits + acquires} without a callout`);
      const record = await w.settled(name, "tokens", used, 0);
      assert.equal(record.debt, 0);
    });
  }
});
