// Answers of every provider, one file a case, each whole, cut at every byte, at pairs of bytes, byte by byte, and
// with every kind of line end, in both builds: always the same usage, the same bytes out and the same texts.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { type KindName, type Reading, type Texts, usage } from "./support.ts";

interface Case {
  kind: KindName;
  body: string[];
  expect: Partial<Reading> & { hidden: number; texts: Record<string, string>; whole: string[] };
}

const dir = new URL("fixtures/", import.meta.url);
const cases = new Map<string, Case>(
  readdirSync(dir).map((file) => [
    file.replace(".json", ""),
    JSON.parse(readFileSync(new URL(file, dir), "utf8")) as Case,
  ]),
);
const builds = { SIMD: await usage(), scalar: await usage(true) };

const HIDDEN = /"choices":\[\][^\n\r]*"usage":\{|"usage":\{[^\n\r]*"choices":\[\]/;
const isHidden = (event: string) => HIDDEN.test(event);

/** A second reading of what is to be hidden, by regular expressions, on line feeds. */
function withoutHidden(lines: string[]): { kept: string; hidden: number } {
  const events = lines.join("\n").split(/(?<=\n\n)/);
  const kept = events.filter((event) => !isHidden(event));
  return { kept: kept.join(""), hidden: events.length - kept.length };
}

const withEnds = (text: string, end: string) => Buffer.from(text.replaceAll("\n", end));

function pick<T extends object>(from: T, like: object): Partial<T> {
  return Object.fromEntries(Object.keys(like).map((key) => [key, from[key as keyof T]])) as Partial<T>;
}

/** Small, fast and seeded. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** No cut, one at every `step` bytes, `pairs` pairs of cuts, and a cut at every byte. */
function* splits(length: number, step: number, pairs: number): Generator<number[]> {
  yield [];
  for (let cut = 0; cut <= length; cut += step) yield [cut];
  const next = random(length);
  for (let i = 0; i < pairs; i++) {
    yield [Math.floor(next() * length), Math.floor(next() * length)].sort((a, b) => a - b);
  }
  yield Array.from({ length }, (_, i) => i);
}

for (const [name, { kind, body, expect }] of cases) {
  for (const [build, { read, filter, texts }] of Object.entries(builds)) {
    test(`${name} is read as expected wherever it is cut (${build})`, () => {
      const { hidden, texts: channels, whole, ...numbers } = expect;
      const reference = withoutHidden(body);
      const text = body.join("\n");
      if (kind === "events") assert.equal(reference.hidden, hidden);
      for (const end of kind === "json" ? ["\n"] : ["\n", "\r\n", "\r"]) {
        for (const mark of ["", "\ufeff"]) {
          const bytes = withEnds(mark + text, end);
          const kept = kind === "events" ? withEnds(mark + reference.kept, end) : bytes;
          let first: { read: Reading; texts: Texts } | undefined;
          // A mark or bare CR changes only how lines are read, so fewer cuts do.
          const rare = mark !== "" || end === "\r";
          for (const cuts of splits(bytes.length, rare ? 7 : 1, rare ? 20 : 200)) {
            const at = `cut at ${cuts.slice(0, 2)} with ${JSON.stringify(end)}`;
            const fed = read(kind, bytes, cuts);
            assert.deepEqual(pick(fed, numbers), numbers, at);
            const filtered = filter(kind, bytes, cuts);
            assert.deepEqual(filtered.read, fed, at);
            assert.deepEqual(filtered.out.toString("latin1"), kept.toString("latin1"), at);
            const listed = texts(kind, bytes, cuts);
            assert.deepEqual(listed.read, fed, at);
            assert.ok(listed.texts.bytes.equals(bytes), at);
            assert.deepEqual(listed.texts.texts, channels, at);
            assert.deepEqual(listed.texts.whole, whole, at);
            first ??= listed;
            assert.deepEqual(listed.read, first.read, at);
            assert.deepEqual(listed.texts.ends, first.texts.ends, at);
          }
        }
      }
    });
  }
}

const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content: string) =>
  event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });
const EXTRA = event({ choices: [], usage: { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 } });
const PIECE_MAX = 12 << 10;

