// What inspection costs on one thread, stage by stage, for chats of 1 KB and 32 KB, none twice: ns of CPU time for each byte
// of body, best of rounds. Each row is everything up to that stage; "alone" is what it adds. The last is the filter's
// own way with its memo, which knows none of the texts. WEIR_DATA: see texts.ts.
//
//   npx tsx bench/inspect.ts [--rounds 15]
import { openInspector } from "./inspector.ts";
import { optionsOf, printTable, record } from "./measure.ts";
import { chatBodies, chatTexts } from "./texts.ts";

const { rounds } = optionsOf({ rounds: 15 });
const BYTES_PER_ROUND = 4 << 20;
const STAGES = ["json", "prompt", "normalise", "classifier", "rules", "views", "all, with memo"];

const { passes, reserve, run, write } = await openInspector(1 << 18);
const { texts, from } = chatTexts(passes);
const rows: Record<string, string | number>[] = [];
for (const size of [1024, 32 << 10]) {
  const bodies = chatBodies(texts, size, BYTES_PER_ROUND / size).map((text) => {
    const bytes = Buffer.from(text);
    const ptr = reserve(bytes.length);
    write(ptr, bytes);
    return { ptr, length: bytes.length };
  });
  const total = bodies.reduce((sum, { length }) => sum + length, 0);
  const best = STAGES.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    for (let stage = 0; stage < STAGES.length; stage++) {
      const before = process.cpuUsage();
      for (const { ptr, length } of bodies) run(ptr, length, stage);
      const { user, system } = process.cpuUsage(before);
      best[stage] = Math.min(best[stage] as number, ((user + system) * 1e3) / total);
    }
  }
  best.forEach((ns, stage) => {
    const alone = stage > 0 && stage < STAGES.length - 1 ? ns - (best[stage - 1] as number) : ns;
    rows.push({
      bodies: `${bodies.length} × ${Math.round(total / bodies.length)} B`,
      "up to": STAGES[stage] as string,
      "ns/B": ns.toFixed(2),
      "alone ns/B": alone.toFixed(2),
      "MB/s": Math.round(1e3 / ns),
      "µs/body": ((ns * total) / bodies.length / 1e3).toFixed(1),
    });
  });
}
console.log(`texts: ${from}`);
printTable(rows);
record("inspect", rows);
