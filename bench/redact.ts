// Redaction: how fast, and how right.
//
//   npx tsx bench/redact.ts                     speed only, and says that the evaluation data is absent
//   WEIR_DATA=DIR npx tsx bench/redact.ts       also precision and recall on DIR/pii.jsonl and on keys drawn by
//                                               DIR/gen_secrets.py with five seeds; fails below what is due
//
// A span counts as found when its start, end and type are all right; keys, tokens and private keys are one class
// in the drawn set, as its rows give only the span.
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { detector } from "../sidecar/cli/redact.ts";
import { redactor } from "../test/assembly/redact/support.ts";

const PIECE = 1 << 18;
const engine = await redactor();

const WORDS =
  "the of and to in is that it for was on are as with they be at one have this from or had by not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know".split(
    " ",
  );

/** Ordinary prose: about a number and a capital per sentence. */
function prose(bytes: number, numbers: boolean): string {
  let text = "";
  for (let i = 0; text.length < bytes; i++) {
    text += WORDS[(i * 7919 + (i >> 3)) % WORDS.length];
    if (i % 14 === 13) text += numbers ? `. In ${1900 + (i % 120)}, ` : ". ";
    else text += " ";
  }
  return text.slice(0, bytes);
}

const personal =
  "Mail bob.smith@example.com or call +44 20 7946 0958 about card 4111-1111-1111-1111 at 10.0.0.1. ";
const cases: [string, string, boolean][] = [
  ["nothing triggers", "lorem ipsum dolor sit amet consectetur ".repeat(PIECE / 39), false],
  ["ordinary prose", prose(PIECE, true), false],
  [
    "ordinary prose, JSON escapes",
    JSON.stringify(prose(PIECE / 2, true).replaceAll(". ", '."\n')).slice(1, -1),
    true,
  ],
  [
    "a personal line per KiB",
    Array.from({ length: PIECE / 1024 }, () => prose(928, true) + personal).join(""),
    false,
  ],
  ["personal lines only", personal.repeat(PIECE / personal.length), false],
];

function megabytesPerSecond(bytes: number, run: () => void): number {
  for (let i = 0; i < 20; i++) run();
  const rates = Array.from({ length: 5 }, () => {
    const start = performance.now();
    let n = 0;
    while (performance.now() - start < 100) {
      run();
      n++;
    }
    return (n * bytes) / 1000 / (performance.now() - start);
  });
  return rates.sort((a, b) => a - b)[2] ?? 0;
}

console.log("case                              MB/s   (256 KiB pieces, median of 5)");
for (const [name, text, escaped] of cases) {
  const bytes = Buffer.from(text);
  engine.write(engine.input, bytes);
  const rate = megabytesPerSecond(bytes.length, () => {
    engine.open({ escaped });
    engine.exports.setOutput(engine.output, 8 << 20);
    engine.feedRaw(bytes.length);
  });
  console.log(`${name.padEnd(30)} ${rate.toFixed(0).padStart(7)}`);
}

const delta = Buffer.from(" several words of an answer");
engine.write(engine.input, delta);
engine.open({ escaped: true });
const perDelta = megabytesPerSecond(1, () => {
  engine.exports.setOutput(engine.output, 65536);
  engine.feedRaw(delta.length, false);
});
console.log(`${"one delta of 27 bytes".padEnd(30)} ${(1 / perDelta).toFixed(2).padStart(7)} µs`);

interface Row {
  text: string;
  spans?: { start: number; end: number; type: string }[];
  span?: [number, number];
}
type Score = { right: number; wrong: number; missed: number };

/** Through what `weir redact` runs. */
function evaluate(file: string, spansOf: ReturnType<typeof detector>): Map<string, Score> {
  const scores = new Map<string, Score>();
  const score = (type: string) => {
    const have = scores.get(type) ?? { right: 0, wrong: 0, missed: 0 };
    scores.set(type, have);
    return have;
  };
  for (const line of readFileSync(file, "utf8").trim().split("\n")) {
    const row = JSON.parse(line) as Row;
    const name = (type: string) => (row.spans ? type : "secret");
    const want = new Set(
      (row.spans ?? (row.span ? [{ start: row.span[0], end: row.span[1], type: "secret" }] : [])).map(
        (s) => `${name(s.type)} ${s.start} ${s.end}`,
      ),
    );
    for (const s of spansOf(row.text)) {
      const key = `${name(s.type)} ${s.start} ${s.end}`;
      if (want.delete(key)) score(name(s.type)).right++;
      else score(name(s.type)).wrong++;
    }
    for (const key of want) score(key.split(" ")[0] ?? "").missed++;
  }
  return scores;
}

/** The least precision and recall. */
const DUE: Record<string, [number, number]> = { PHONE: [0.95, 0.9], secret: [0.99, 0.97] };
const DUE_OTHERS: [number, number] = [0.98, 0.97];

function print(title: string, scores: Map<string, Score>): void {
  console.log(`\n${title.padEnd(20)}      P       R   spans`);
  for (const [type, { right, wrong, missed }] of [...scores].sort()) {
    const [precision, recall] = [right / (right + wrong), right / (right + missed)];
    const [precisionDue, recallDue] = DUE[type] ?? DUE_OTHERS;
    const ok = precision >= precisionDue && recall >= recallDue;
    if (!ok) process.exitCode = 1;
    const numbers = `${precision.toFixed(4)}  ${recall.toFixed(4)} ${String(right + missed).padStart(7)}`;
    console.log(`${type.padEnd(20)} ${numbers}${ok ? "" : `  below ${precisionDue} and ${recallDue}`}`);
  }
}

const data = process.env.WEIR_DATA;
if (!data || !existsSync(join(data, "pii.jsonl"))) {
  console.log(
    "\nprecision and recall: not measured; set WEIR_DATA to a directory with pii.jsonl and gen_secrets.py",
  );
} else {
  const spansOf = detector();
  print("pii.jsonl", evaluate(join(data, "pii.jsonl"), spansOf));
  const dir = mkdtempSync(join(tmpdir(), "weir-redact-"));
  try {
    for (const seed of ["1", "2", "3", "4", "5"]) {
      const file = join(dir, `secrets-${seed}.jsonl`);
      execFileSync("python3", [join(data, "gen_secrets.py"), seed, file]);
      print(`gen_secrets ${seed}`, evaluate(file, spansOf));
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}
