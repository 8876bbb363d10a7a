// Token counting: Weir's exact counts, bounds and estimate in Wasm beside npm `gpt-tokenizer` and `tiktoken`.
//
// Text: what lies in node_modules (READMEs, licences, typings, sources), cut into prompts of 2 to 8 KB of which none
// repeats a line of another, and generated text in 20 languages. With WEIR_DATA=DIRECTORY, also the rows of its
// `prompts.jsonl`. The engines take turns on every batch, so that a busy machine slows all of them alike; each is
// timed over decoding too where it needs other input than it is given (JavaScript takes strings, Weir UTF-8).
// Answers of all engines are compared; tiktoken is known to differ on U+0085 and U+FEFF only.
//
//   npx tsx bench/tokens.ts [--seconds 3]     of each row
import assert from "node:assert/strict";
import { countTokens as cl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { countTokens as o200k } from "gpt-tokenizer/encoding/o200k_base";
import { get_encoding } from "tiktoken";
import { attachPacks } from "../scripts/attach-packs.ts";
import type { EncodingName } from "../scripts/build-vocabulary.ts";
import { vocabularyPack } from "../scripts/packs.ts";
import { LANGUAGES, sentence } from "../test/assembly/tokens/corpus.ts";
import { ENTRY, instantiate, tokens } from "../test/assembly/tokens/support.ts";
import { compile } from "../test/support/leaf.ts";
import { random } from "../test/support/random.ts";
import { optionsOf } from "./measure.ts";
import { code, dataRows, documentation } from "./texts.ts";

const { seconds } = optionsOf({ seconds: 3 });
const TEXT_BYTES = 1 << 20;
const CORPUS_BYTES = 1 << 20;

function fromLanguages(): string[] {
  const next = random(7);
  const prompts: string[] = [];
  for (let size = 0; size < CORPUS_BYTES; size += Buffer.byteLength(prompts.at(-1) as string)) {
    const name = Object.keys(LANGUAGES)[prompts.length % Object.keys(LANGUAGES).length] as string;
    prompts.push(Array.from({ length: 40 }, () => sentence(next, name)).join(""));
  }
  return prompts;
}

function fromData(rows: { text: string }[]): string[] {
  const texts = [...new Set(rows.map(({ text }) => text))];
  let size = 0;
  return texts.filter((text) => {
    size += text.length;
    return text.length && Buffer.byteLength(text) <= TEXT_BYTES && size < 4 * CORPUS_BYTES;
  });
}

const corpora: Record<string, string[]> = {
  documentation: documentation(),
  code: code(),
  languages: fromLanguages(),
};
corpora.mixed = [...(corpora.documentation ?? []), ...(corpora.code ?? []), ...(corpora.languages ?? [])];
const rows = dataRows();
if (rows) corpora.prompts = fromData(rows);
else console.log("WEIR_DATA with a prompts.jsonl is not set: no row of recorded prompts");

interface Engine {
  name: string;
  count(text: string, bytes: Uint8Array): number;
}

interface Row {
  speed: number;
  sum: number;
}

/** MB/s of each engine over `texts`, and the sum of its answers. Takes turns by text; every pass is over all. */
function measure(engines: Engine[], texts: string[]): Row[] {
  const encoded = texts.map((text) => Buffer.from(text));
  const total = encoded.reduce((sum, bytes) => sum + bytes.length, 0);
  const best = engines.map(() => Number.POSITIVE_INFINITY);
  const sums = engines.map(() => 0);
  const until = performance.now() + seconds * 1000;
  for (let pass = 0; pass < 2 || performance.now() < until; pass++) {
    const spent = engines.map(() => 0);
    sums.fill(0);
    for (let from = 0; from < texts.length; from += 16) {
      engines.forEach((engine, e) => {
        const start = performance.now();
        let sum = 0;
        for (let i = from; i < Math.min(from + 16, texts.length); i++) {
          sum += engine.count(texts[i] as string, encoded[i] as Uint8Array);
        }
        spent[e] = (spent[e] as number) + performance.now() - start;
        sums[e] = (sums[e] as number) + sum;
      });
    }
    spent.forEach((ms, e) => {
      best[e] = Math.min(best[e] as number, ms);
    });
  }
  return engines.map((_, e) => ({ speed: total / 1000 / (best[e] as number), sum: sums[e] as number }));
}

const simd = await tokens({ textBytes: TEXT_BYTES });
const scalar = await tokens({ textBytes: TEXT_BYTES, scalar: true });
const asText = { disallowedSpecial: new Set<string>() };
const cell = (value: string | number, width = 10) => String(value).padStart(width);
const mbps = (value: number) => cell(value.toFixed(value < 100 ? 1 : 0));

console.log(
  "\nexact counts, MB/s (best pass)   weir       scalar     gpt-tokenizer  tiktoken   weir / faster  tokens",
);
for (const [encoding, gpt] of [o200k, cl100k].entries()) {
  const name = encoding ? "cl100k_base" : "o200k_base";
  const tiktoken = get_encoding(name);
  const engines: Engine[] = [
    { name: "weir", count: (_, bytes) => simd.count(encoding, bytes) },
    { name: "scalar", count: (_, bytes) => scalar.count(encoding, bytes) },
    { name: "gpt-tokenizer", count: (text) => gpt(text, asText) },
    { name: "tiktoken", count: (text) => tiktoken.encode_ordinary(text).length },
  ];
  for (const [corpus, texts] of Object.entries(corpora)) {
    const [a, b, c, d] = measure(engines, texts) as [Row, Row, Row, Row];
    for (const text of texts) {
      const exact = simd.count(encoding, text);
      assert.equal(exact, gpt(text, asText), "weir and gpt-tokenizer differ");
      if (!/[\u0085\ufeff]/.test(text)) assert.equal(exact, tiktoken.encode_ordinary(text).length);
    }
    assert.equal(a.sum, b.sum);
    const ratio = a.speed / Math.max(c.speed, d.speed);
    const speeds = [a, b, c, d].map(({ speed }) => mbps(speed)).join(" ");
    console.log(
      `${name.padEnd(12)} ${corpus.padEnd(14)} ${speeds} ${cell(`${ratio.toFixed(1)} ×`)} ${cell(a.sum)}`,
    );
  }
  tiktoken.free();
}

console.log("\nbounds and estimate, MB/s              simd       scalar");
const everything = Buffer.from((corpora.mixed ?? []).join("")).subarray(0, TEXT_BYTES);
for (const name of ["boundTokens", "estimateTokensUpper"]) {
  const speeds = [simd, scalar].map(({ exports, put }) => {
    const slice = put(everything);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 20; i++) {
      const start = performance.now();
      exports[name](slice, 0);
      best = Math.min(best, performance.now() - start);
    }
    return mbps(everything.length / 1000 / best);
  });
  console.log(`${name.padEnd(32)} ${speeds.join(" ")}`);
}

console.log("\nwhat lies in the module (bytes)");
const core = await compile(ENTRY);
for (const names of [[], ["cl100k"], ["o200k"], ["o200k", "cl100k"]] as EncodingName[][]) {
  const packs = Object.fromEntries(await Promise.all(names.map(async (n) => [n, await vocabularyPack(n)])));
  const attachStart = performance.now();
  const module = attachPacks(core, packs);
  const attachMs = performance.now() - attachStart;
  const start = performance.now();
  const { memory } = instantiate(module, 0);
  const ms = (performance.now() - start).toFixed(1);
  console.log(
    `${(names.join(" + ") || "none").padEnd(16)} file ${cell(module.length)}  memory ${cell(memory.buffer.byteLength)}` +
      `  attached in ${attachMs.toFixed(1)} ms, compiled and started in ${ms} ms`,
  );
}
