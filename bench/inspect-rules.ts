// What inspection costs on one thread before the classifier: normalise, rules and decoded views, in ns of CPU time
// per byte of JSON-escaped text (best of 9), and together in MB/s. CPU time, so that a busy machine does not count.
//   npx tsx bench/inspect-rules.ts
import { rulesPack } from "../scripts/packs.ts";
import { leaf } from "../test/support/leaf.ts";

const SIZE = 32 * 1024;
const ROUNDS = 9;
const texts: Record<string, string> = {
  english:
    "Could you go through the attached report and tell me where the numbers of the second quarter come from?\nI think the table on page four is older than the one we sent to the board, and the chart below it was never updated.\n",
  code: "    for (let i = 0; i < rows.length; i++) {\n        total += rows[i].price * rows[i].count;\n    }\n",
  russian: "Пожалуйста, посмотри этот отчёт и объясни, откуда взялись цифры второго квартала.\n",
  chinese: "请看一下附件中的报告，告诉我第二季度的数字是从哪里来的。\n",
};
const { exports, reserve, write } = await leaf("test/assembly/inspect/rules.entry.ts");
const pack = await rulesPack();
const at = reserve(pack.length);
const from = reserve(SIZE);
const to = reserve(SIZE + 64);
write(at, pack);
if (!exports.loadRules(at, pack.length)) throw new Error("the pack was refused");

const column = (text: string) => text.padStart(11);
console.log(`pack ${pack.length} bytes, ${exports.rulesLoaded()} rules; ns of CPU time per byte`);
console.log(`${"".padEnd(8)}${["normalise", "rules", "views", "all", "all MB/s"].map(column).join("")}`);
for (const [name, text] of Object.entries(texts)) {
  const unit = Buffer.from(JSON.stringify(text).slice(1, -1));
  const body = Buffer.concat(Array(Math.floor(SIZE / unit.length)).fill(unit));
  write(from, body);
  /** What the given steps cost: 0 normalise, 1 with rules, 2 with views too. */
  const cost = (steps: number) => {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < ROUNDS; round++) {
      const start = process.cpuUsage();
      exports.inspectMany(from, body.length, 1, to, steps, 200);
      const { user, system } = process.cpuUsage(start);
      best = Math.min(best, ((user + system) * 1e3) / (body.length * 200));
    }
    return best;
  };
  const [normal, ruled, all] = [cost(0), cost(1), cost(2)];
  const figures = [normal, ruled - normal, all - ruled, all].map((x) => column(x.toFixed(2)));
  console.log(`${name.padEnd(8)}${figures.join("")}${column((1e3 / all).toFixed(0))}`);
}
