import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { countTokens as cl100k } from "gpt-tokenizer/encoding/cl100k_base";
import { countTokens as o200k } from "gpt-tokenizer/encoding/o200k_base";
import { vocabularyPack } from "../../../scripts/packs.ts";
import { random } from "../../support/random.ts";
import { KINDS, LANGUAGES, mixedText, sentence } from "./corpus.ts";
import { ENCODINGS, tokens } from "./support.ts";

const asText = { disallowedSpecial: new Set<string>() };
const reference = [(text: string) => o200k(text, asText), (text: string) => cl100k(text, asText)] as const;
const simd = await tokens();
const scalar = await tokens({ scalar: true });

function assertExact(encoding: number, text: string): void {
  const expected = reference[encoding as 0 | 1](text);
  assert.equal(simd.count(encoding, text), expected, `${ENCODINGS[encoding]}: ${JSON.stringify(text)}`);
  assert.equal(
    scalar.count(encoding, text),
    expected,
    `${ENCODINGS[encoding]}, scalar: ${JSON.stringify(text)}`,
  );
}

for (const encoding of [0, 1]) {
  const name = ENCODINGS[encoding];

  test(`${name} counts equal gpt-tokenizer's over 10 MB of mixed text`, () => {
    const next = random(42 + encoding);
    for (let bytes = 0; bytes < 10 << 20; ) {
      const text = mixedText(next, 200 + next(4000));
      bytes += Buffer.byteLength(text);
      assertExact(encoding, text);
    }
  });

  test(`${name} counts equal gpt-tokenizer's in each language and each kind of text alone`, () => {
    const next = random(7);
    for (const language of Object.keys(LANGUAGES)) {
      for (let i = 0; i < 50; i++) assertExact(encoding, sentence(next, language));
    }
    for (const kind of Object.values(KINDS)) for (let i = 0; i < 200; i++) assertExact(encoding, kind(next));
  });

  test(`${name} counts equal gpt-tokenizer's for any string`, () => {
    const unit = fc.oneof(
      fc.constantFrom("grapheme", "binary", "binary-ascii").chain((u) => fc.string({ unit: u as "binary" })),
      fc.constantFrom(
        " ",
        "\n",
        "'s",
        "'LL",
        "ǅ",
        "ʰ",
        "\u0301",
        "é",
        "É",
        "中",
        "\ufeff",
        "12",
        "/",
        "<|endoftext|>",
      ),
    );
    const text = fc.array(unit, { maxLength: 20 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (s) => assertExact(encoding, s)),
      { numRuns: 2000, seed: 1 },
    );
  });

  test(`${name} counts each character class beside each other as gpt-tokenizer does`, () => {
    const classes = [
      "A",
      "ǅ",
      "a",
      "ʰ",
      "中",
      "\u0301",
      "1",
      "½",
      " ",
      "\u3000",
      "\t",
      "\n",
      "\r",
      "!",
      "/",
      "'",
      "s",
      "\u200d",
    ];
    for (const a of classes) {
      for (const b of classes) {
        for (const c of classes) for (const d of [...classes, ""]) assertExact(encoding, a + b + c + d);
      }
    }
  });

  test(`${name} stops at the limit and says limit + 1`, () => {
    const next = random(3);
    for (let i = 0; i < 200; i++) {
      const text = mixedText(next, 300);
      const exact = simd.count(encoding, text);
      assert.equal(simd.count(encoding, text, exact), exact);
      assert.equal(simd.count(encoding, text, exact - 1), exact);
      const limit = next(exact);
      assert.equal(simd.count(encoding, text, limit), limit + 1);
    }
    assert.equal(simd.count(encoding, ""), 0);
    assert.equal(simd.count(encoding, "x", 0), 1);
  });

  test(`${name} counts malformed bytes as the U+FFFD that a decoder puts in their place`, () => {
    const bytes = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0xe2, 0x80, 0xf0, 0x9f, 0x20, 0x61)),
      {
        maxLength: 60,
      },
    );
    fc.assert(
      fc.property(bytes, (array) => {
        // `ignoreBOM` keeps a leading U+FEFF, which is text like any other.
        const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(array));
        assert.equal(simd.count(encoding, Uint8Array.from(array)), reference[encoding as 0 | 1](text));
      }),
      { numRuns: 3000, seed: 1 },
    );
  });
}

