/** Sweeps find what nobody asks for, and leave alone for a while who has nothing to be found. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { LocalLedger } from "./ledger/local.ts";
import { acquire, budget } from "./ledger/testing.ts";
import { QUIET_ROUNDS, Sweeper, type SweeperOptions } from "./sweeper.ts";

const TTL_MS = 60_000;
const teller = { take: () => {}, leftovers: async () => {} };

/** A ledger of 120 organisations that once had a budget, and a count of sweeps by organisation. */
async function opened(more: Partial<SweeperOptions> = {}) {
  let now = Date.UTC(2026, 0, 1);
  const ledger = new LocalLedger({ clock: () => now });
  const organisations = Array.from({ length: 120 }, (_, i) => `org-${i}`);
  for (const organisation of organisations) {
    const command = acquire([budget(organisation, 100)]);
    await ledger.acquire(command);
    await ledger.release({ kind: "release", leaseId: command.leaseId, subject: organisation });
  }
  const swept: string[] = [];
  const sweep = (organisation: string) => {
    swept.push(organisation);
    return ledger.sweep(organisation);
  };
  const sweeper = new Sweeper({
    ledger: { organisations: () => ledger.organisations(), sweep },
    teller,
    ...more,
  });
  /** Who is swept in the next `rounds`. */
  const rounds = async (count: number) => {
    swept.length = 0;
    const each: number[] = [];
    for (let i = 0; i < count; i++) {
      const before = swept.length;
      await sweeper.round();
      each.push(swept.length - before);
    }
    return { swept: [...swept], each };
  };
  const pass = (ms: number) => {
    now += ms;
  };
  return { ledger, organisations, rounds, pass };
}

it("many quiet organisations are swept once in twelve rounds, as many in each", async () => {
  const { organisations, rounds } = await opened();
  assert.equal((await rounds(1)).swept.length, organisations.length);
  const { swept, each } = await rounds(QUIET_ROUNDS);
  assert.deepEqual([...swept].sort(), [...organisations].sort());
  assert.deepEqual(new Set(each), new Set([organisations.length / QUIET_ROUNDS]));
});

it("a lease of a quiet organisation that dies is resolved, at most twelve rounds after", async () => {
  const { ledger, rounds, pass } = await opened();
  await rounds(3);
  await ledger.acquire(acquire([budget("org-7", 100)], { ttlMs: TTL_MS }));
  pass(TTL_MS + 1);
  assert.equal((await ledger.leases("org-7")).length, 1);
  await rounds(QUIET_ROUNDS);
  assert.equal((await ledger.leases("org-7")).length, 0);
});

it("an organisation with notices that nobody has told is looked at in every round", async () => {
  const counts: number[] = [];
  const { ledger, rounds } = await opened({ onUntold: (count) => counts.push(count) });
  const command = acquire([budget("org-3", 100, { need: 80 })]);
  await ledger.acquire(command);
  await ledger.settle({
    ...{ kind: "settle", leaseId: command.leaseId, subject: "org-3", sequence: 1, spent: [85], final: true },
  });
  const { swept } = await rounds(5);
  assert.equal(swept.filter((organisation) => organisation === "org-3").length, 5);
  assert.deepEqual(counts, [1, 1, 1, 1, 1]);
});

it("an organisation whose node is away is tried in every round, and keeps no other from being swept", async () => {
  const errors: string[] = [];
  const ledger = new LocalLedger();
  for (const organisation of ["a", "b", "c"]) await ledger.acquire(acquire([budget(organisation, 9)]));
  const swept: string[] = [];
  const sweeper = new Sweeper({
    ledger: {
      organisations: () => ledger.organisations(),
      sweep: async (organisation) => {
        swept.push(organisation);
        if (organisation === "b") throw new Error("b's node is away");
        return ledger.sweep(organisation);
      },
    },
    teller,
    onError: ({ message }) => errors.push(message),
  });
  await sweeper.round();
  await sweeper.round();
  assert.deepEqual(swept.slice(0, 3), ["a", "b", "c"]);
  assert.equal(swept.filter((organisation) => organisation === "b").length, 2);
  assert.equal(errors.length, 2);
});
