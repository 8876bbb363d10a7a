// What a conversation costs with the memo: CPU of JSON, spans, judging and exact counting for each turn of a chat that
// resends all before it, beside a request with the last turn alone and a JSON scan of the rest. And the hash's speed.
//
//   npx tsx test/assembly/inspect/memo-bench.ts
import { leaf } from "../../support/leaf.ts";
import { chat, type Judge, openJudge } from "./memo-support.ts";

const TURNS = 40;
const ROUNDS = 30;
const HASHED_BYTES_MAX = 32768;
const SENTENCES = [
  "The second section repeats what the first one says about the harbour, but with other years.",
  "Could you compare the prices of both suppliers and say which of them is cheaper in winter?",
  "Here is the table again: oak 14.2, beech 9.75, larch 8.3, all per square metre and delivered.",
  "I would rather keep the old wording, because the board has already agreed to it last spring.",
];

/** CPU milliseconds of this process; the machine may be busy with others. */
function cpu(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** A turn of about 700 bytes that no other turn repeats. */
function turn(seed: string, i: number): string {
  const parts = Array.from(
    { length: 8 },
    (_, k) => `${seed}${i}.${k} ${SENTENCES[(i + k) % SENTENCES.length]}`,
  );
  return parts.join("\n");
}

/** JSON, spans, judging and exact tokens of the body of `bytes` at `at`, without copying it there. */
function serve({ exports, at, work }: Judge, bytes: number): void {
  exports.find(at, bytes, at + bytes, 0);
  exports.judgeBody(work, 1000, 1000);
  exports.countBody(bytes, work);
}

function timed(judge: Judge, body: Buffer): number {
  const bytes = judge.put(body);
  return cpu(() => serve(judge, bytes));
}

const secret: [bigint, bigint] = [0x243f6a8885a308d3n, 0x13198a2e03707344n];
const judge = await openJudge({ secret, vocabularies: true });
const plain = await openJudge({ vocabularies: true });
// V8 compiles hot functions again while they run: let it finish.
for (let i = 0; i < 3000; i++) {
  for (const one of [judge, plain]) timed(one, Buffer.from(chat([turn("warm ", i)])));
}
const totals = { memo: 0, without: 0, last: 0, rest: 0 };
console.log("turn   body B   µs: memo   without   last turn alone + JSON of the rest   ratio");
for (let i = 1; i <= TURNS; i++) {
  const sums = { memo: 0, without: 0, last: 0, rest: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    // Each round is a conversation of its own: its history is known, its last turn is new.
    const texts = Array.from({ length: i }, (_, k) => turn(`r${round} `, k));
    const before = Buffer.from(chat(texts.slice(0, -1)));
    const body = Buffer.from(chat(texts));
    const last = Buffer.from(chat(texts.slice(-1)));
    timed(judge, before);
    sums.memo += timed(judge, body);
    // Warm like the others, and not remembered: this instance has no memo.
    timed(plain, last);
    sums.last += timed(plain, last);
    const rest = plain.put(before);
    sums.rest += cpu(() => plain.exports.scanJson(plain.at, rest));
    sums.without += timed(plain, body);
  }
  for (const key of Object.keys(sums) as (keyof typeof sums)[]) totals[key] += sums[key];
  if (i > 5 && i % 10 !== 0) continue;
  row(String(i), chat(Array.from({ length: i }, (_, k) => turn("r0 ", k))).length, sums, ROUNDS);
}
row("all", 0, totals, ROUNDS * TURNS);

for (const scalar of [false, true]) {
  const { exports, reserve, write } = await leaf("test/assembly/siphash.entry.ts", { scalar });
  exports.keyHash(...secret);
  const at = reserve(HASHED_BYTES_MAX);
  write(
    at,
    Uint8Array.from({ length: HASHED_BYTES_MAX }, (_, i) => (i * 7919) >> 3),
  );
  for (const bytes of [16, 64, 256, 1024, 4096, HASHED_BYTES_MAX]) {
    const times = Math.ceil((32 << 20) / bytes);
    const best = Math.min(...Array.from({ length: 5 }, () => cpu(() => exports.hashMany(at, bytes, times))));
    const rate = ((bytes * times) / best / 1e6).toFixed(2);
    console.log(
      `hash ${scalar ? "scalar" : "SIMD"} ${bytes} B: ${((best * 1e6) / times).toFixed(0)} ns, ${rate} GB/s`,
    );
  }
}

function row(name: string, bytes: number, ms: typeof totals, requests: number): void {
  const us = (value: number) => ((value * 1000) / requests).toFixed(0).padStart(8);
  const ratio = (ms.memo / (ms.last + ms.rest)).toFixed(2);
  console.log(
    `${name.padStart(4)} ${String(bytes).padStart(8)} ${us(ms.memo)} ${us(ms.without)} ${us(ms.last)} + ${us(ms.rest)}      ${ratio}`,
  );
}