test("a text that turns out to be broken counts nothing, wherever it is cut", () => {
  const broken = (members: string) => `data: {"choices":[{"index":0,"delta":{${members}}}]}\n\n`;
  const texts = [
    '"content":"abc\\qdef"',
    '"content":"abcd\u0001ef"',
    '"reasoning_details":[{"type":"reasoning.text","text":"abcd\\qef"}]',
  ];
  for (const { read } of Object.values(builds))
    for (const text of texts) {
      const body = Buffer.from(delta("one") + broken(text) + delta("two"));
      const whole = read("events", body, []);
      assert.deepEqual([whole.textBytes, whole.deltas, whole.unreadable], [6, 2, 1], text);
      for (const cuts of splits(body.length, 1, 20))
        assert.deepEqual(read("events", body, cuts), whole, `${text} cut at ${cuts.slice(0, 2)}`);
    }
});

test("what Gemini's answer generated is the sum of its parts, or what the total has above the prompt where that is more", () => {
  const completion = (usageMetadata: object) => {
    const body = Buffer.from(JSON.stringify({ candidates: [], usageMetadata }));
    const [simd, scalar] = Object.values(builds).map(({ read }) => read("json", body, []).completion);
    assert.equal(simd, scalar);
    return simd;
  };
  const parts = { promptTokenCount: 10, candidatesTokenCount: 7, thoughtsTokenCount: 20 };
  assert.equal(completion(parts), 27);
  assert.equal(completion({ ...parts, totalTokenCount: 17 }), 27);
  assert.equal(completion({ ...parts, totalTokenCount: 90 }), 80);
  assert.equal(completion({ ...parts, toolUsePromptTokenCount: 30, totalTokenCount: 90 }), 50);
});

test("a part of Gemini's is a thought wherever it says so", () => {
  const parts = ['{"thought":true,"text":"I think"}', '{"text":"I think","thought":true}'];
  for (const { texts } of Object.values(builds))
    for (const part of parts) {
      const body = Buffer.from(
        `data: {"candidates":[{"index":0,"content":{"parts":[${part},{"text":"So"}]}}]}\n\n`,
      );
      for (const cuts of splits(body.length, 1, 0))
        assert.deepEqual(texts("events", body, cuts).texts.texts, { "2:0:0": "I think", "1:0:0": "So" });
    }
});

test("an event that is too long to be held passes in pieces, is counted, and keeps its texts and usage", () => {
  const long = "long ".repeat(20_000);
  const body = Buffer.from(delta("a") + delta(long) + delta("z") + EXTRA);
  const kept = body.subarray(0, body.length - EXTRA.length);
  for (const { exports, filter, texts } of Object.values(builds)) {
    for (const cuts of [[], [10], [60_000], [100, 200, 20_000, 20_001, 90_000], [body.length - 10]]) {
      const filtered = filter("events", body, cuts);
      assert.ok(filtered.out.equals(kept), `cut at ${cuts}`);
      assert.equal(filtered.read.completion, 2);
      const listed = texts("events", body, cuts);
      assert.deepEqual(listed.texts.texts, { "1:0:0": `a${long}z` });
      assert.ok(listed.texts.bytes.equals(body));
      assert.equal(listed.read.textBytes, long.length + 2);
      const handle = exports.openAnswer(1);
      exports.closeAnswer(handle);
    }
  }
});

test("an event is held whole up to PIECE_MAX bytes and not beyond, wherever it is cut", () => {
  const { texts } = builds.SIMD;
  for (const more of [-1, 0, 1]) {
    const text = "x".repeat(PIECE_MAX - delta("").length + more);
    const body = Buffer.from(delta(text));
    for (const cuts of [[], [1], [2047, 2048, 2049], [PIECE_MAX - 1], [PIECE_MAX]]) {
      const listed = texts(
        "events",
        body,
        cuts.filter((cut) => cut < body.length),
      );
      assert.deepEqual(listed.texts.texts, { "1:0:0": text });
      if (more <= 0) assert.equal(listed.texts.pieces, 1, `${more} more, cut at ${cuts}`);
      else assert.ok(listed.texts.pieces > 1);
    }
  }
});

