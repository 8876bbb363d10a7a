// Throws mutated and cut answers at the usage reader. Run: npx tsx test/fuzz/usage.ts [SECONDS] [SEED]
//
// Whatever comes, nothing may trap; both builds and every split read the same; what is not hidden comes out byte for
// byte; and work (steps) grows no faster than the length. A find is printed with its seed, base64 and cuts.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type KindName, usage } from "../assembly/usage/support.ts";
import { random } from "../support/random.ts";
import { assertLinear, repeated } from "./linear.ts";

const dir = new URL("../assembly/usage/fixtures/", import.meta.url);
const TOKENS = [
  ...[
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "data:",
    "data: ",
    ": ",
    "[DONE]",
    "{",
    "}",
    "[",
    "]",
    ",",
    '"',
    "\\",
    "\\u00",
    "null",
    "1e400",
  ],
  ...[
    '"usage":{',
    '"choices":[],',
    '"prompt_tokens":',
    '"content":"',
    "\ufeff",
    "\\ud83d",
    "x".repeat(3000),
    "[".repeat(600),
    "é",
    "18446744073709551616",
  ],
];

function mutate(body: Buffer, next: (below: number) => number): Buffer {
  let bytes = body;
  for (let n = next(6); n > 0; n--) {
    const at = next(bytes.length + 1);
    const to = Math.min(bytes.length, at + next(40));
    const token = Buffer.from(TOKENS[next(TOKENS.length)] ?? "");
    const middle = [
      token,
      Buffer.of(next(256)),
      Buffer.alloc(0),
      bytes.subarray(at, to),
      bytes.subarray(next(at + 1), at),
    ];
    bytes = Buffer.concat([
      bytes.subarray(0, at),
      middle[next(5)] ?? token,
      bytes.subarray(next(2) ? at : to),
    ]);
  }
  return bytes;
}

const isSubsequence = (small: Buffer, large: Buffer) => {
  let at = 0;
  for (let i = 0; i < large.length && at < small.length; i++) if (large[i] === small[at]) at++;
  return at === small.length;
};

export async function fuzz(seconds: number, seed: number): Promise<number> {
  const builds = [await usage(), await usage(true)];
  const corpus = readdirSync(dir).map((file) => {
    const { kind, body } = JSON.parse(readFileSync(new URL(file, dir), "utf8")) as {
      kind: KindName;
      body: string[];
    };
    return { kind, body: Buffer.from(body.join("\n")) };
  });
  const until = performance.now() + seconds * 1000;
  let runs = 0;
  for (; performance.now() < until; runs++) {
    const next = random(seed + runs);
    const one = corpus[next(corpus.length)];
    if (!one) break;
    const kind = next(10) ? one.kind : one.kind === "json" ? "events" : "json";
    const body = mutate(one.body, next);
    const cuts = Array.from({ length: next(5) }, () => next(body.length + 1)).sort((a, b) => a - b);
    const whole = builds[0]?.read(kind, body);
    const out = builds[0]?.filter(kind, body).out ?? body;
    for (const build of builds) {
      const filtered = build.filter(kind, body, cuts);
      let pieces = body;
      try {
        pieces = build.texts(kind, body, cuts).texts.bytes;
      } catch (error) {
        // A text of broken JSON does not decode; only a trap matters here.
        if (!(error instanceof SyntaxError)) throw error;
      }
      const same = [build.read(kind, body, cuts), filtered.read].every(
        (reading) => JSON.stringify(reading) === JSON.stringify(whole),
      );
      if (!same || !filtered.out.equals(out) || !pieces.equals(body) || !isSubsequence(out, body)) {
        throw new Error(`seed ${seed + runs}: ${kind} cut at ${cuts}: ${body.toString("base64")}`);
      }
    }
  }
  await linear();
  return runs;
}

/** Ten times the bytes cost about ten times the steps, on inputs made to be slow. */
async function linear(): Promise<void> {
  const build = await usage(false, 1 << 20, { steps: true });
  const units = [
    "\n",
    "\r",
    "data:\n",
    "data: {\n",
    'data: {"a":[[[',
    "data: x\n\n",
    '{"choices":[{"delta":{"content":"\\u00e9',
    ":",
  ];
  for (const unit of units) {
    for (const step of [7, 4096]) {
      const stepsOf = (body: Uint8Array) => {
        const cuts = Array.from({ length: Math.floor(body.length / step) }, (_, i) => i * step);
        build.takeSteps();
        build.filter("events", body, cuts);
        return build.takeSteps();
      };
      const make = (size: number) => repeated(Buffer.from(unit), size);
      assertLinear(make, stepsOf, `${JSON.stringify(unit)} by ${step}`);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const seconds = Number(process.argv[2] ?? 10);
  const seed = Number(process.argv[3] ?? Date.now() % 1e6);
  console.log(`usage: ${await fuzz(seconds, seed)} answers, seed ${seed}`);
}