test("a piece of 1 MiB is counted exactly, whatever it repeats", () => {
  for (const unit of ["a", "ab", " ", "\n", "=", "zq", "ＡＢ", "中", "的"]) {
    const long = unit.repeat(Math.floor((1 << 20) / Buffer.byteLength(unit)));
    for (const encoding of [0, 1]) {
      // gpt-tokenizer is quadratic here: it counts a part, of a length where the repeated pattern has settled.
      const period = unit.repeat(2048);
      const part = reference[encoding as 0 | 1](period) - reference[encoding as 0 | 1](unit.repeat(1024));
      const expected = (part * [...long].length) / [...unit].length / 1024;
      const counted = simd.count(encoding, long);
      assert.ok(
        Math.abs(counted - expected) <= 1 + expected * 0.01,
        `${unit}: ${counted}, expected ${expected}`,
      );
      assert.equal(scalar.count(encoding, long), counted);
    }
  }
});

/** `unit` again and again, of `bytes` (ASCII). */
const runOf = (unit: string, bytes: number) => unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes);

test("a run of a character that has tokens of many lengths is counted exactly, however it ends", () => {
  for (const unit of [
    "-",
    "=",
    "*",
    "#",
    "/",
    " ",
    "\t",
    "-".repeat(200) + "=".repeat(150),
    `${"-".repeat(97)}x`,
    `=/${"-".repeat(9001)}`,
  ]) {
    for (const bytes of [95, 130, 1000, 1001, 2043, 9003]) {
      for (const encoding of [0, 1]) assertExact(encoding, runOf(unit, bytes));
    }
  }
});

test("regression: a run of a character that has tokens of many lengths costs no more than other text", async () => {
  // 2,500 steps a byte: a body of 1 MiB held its worker for seconds.
  const counting = await tokens({ steps: true });
  for (const unit of ["-", "=", "*", "#", "/", " ", "\t", "-".repeat(200) + "=".repeat(200)]) {
    for (const bytes of [1 << 14, (1 << 14) + 77, 1 << 18]) {
      for (const encoding of [0, 1]) {
        counting.takeSteps();
        counting.count(encoding, runOf(unit, bytes));
        const steps = counting.takeSteps();
        assert.ok(steps <= 100 * bytes, `${JSON.stringify(unit[0])}: ${steps} steps for ${bytes} bytes`);
      }
    }
  }
});

test("what was kept of a text says nothing of the next one, nor of another vocabulary", async () => {
  const one = await tokens();
  const next = random(9);
  for (let i = 0; i < 400; i++) {
    const run = "-=*#/"[next(5)] as string;
    const symbols = Array.from({ length: 8 }, () => "!\"$%&'()+,:;<>?@[]^_`{|}~"[next(25)]).join("");
    const text = run.repeat(next(300)) + (next(2) ? run.repeat(next(300)) : symbols);
    for (const encoding of [i & 1, 1 - (i & 1)]) {
      assert.equal(one.count(encoding, text), reference[encoding as 0 | 1](text), text);
    }
  }
});

test("without vocabularies a count is refused, and so is a text longer than configured", async () => {
  const none = await tokens({ packs: {} });
  const one = await tokens({ packs: { cl100k: await vocabularyPack("cl100k") }, textBytes: 8192 });
  assert.equal(none.exports.hasVocabulary(0), 0);
  assert.equal(none.count(0, "text"), -1);
  assert.equal(one.exports.hasVocabulary(0), 0);
  assert.equal(one.count(0, "text"), -1);
  assert.equal(one.count(1, "text"), 1);
  assert.equal(one.count(1, "a ".repeat(4096)), reference[1]("a ".repeat(4096)));
  assert.equal(one.exports.countTokens(1, (BigInt(one.put("")) & ~0xffffffffn) | 8193n, 10), -1);
});
