/** The filter itself in simulated fleets: some seeds under each host's profile, and fleets that are broken on purpose. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Status } from "../../host/abi.ts";
import { SharedData } from "../../host/shared-data.ts";
import type { LocalEdge } from "../support/filter.ts";
import { Fleet, type FleetOptions } from "./fleet.ts";
import { Random } from "./random.ts";

const SEEDS = 12;
const CANARY_SEEDS = 12;

async function run(options: FleetOptions): Promise<void> {
  try {
    await new Fleet(options).run();
  } catch (error) {
    const again = `npx tsx test/sim/run.ts --seeds 0 --fleets 1 --from ${options.seed}`;
    throw new Error(`${options.profile}, seed ${options.seed}: ${again}`, { cause: error });
  }
}

const BROKEN: Record<string, (edge: LocalEdge) => void> = {
  "the ledger takes reports for twice what they say": ({ ledger }) => {
    const settle = ledger.settle.bind(ledger);
    ledger.settle = (command) => settle({ ...command, spent: command.spent.map((amount) => 2 * amount) });
  },
  "last reports do not reach the ledger that acknowledges them": ({ ledger }) => {
    const settle = ledger.settle.bind(ledger);
    ledger.settle = (command) =>
      settle(command.final ? { ...command, spent: command.spent.map(() => 0) } : command);
  },
};

describe("fleets of the filter", () => {
  for (const profile of ["envoy", "ngx_wasm"] as const) {
    it(`charge what was used, over ${SEEDS} histories under ${profile}`, async () => {
      for (let seed = 1; seed <= SEEDS; seed++) await run({ seed, profile });
    });
  }

  for (const profile of ["envoy", "ngx_wasm"] as const) {
    it(`charge what was used where another worker is often faster, under ${profile}`, async (t) => {
      const { set } = SharedData.prototype;
      const random = new Random(1);
      t.mock.method(
        SharedData.prototype,
        "set",
        function (this: SharedData, ...args: Parameters<typeof set>) {
          const [, , cas] = args;
          return cas !== 0 && random.chance(0.4) ? Status.CasMismatch : set.apply(this, args);
        },
      );
      for (let seed = 1; seed <= SEEDS; seed++) await run({ seed, profile });
    });
  }

  for (const [name, sabotage] of Object.entries(BROKEN)) {
    it(`are caught when ${name}`, async () => {
      assert.ok(await caught(sabotage), `not caught in ${CANARY_SEEDS} seeds`);
    });
  }

  it("are caught when some writes of shared data are lost", async (t) => {
    const { set } = SharedData.prototype;
    let writes = 0;
    t.mock.method(SharedData.prototype, "set", function (this: SharedData, ...args: Parameters<typeof set>) {
      return ++writes % 17 === 0 ? Status.Ok : set.apply(this, args);
    });
    assert.ok(await caught(), `not caught in ${CANARY_SEEDS} seeds`);
  });
});

async function caught(sabotage?: (edge: LocalEdge) => void): Promise<boolean> {
  for (let seed = 1; seed <= CANARY_SEEDS; seed++) {
    try {
      await new Fleet({ seed, profile: "envoy", ...(sabotage && { sabotage }) }).run();
    } catch {
      return true;
    }
  }
  return false;
}
