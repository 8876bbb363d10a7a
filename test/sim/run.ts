/**
 * `npx tsx test/sim/run.ts --seeds N [--from S]`: runs N histories and stops at the first that breaks a rule, with its seed.
 * `--redis M` also replays the first M of them on a real Redis and compares every reply. `--fleets N` runs N histories of the
 * filter itself under each host's profile (fleet.ts).
 */
import { parseArgs } from "node:util";
import { World } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    redis: { type: "string", default: "0" },
    fleets: { type: "string", default: "0" },
  },
});
const from = Number(values.from);
const started = performance.now();
let commands = 0;

for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const world = new World({ seed });
  try {
    world.run();
  } catch (error) {
    console.error(`seed ${seed} failed; faults ${JSON.stringify(world.faults)}`);
    console.error(error);
    console.error(`again: npx tsx test/sim/run.ts --seeds 1 --from ${seed}`);
    process.exit(1);
  }
  commands += world.history.length;
}
const seconds = (performance.now() - started) / 1_000;
console.log(`${values.seeds} seeds, ${commands} commands, ${seconds.toFixed(1)} s: every rule held`);

if (Number(values.redis) > 0) {
  const { replayOnRedis } = await import("./replay.ts");
  const compared = await replayOnRedis(from, Number(values.redis));
  console.log(`${values.redis} seeds again on Redis: ${compared} replies, all equal`);
}

if (Number(values.fleets) > 0) {
  const { Fleet } = await import("./fleet.ts");
  for (const profile of ["envoy", "ngx_wasm"] as const)
    for (let seed = from; seed < from + Number(values.fleets); seed++)
      try {
        await new Fleet({ seed, profile }).run();
      } catch (error) {
        console.error(`fleet under ${profile}, seed ${seed}:`);
        console.error(error);
        process.exit(1);
      }
  console.log(`${values.fleets} fleets under each profile: every rule held`);
}
