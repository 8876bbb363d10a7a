// Fuzzes the redactor: random bytes and random mixtures of what triggers detectors, cut at random, plain, as
// JSON strings and as JSON in JSON strings. Nothing may trap, any cut must give what the whole gives, a prompt's text becomes what an answer's does,
// no character is cut in two, held text stays bounded, JSON stays valid, and work (steps) must grow in proportion to length. A failure prints its seed.
//
//   npx tsx test/fuzz/redact.ts [seconds] [seed]
import { fileURLToPath } from "node:url";
import { redactor } from "../assembly/redact/support.ts";
import { assertLinear, repeated } from "./linear.ts";

let seed = 0;
const engine = await redactor();
const counting = await redactor(false, 1 << 20, { steps: true });
for (const own of [engine, counting]) {
  own.phrase("You are Ada, the assistant of Acme", "CANARY");
  own.phrase("\u00e9t\u00e9 \u0001\u0001", "CUSTOM");
}

const SCRAPS = [
  ..."@.:-_+()/ \n0123456789aZ~=é😀\\\"'[,",
  "bob@example.com",
  "@x.co",
  "\u00ad",
  "\u200b",
  "\u2060",
  "&#64;",
  "&#x40;",
  "&#",
  "bob%40",
  "%2B%3D",
  "+44 20 7946",
  " 0958",
  "4111-1111-",
  "1111 1111",
  "DE89 3704 0044 ",
  "0532 0130 00",
  "GB82WEST",
  "078-05-",
  "10.0.0.",
  "2001:db8",
  "::",
  "ffff:",
  "https://hooks.slack.com/services/",
  "sk-ant-api03-",
  "ghp_",
  "AKIA",
  "eyJhbGciOiJIUzI1NiJ9",
  ".eyJzdWIiOiIx",
  "-----BEGIN PRIVATE KEY-----\n",
  "-----END PRIVATE KEY-----",
  "MIIEowIBAAKCAQEAx8zq1vT5Qw3",
  "aws_secret_access_key = ",
  "a".repeat(70),
  "Xk9".repeat(30),
  "call ",
  "ssn ",
  "version ",
  " ext. 12",
  "-us12",
  "8Q~",
  "You are Ada, ",
  "the\u00a0assis",
  "\u00adtant\u3000of ",
  "Acme",
  "\u00e9t\u200b",
  "\u00e9\u2003\u200d 1",
  "\u200b".repeat(90),
];

let state = 0;
function random(below: number): number {
  state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
  return Math.floor((((state ^ (state >>> 13)) >>> 0) / 2 ** 32) * below);
}

function sample(): Buffer {
  if (random(4) === 0) return Buffer.from(Array.from({ length: random(400) }, () => random(256)));
  return Buffer.from(Array.from({ length: random(40) }, () => SCRAPS[random(SCRAPS.length)] ?? "").join(""));
}

function fail(what: string, bytes: Buffer): never {
  throw new Error(`seed ${seed}: ${what}: ${JSON.stringify(bytes.toString("latin1"))}`);
}

function check(bytes: Buffer, level: "plain" | "escaped" | "nested"): string {
  const action = (["redact", "mask", "hash", "flag"] as const)[random(4)] ?? "redact";
  const options = { escaped: level === "escaped", nested: level === "nested", action };
  const whole = engine.redact(bytes, options);
  const cuts = Array.from({ length: random(3) === 0 ? bytes.length : random(5) }, () =>
    random(bytes.length + 1),
  );
  cuts.sort((a, b) => a - b);
  if (engine.redact(bytes, options, cuts) !== whole) {
    const few = cuts.find((cut) => engine.redact(bytes, options, [cut]) !== whole);
    const got = engine.redact(bytes, options, few === undefined ? cuts : [few]);
    fail(`cut ${few ?? cuts} changes the ${options.action}, ${level}: ${whole} → ${got}`, bytes);
  }
  if (options.action === "flag" && whole !== bytes.toString()) fail("flag changes the text", bytes);
  const isText = level === "plain" || isWhole(bytes);
  if (isText && whole.includes("\ufffd") && !bytes.toString().includes("\ufffd"))
    fail("a part of a character is left", bytes);
  if (engine.held() !== 0) fail("text stays held after the end", bytes);
  if (level === "plain" || (level === "escaped" && isWhole(bytes))) {
    const prompt = engine.redactWhole(bytes, options);
    if (prompt !== whole) fail(`the ${options.action} of a prompt differs: ${whole} → ${prompt}`, bytes);
  }
  return whole;
}

/** Whether `raw` is the inside of a JSON string, which the scanner has seen to when a prompt is redacted. */
function isWhole(raw: Buffer): boolean {
  try {
    return typeof JSON.parse(`"${raw}"`) === "string";
  } catch {
    return false;
  }
}

/** Runs for `seconds` from `first`; throws at the first failure. Returns the number of samples. */
export async function fuzz(seconds: number, first: number): Promise<number> {
  const until = Date.now() + seconds * 1000;
  for (seed = first; seed === first || Date.now() < until; seed++) {
    state = seed;
    const bytes = sample();
    check(bytes, "plain");
    const raw = Buffer.from(JSON.stringify(bytes.toString()).slice(1, -1));
    const out = check(raw, "escaped");
    const inner = Buffer.from(JSON.stringify(raw.toString()).slice(1, -1));
    const nested = check(inner, "nested");
    try {
      JSON.parse(`"${out}"`);
      JSON.parse(`"${JSON.parse(`"${nested}"`)}"`);
    } catch {
      fail("the JSON string is no longer valid", raw);
    }
    check(bytes, "escaped");
    check(bytes, "nested");
  }
  for (const scrap of SCRAPS) linear(scrap);
  return seed - first;
}

/** Ten times the scrap costs about ten times the steps. */
function linear(scrap: string): void {
  const stepsOf = (text: Uint8Array) => {
    counting.takeSteps();
    counting.redact(text);
    return counting.takeSteps();
  };
  assertLinear((size) => repeated(Buffer.from(scrap), size), stepsOf, JSON.stringify(scrap));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const runs = await fuzz(Number(process.argv[2] ?? 10), Number(process.argv[3] ?? Date.now() % 1e9));
  console.log(`redact: ${runs} samples, no failure`);
}
