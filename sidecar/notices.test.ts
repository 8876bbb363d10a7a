/** Notices are told at least once, and taken out of the ledger only then. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { LocalLedger } from "./ledger/local.ts";
import { acquire, budget } from "./ledger/testing.ts";
import type { Notice } from "./ledger/types.ts";
import { Teller, type TellerOptions } from "./notices.ts";

/** A ledger with one notice that nobody has told, and a teller of it. */
async function opened(more: Partial<TellerOptions> = {}) {
  const ledger = new LocalLedger();
  const command = acquire([budget("acme", 100, { need: 100 })]);
  await ledger.acquire(command);
  const { leaseId } = command;
  const { notices } = await ledger.settle({
    ...{ kind: "settle", leaseId, subject: "acme", sequence: 1, spent: [85], final: true },
  });
  let now = 0;
  const counted: Notice[] = [];
  const told: Notice[] = [];
  const options: TellerOptions = {
    ledger,
    leftMs: 15_000,
    clock: () => now,
    onNotices: (list) => void counted.push(...list),
    tellNotice: async (notice) => {
      told.push(notice);
      return true;
    },
    ...more,
  };
  const left = async () => (await ledger.untold("acme")).length;
  const pass = (ms: number) => {
    now += ms;
  };
  return { ledger, notices, teller: new Teller(options), options, counted, told, left, pass };
}

describe("notices", () => {
  it("of a reply are told at once, once, and then taken out of the ledger", async () => {
    const { teller, notices, told, counted, left } = await opened();
    assert.equal(await left(), 1);
    teller.take(notices);
    teller.take(notices);
    await teller.close(1_000);
    assert.deepEqual([told, counted, await left()], [notices, notices, 0]);
  });

  it("stay in the ledger while nobody takes them, and are told again after a rest", async () => {
    let works = false;
    const tries: string[] = [];
    const { teller, notices, counted, left, pass } = await opened({
      tellNotice: async ({ id }) => {
        tries.push(id);
        return works;
      },
    });
    teller.take(notices);
    await teller.close(1_000);
    assert.equal(await left(), 1);
    await teller.leftovers("acme");
    assert.equal(tries.length, 1, "it rests");
    works = true;
    pass(60_000);
    await teller.leftovers("acme");
    await teller.close(1_000);
    assert.deepEqual([new Set(tries).size, tries.length, await left()], [1, 2, 0]);
    assert.equal(counted.length, 1, "the log and the metrics have it once");
  });

  it("that another sidecar may be telling are left to it for a while", async () => {
    const { teller, told, left, pass } = await opened();
    await teller.leftovers("acme");
    pass(14_999);
    await teller.leftovers("acme");
    assert.deepEqual([told.length, await left()], [0, 1]);
    pass(1);
    await teller.leftovers("acme");
    await teller.close(1_000);
    assert.deepEqual([told.length, await left()], [1, 0]);
  });

  it("are not told twice by one that is still telling", async () => {
    let finish = (): void => undefined;
    const { teller, notices, left, pass } = await opened({
      leftMs: 0,
      tellNotice: () =>
        new Promise((resolve) => {
          finish = () => resolve(true);
        }),
    });
    teller.take(notices);
    await turn();
    const first = finish;
    pass(3_600_000);
    await teller.leftovers("acme");
    assert.equal(finish, first, "nobody was asked again");
    first();
    await teller.close(1_000);
    assert.equal(await left(), 0);
  });

  it("are told again when the ledger was away as they were to be taken out", async () => {
    const errors: string[] = [];
    const { ledger, options, notices, told, left, pass } = await opened();
    let away = true;
    const teller = new Teller({
      ...options,
      onError: ({ code }) => void errors.push(code),
      ledger: {
        untold: (organisation) => ledger.untold(organisation),
        told: async (organisation, ids) => {
          if (away) throw new Error("away");
          await ledger.told(organisation, ids);
        },
      },
    });
    teller.take(notices);
    await teller.close(1_000);
    assert.deepEqual([told.length, errors, await left()], [1, ["internal"], 1]);
    away = false;
    pass(60_000);
    await teller.leftovers("acme");
    await teller.close(1_000);
    assert.deepEqual([told.length, told[0]?.id === told[1]?.id, await left()], [2, true, 0]);
  });
});
