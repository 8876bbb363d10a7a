// Runs all fuzz targets, each for its share of the time, and the canary, which must fail. Exits 1 on any find.
//
//   npx tsx test/fuzz/run.ts [seconds in all] [seed]
import { fuzz as canary } from "./canary.ts";
import { fuzz as filter } from "./filter.ts";
import { fuzz as json } from "./json.ts";
import { fuzz as normalise } from "./normalise.ts";
import { fuzz as redact } from "./redact.ts";
import { fuzz as rules } from "./rules.ts";
import { fuzz as schema } from "./schema.ts";
import { fuzz as tokens } from "./tokens.ts";
import { fuzz as usage } from "./usage.ts";
import { fuzz as views } from "./views.ts";

/** Runs for some seconds from a seed and returns the number of inputs; throws on a find. */
type Fuzz = (seconds: number, seed: number) => Promise<number>;

const TARGETS: Record<string, Fuzz> = {
  json,
  schema,
  tokens,
  redact,
  usage,
  normalise,
  rules,
  views,
  filter,
};

const seconds = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
if (!(seconds > 0) || !Number.isInteger(seed)) {
  console.error("usage: npx tsx test/fuzz/run.ts [seconds] [seed]");
  process.exit(2);
}

/** What `run` threw, or how many inputs it tried. */
async function attempt(run: Fuzz, share: number): Promise<{ inputs: number; find?: unknown }> {
  try {
    return { inputs: await run(share, seed) };
  } catch (find) {
    return { inputs: 0, find };
  }
}

const share = seconds / Object.keys(TARGETS).length;
const finds: [string, unknown][] = [];
console.log(`seed ${seed}, ${share.toFixed(1)} s for each target`);
for (const [name, run] of Object.entries(TARGETS)) {
  const started = performance.now();
  const { inputs, find } = await attempt(run, share);
  if (find) finds.push([name, find]);
  const took = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  console.log(`${name.padEnd(10)} ${find ? "FIND" : "ok  "} ${String(inputs).padStart(8)} inputs ${took} s`);
}
const caught = (await attempt(canary, 1)).find !== undefined;
console.log(`${"canary".padEnd(10)} ${caught ? "caught, as it must be" : "NOT CAUGHT: the runner is blind"}`);
for (const [name, find] of finds) console.error(`\n${name}, seed ${seed}:`, find);
process.exit(finds.length > 0 || !caught ? 1 : 0);
