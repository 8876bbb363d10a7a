// A ledger that is put back to an old copy under a running filter: nothing is charged twice, and what is lost is what
// sidecar/ledger/DURABILITY.md says. Under both profiles.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalLedger } from "../../sidecar/ledger/local.ts";
import type { Acquire, Release, Settle } from "../../sidecar/ledger/types.ts";
import { type Call, chat, keyEntry, LocalEdge } from "../support/filter.ts";

const budgets = [{ name: "answers", meter: "completion_tokens", limit: 1_000_000, window: "month" }];
const policy = {
  ledger: { sync: "1s" },
  tiers: { pro: { output: { max_tokens: 100 }, budgets } },
  keys: ["ended", "held", "later"].map((name) => keyEntry(name, "pro", { subject: `${name}/key` })),
};
const USED = 3;
const IDLE_MS = 8_000;
const SYNC_MS = 1_500;
const LEASE_MS = 70_000;

/** What a ledger was told, and when: its state at any time can be had again. */
class Recorded {
  readonly #told: { now: number; command: Acquire | Settle | Release }[] = [];

  constructor(edge: LocalEdge) {
    const { ledger } = edge;
    const record = <C extends Acquire | Settle | Release, R>(apply: (command: C) => Promise<R>) => {
      const applied = apply.bind(ledger);
      return (command: C) => {
        this.#told.push({ now: Number(edge.clock.now() / 1_000_000n), command });
        return applied(command);
      };
    };
    ledger.acquire = record(ledger.acquire);
    ledger.settle = record(ledger.settle);
    ledger.release = record(ledger.release);
  }

  /** A ledger as it is now, that goes on by the clock of `edge`. */
  async copy(edge: LocalEdge): Promise<LocalLedger> {
    let then: number | undefined = 0;
    const copy = new LocalLedger({ clock: () => then ?? Number(edge.clock.now() / 1_000_000n) });
    for (const { now, command } of this.#told) {
      then = now;
      if (command.kind === "acquire") await copy.acquire(command);
      else if (command.kind === "settle") await copy.settle(command);
      else await copy.release(command);
    }
    then = undefined;
    return copy;
  }
}

for (const profile of ["envoy", "ngx_wasm"] as const)
  test(`${profile}: a ledger put back to an old copy charges nothing twice, and tells what it lost`, async () => {
    const edge = await LocalEdge.open({ profile, policy });
    const recorded = new Recorded(edge);
    const pass = async (key: string, times: number) => {
      const call: Call = { key, body: chat("Hello there", { max_tokens: 50 }) };
      for (let i = 0; i < times; i++) assert.equal((await edge.send(call)).status, 200);
    };
    await pass("ended", 1);
    await pass("held", 1);
    await edge.wait(SYNC_MS);
    const copy = await recorded.copy(edge);
    const granted = (await copy.leases("ended"))[0]?.entries[0]?.granted ?? 0;
    assert.ok(granted > USED);
    // One lease ends, one goes on, and one begins: of all three the copy knows nothing.
    for (let i = 0; i < IDLE_MS / SYNC_MS; i++) {
      await pass("held", 1);
      await edge.wait(SYNC_MS);
    }
    const held = 1 + Math.ceil(IDLE_MS / SYNC_MS);
    assert.deepEqual(await edge.ledger.leases("ended"), []);
    await pass("later", 2);
    await edge.wait(SYNC_MS);
    for (const method of ["acquire", "settle", "release", "sweep", "budgets", "leases"] as const)
      Object.assign(edge.ledger, { [method]: copy[method].bind(copy) });
    await pass("held", 1);
    await pass("later", 1);
    await edge.wait(LEASE_MS);
    for (const organisation of ["ended", "held", "later"]) await copy.sweep(organisation);
    // Charged whole, as a dead lease; exactly; and only what came on the lease that was asked for afterwards.
    assert.deepEqual(await edge.budget("ended"), { spent: granted, outstanding: 0 });
    assert.deepEqual(await edge.budget("held"), { spent: (held + 1) * USED, outstanding: 0 });
    assert.deepEqual(await edge.budget("later"), { spent: 0, outstanding: 0 });
    assert.equal(edge.metrics.value("weir_lost_reports_total"), 1);
    await pass("later", 1);
    await edge.wait(IDLE_MS);
    assert.deepEqual(await edge.budget("later"), { spent: USED, outstanding: 0 });
    assert.equal(edge.metrics.value("weir_lost_reports_total"), 1);
  });
