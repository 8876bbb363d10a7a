// Throughput of normalise, rules and views on one thread, in MB of JSON-escaped text a second (best of 5).
//   npx tsx bench/inspect-rules.ts
import { fileURLToPath } from "node:url";
import { compileRules, readRules } from "../sidecar/pack/rules.ts";
import { leaf } from "../test/support/leaf.ts";

const size = 32 * 1024;
const texts: Record<string, string> = {
  english:
    "Could you go through the attached report and tell me where the numbers of the second quarter come from?\nI think the table on page four is older than the one we sent to the board, and the chart below it was never updated.\n",
  code: "    for (let i = 0; i < rows.length; i++) {\n        total += rows[i].price * rows[i].count;\n    }\n",
  russian: "Пожалуйста, посмотри этот отчёт и объясни, откуда взялись цифры второго квартала.\n",
  chinese: "请看一下附件中的报告，告诉我第二季度的数字是从哪里来的。\n",
};
const { exports, reserve, write } = await leaf("test/assembly/inspect/rules.entry.ts");
const { rules, source } = readRules(fileURLToPath(new URL("../packs/rules", import.meta.url)));
const { pack } = compileRules(rules, source);
const at = reserve(pack.length);
const from = reserve(size);
const to = reserve(size + 64);
write(at, pack);
if (!exports.loadRules(at, pack.length)) throw new Error("the pack was refused");

console.log(`pack ${pack.length} bytes, ${rules.length} rules`);
for (const [name, text] of Object.entries(texts)) {
  const unit = Buffer.from(JSON.stringify(text).slice(1, -1));
  const body = Buffer.concat(Array(Math.floor(size / unit.length)).fill(unit));
  write(from, body);
  const best = (views: number) => {
    let rate = 0;
    for (let round = 0; round < 6; round++) {
      const start = process.hrtime.bigint();
      exports.inspectMany(from, body.length, 1, to, views, 100);
      rate = Math.max(rate, (body.length * 100 * 1e3) / Number(process.hrtime.bigint() - start));
    }
    return rate.toFixed(0).padStart(5);
  };
  console.log(`${name.padEnd(8)} normalise + rules ${best(0)} MB/s   with views ${best(1)} MB/s`);
}
