// Fuzzes the JSON scanner and tape with damaged documents: npx tsx test/fuzz/json.ts [seconds] [seed]
//
// Each document lies between guard bytes that the leaf must neither change nor be influenced by: the tape must
// give the same answer with other bytes around it (so nothing outside is read into a decision), in pieces (the
// scanner), and on the scalar build. A trap throws. Work is counted in steps of the compiled code: ten times the document
// costs at most eleven times as many. One seed gives one run.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventsOf, type Json, openJson } from "../assembly/json/support.ts";
import { random } from "../support/random.ts";
import { assertLinear } from "./linear.ts";

const GUARD = 64;
const DOCUMENT_MAX = 1 << 14;
const DEPTH = 64;

const PIECES = [
  ...[
    '"',
    "\\",
    "\\u",
    "\\ud83d",
    "\\ude00",
    "\\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "0",
    "-",
    "1e5",
    ".5",
    "true",
    "null",
  ],
  ...[
    "\u0000",
    "\n",
    " ",
    "é",
    "日本",
    "😀",
    "\ufeff",
    '"role":',
    '"a":1,',
    '{"a":[',
    "x".repeat(40),
    "é".repeat(20),
  ],
].map((s) => Buffer.from(s));

function valid(rand: (below: number) => number, depth: number): unknown {
  const kind = rand(depth > 4 ? 6 : 9);
  if (kind < 3)
    return Array.from({ length: rand(8) }, () => PIECES[rand(PIECES.length)]?.toString()).join("");
  if (kind === 3) return rand(1000000) / (rand(3) ? 1 : 7);
  if (kind === 4) return rand(2) === 0;
  if (kind === 5) return null;
  if (kind === 6) return Array.from({ length: rand(12) }, () => valid(rand, depth + 1));
  return Object.fromEntries(
    Array.from({ length: rand(14) }, (_, i) => [`k${rand(40)}-${i}`, valid(rand, depth + 1)]),
  );
}

function damage(rand: (below: number) => number, document: Buffer): Buffer {
  let bytes = document;
  for (let left = rand(4); left > 0; left--) {
    const at = rand(bytes.length + 1);
    const piece = PIECES[rand(PIECES.length)] as Buffer;
    const how = rand(5);
    if (how === 0) bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    else if (how === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + rand(20))]);
    else if (how === 2) bytes = Buffer.from(bytes.subarray(0, at));
    else if (how === 3 && bytes.length) {
      bytes = Buffer.from(bytes);
      bytes[at % bytes.length] = rand(256);
    } else bytes = Buffer.concat([bytes, bytes.subarray(at)]);
  }
  return bytes.subarray(0, DOCUMENT_MAX);
}

/** The tape's answer and all its nodes' text, with `fill` around the document. */
function guarded(json: Json, bytes: Buffer, fill: number): string {
  const { exports: x, write, read } = json.leaf;
  const frame = Buffer.alloc(bytes.length + 2 * GUARD, fill);
  bytes.copy(frame, GUARD);
  write(json.ptr, frame);
  const from = json.ptr + GUARD;
  const answer = [x.tapeScan(from, bytes.length, DEPTH), x.tapeErrorAt(), x.tapeLength()];
  for (let n = 0; n < x.tapeLength(); n++) {
    const raw = x.raw(n) as bigint;
    const at = Number(raw >> 32n);
    const len = Number(raw & 0xffffffffn);
    assert.ok(at >= from && at + len <= from + bytes.length, "a slice leaves the document");
    answer.push(at, len, x.kind(n));
  }
  assert.ok(frame.equals(read(json.ptr, frame.length)), "the document or its guards were changed");
  return answer.join();
}

/** Lists of a value, and objects of many members, whose keys the search for repeated ones compares. */
function checkLinear(json: Json, rand: (below: number) => number): void {
  const { exports: x, write, takeSteps } = json.leaf;
  const unit = JSON.stringify(valid(rand, 2)) ?? "1";
  const prefix = "k".repeat(rand(12));
  const list = (bytes: number) => Array(Math.max(1, Math.floor(bytes / (unit.length + 1)))).fill(unit);
  const forms: Record<string, (bytes: number) => string> = {
    list: (bytes) => `[${list(bytes).join(",")}]`,
    object: (bytes) =>
      `{${list(bytes)
        .map((value, i) => `"${prefix}${10000000 + i}":${value}`)
        .join(",")}}`,
    text: (bytes) => JSON.stringify(unit.repeat(Math.max(1, Math.floor(bytes / unit.length)))),
  };
  for (const [name, form] of Object.entries(forms)) {
    const steps = (run: (at: number, size: number) => number) => (input: Uint8Array) => {
      write(json.ptr, input);
      takeSteps();
      run(json.ptr, input.length);
      return takeSteps();
    };
    const make = (bytes: number) => Buffer.from(form(bytes));
    const what = `${name} of ${unit.slice(0, 200)}`;
    assertLinear(
      make,
      steps((at, size) => x.tapeScan(at, size, DEPTH)),
      `tape: ${what}`,
    );
    assertLinear(
      make,
      steps((at, size) => x.scanAll(at, size, DEPTH)),
      `scanner: ${what}`,
    );
  }
}

/** Runs for `seconds`; answers how many documents were tried. Throws at the first find, naming the seed. */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  const simd = await openJson();
  const scalar = await openJson(true);
  const counting = await openJson(false, true);
  const rand = random(seed);
  const until = performance.now() + seconds * 1000;
  let runs = 0;
  while (performance.now() < until) {
    const bytes = damage(rand, Buffer.from(JSON.stringify(valid(rand, 0)) ?? ""));
    try {
      const answer = guarded(simd, bytes, 0x22);
      for (const fill of [0x00, 0x5c, 0x80, 0x39]) assert.equal(guarded(simd, bytes, fill), answer);
      const other = guarded(scalar, bytes, 0x80).split(",");
      assert.deepEqual(other.slice(0, 3), answer.split(",").slice(0, 3), "the scalar build differs");
      const cut = rand(bytes.length + 1);
      assert.deepEqual(
        eventsOf(simd, [bytes.subarray(0, cut), bytes.subarray(cut)], DEPTH),
        eventsOf(scalar, [bytes], DEPTH),
        `cut at ${cut}`,
      );
      if (runs % 50 === 0) checkLinear(counting, rand);
    } catch (error) {
      throw new Error(`json: seed ${seed}, run ${runs}: ${bytes.toString("base64")}`, { cause: error });
    }
    runs++;
  }
  return runs;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const seconds = Number(process.argv[2] ?? 10);
  const seed = Number(process.argv[3] ?? 1);
  console.log(`json: ${await fuzz(seconds, seed)} documents, seed ${seed}, no finds`);
}