test("only the extra usage event is hidden: whole, of no choices, not after an error, whatever its line ends", () => {
  const empty = event({ choices: [], prompt_filter_results: [] });
  const alone = event({ usage: { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 } });
  const failed = event({ error: { message: "overloaded" } });
  for (const { filter } of Object.values(builds))
    for (const end of ["\n\n", "\r\n\n", "\n\r\n", "\r\n\r\n", "\n\r", "\r\r"]) {
      const text = (...events: string[]) => Buffer.from(events.join("").replaceAll("\n\n", end));
      for (const [before, after] of [
        [
          [delta("a"), empty, alone],
          [": ping\n\n", delta("b")],
        ],
        [[delta("a")], [alone]],
      ] as const)
        for (const cuts of splits(text(...before, EXTRA, ...after).length, 1, 0)) {
          const { out } = filter("events", text(...before, EXTRA, ...after), cuts);
          assert.equal(
            out.toString(),
            text(...before, ...after).toString(),
            `${JSON.stringify(end)}, ${cuts[0]}`,
          );
        }
      for (const body of [
        text(delta("a"), EXTRA.replace('"choices":[]', '"choices":[],,'), delta("b")),
        text(delta("a"), EXTRA.replace("}}\n", "}\n"), delta("b")),
        text(delta("a"), EXTRA.replace("}}\n", "}}x\n"), delta("b")),
        text(delta("a"), failed, EXTRA),
      ])
        for (const cuts of splits(body.length, 1, 0))
          assert.equal(filter("events", body, cuts).out.toString(), body.toString(), `cut at ${cuts[0]}`);
    }
});

test("a line passes as soon as it is there, and an empty chunk changes nothing", () => {
  const { exports, input, write, bytesOf } = builds.SIMD;
  const handle = exports.openAnswer(2);
  const passed = ['{"done":false}\n{"do', 'ne":false}\n', "", '{"done":true}\r', "\n"].map((part) => {
    write(input, Buffer.from(part));
    return bytesOf(exports.filterBytes(handle, input, part.length, 0)).toString();
  });
  assert.deepEqual(passed, ['{"done":false}\n', '{"done":false}\n', "", '{"done":true}\r', "\n"]);
  exports.closeAnswer(handle);
  const json = JSON.stringify({
    choices: [{ index: 0, message: { content: "ab" } }],
    usage: { completion_tokens: 2 },
  });
  for (const { read, filter, texts } of Object.values(builds))
    for (const [kind, text] of [
      ["events", delta("a") + delta("b") + EXTRA],
      ["json", json],
    ] as const) {
      const body = Buffer.from(text);
      const whole = read(kind, body, []);
      const { out } = filter(kind, body, []);
      for (let cut = 0; cut <= body.length; cut++) {
        assert.deepEqual(read(kind, body, [cut, cut]), whole);
        const filtered = filter(kind, body, [cut, cut]);
        assert.deepEqual(filtered.read, whole);
        assert.ok(filtered.out.equals(out));
        assert.deepEqual(texts(kind, body, [cut, cut]).read, whole);
      }
    }
});

test("the line end of an event may lie over the bound of what is held", () => {
  for (const { filter, texts } of Object.values(builds))
    for (const end of ["\r\n", "\r"]) {
      for (let more = -4; more <= 4; more++) {
        const length = Buffer.byteLength(delta("").replaceAll("\n", end));
        const text = "x".repeat(PIECE_MAX - length + more);
        const body = Buffer.from((delta(text) + delta("z")).replaceAll("\n", end));
        for (const cuts of [[], [1], [PIECE_MAX - 1], [PIECE_MAX], [PIECE_MAX + 1], [9, PIECE_MAX - 2]]) {
          const listed = texts("events", body, cuts);
          assert.deepEqual(listed.texts.texts, { "1:0:0": `${text}z` }, `${more} more, cut at ${cuts}`);
          assert.ok(listed.texts.bytes.equals(body));
          assert.ok(filter("events", body, cuts).out.equals(body));
        }
      }
    }
});

test("a JSON answer of many pieces is read to its end, in one chunk too", () => {
  const content = "long ".repeat(10_000);
  const usage = { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 };
  const body = Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { content } }], usage }));
  for (const { read, filter, texts } of Object.values(builds))
    for (const cuts of [[], [1], [PIECE_MAX], [body.length - 1], [body.length]]) {
      const whole = read("json", body, cuts);
      assert.deepEqual([whole.completion, whole.textBytes, whole.unreadable], [2, content.length, 0]);
      const filtered = filter("json", body, cuts);
      assert.deepEqual(filtered.read, whole);
      assert.ok(filtered.out.equals(body));
      assert.deepEqual(texts("json", body, cuts).read, whole);
    }
});

test("an event whose data is empty is nothing that could not be read", () => {
  for (const { read } of Object.values(builds))
    for (const empty of ["data:\n\n", "data\n\n", "data: \n\n", ": \n\n"]) {
      const body = Buffer.from(delta("a") + empty + delta("b"));
      for (const cuts of splits(body.length, 1, 0)) {
        const { textBytes, unreadable } = read("events", body, cuts);
        assert.deepEqual(
          [textBytes, unreadable],
          [2, 0],
          `${JSON.stringify(empty)} cut at ${cuts.slice(0, 2)}`,
        );
      }
    }
});

test("what is held of an answer is never another's, in whatever order they come and go, and its room comes back", () => {
  const { exports, input, write, bytesOf } = builds.SIMD;
  const before = exports.holdsFree();
  for (const length of [10, 4000, 9000]) {
    const bodies = ["a", "b", "c", "d"].map((letter) => Buffer.from(delta(letter.repeat(length))));
    const handles = bodies.map(() => exports.openAnswer(1));
    /** Feeds what lies between two eighths of the event `i`; gives what came out. */
    const part = (i: number, from: number, to: number) => {
      const body = bodies[i]!;
      const bytes = body.subarray((body.length * from) >> 3, (body.length * to) >> 3);
      write(input, bytes);
      return bytesOf(exports.filterBytes(handles[i], input, bytes.length, 0)).toString();
    };
    const begin = (i: number) => assert.equal(part(i, 0, 1) + part(i, 1, 5), "");
    const end = (i: number) => assert.equal(part(i, 5, 8), bodies[i]?.toString());
    for (let round = 0; round < 2; round++) {
      begin(0);
      begin(1);
      end(0);
      begin(2);
      end(1);
      begin(3);
      end(2);
      end(3);
    }
    part(0, 0, 0);
    assert.equal(exports.holdsFree(), before);
    for (const handle of handles) exports.closeAnswer(handle);
  }
});

test("when no room is left for cut events they pass as they are, and the room comes back", () => {
  const { exports, input, write, bytesOf } = builds.SIMD;
  const before = exports.holdsFree();
  const body = Buffer.from(EXTRA);
  const handles: number[] = [];
  let passed = 0;
  for (;;) {
    const handle = exports.openAnswer(1);
    if (handle === 0) break;
    handles.push(handle);
    write(input, body.subarray(0, 40));
    const first = bytesOf(exports.filterBytes(handle, input, 40, 0));
    write(input, body.subarray(40));
    if (first.length) {
      const rest = bytesOf(exports.filterBytes(handle, input, body.length - 40, 1));
      assert.ok(Buffer.concat([first, rest]).equals(body));
      assert.equal(exports.completionTokens(handle), 2n);
      passed++;
    }
  }
  // One for each stream, and one for each answer whose text is captured.
  assert.equal(handles.length, 2048 + 256);
  assert.equal(passed, 2048 + 256 - 256 - 64);
  for (const handle of handles) exports.closeAnswer(handle);
  assert.equal(exports.holdsFree(), before);
});

test("a chunk without anything to hide passes where it is, uncopied", () => {
  const { exports, input, write } = builds.SIMD;
  const handle = exports.openAnswer(1);
  const body = Buffer.from(delta("a") + delta("b"));
  write(input, body);
  assert.equal(
    exports.filterBytes(handle, input, body.length, 0),
    (BigInt(input) << 32n) | BigInt(body.length),
  );
  exports.closeAnswer(handle);
});

test("a state takes under 1.6 KB with its scanner", () => {
  assert.ok(
    builds.SIMD.exports.stateBytes() + 340 <= 1600,
    `${builds.SIMD.exports.stateBytes()} and the scanner`,
  );
  console.log(`state: ${builds.SIMD.exports.stateBytes()} bytes`);
});
