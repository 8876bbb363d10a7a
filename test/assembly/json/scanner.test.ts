import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EVENTS, eventsOf, openJson } from "./support.ts";

const builds = { SIMD: await openJson(), scalar: await openJson(true) };

for (const [build, json] of Object.entries(builds)) {
  test(`events carry the offsets of their tokens (${build})`, () => {
    const text = '{"a":[1.5,"x\\ny"], "é" : tru'.concat("e}");
    assert.deepEqual(eventsOf(json, [Buffer.from(text)], 8), [
      "{ 0-1 @1",
      "Key 2-3 @1",
      "[ 5-6 @2",
      "Number 6-9 @2",
      "String 11-15 escaped @2",
      "] 16-17 @1",
      "Key 20-22 @1",
      "True 26-30 @1",
      "} 30-31 @0",
      "End",
    ]);
  });

  test(`errors say which byte showed them (${build})`, () => {
    const cases: [string | Uint8Array, string][] = [
      ["", "UnexpectedEnd 0"],
      ["[1 2]", "UnexpectedCharacter 3"],
      ['["a\tb"]', "ControlCharacter 3"],
      ['["\\x"]', "BadEscape 3"],
      ['["\\u12g4"]', "BadEscape 6"],
      ['["ab\\ud800x"]', "LoneSurrogate 4"],
      ['["\\ud800\\u0041"]', "LoneSurrogate 2"],
      ["[-]", "BadNumber 2"],
      ["[1,01]", "BadNumber 4"],
      ["[[[[[[[[[1]]]]]]]]]", "TooDeep 8"],
      ["[]x", "TextAfter 2"],
      ["\ufeff[]", "ByteOrderMark 0"],
      ["[tru]", "UnexpectedCharacter 4"],
      [Uint8Array.of(0x22, 0xe2, 0x82, 0x22), "InvalidUtf8 3"],
      [Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), "InvalidUtf8 2"],
      [Buffer.concat([Buffer.from(`"${"日".repeat(30)}`), Uint8Array.of(0xe6, 0x22)]), "InvalidUtf8 92"],
    ];
    for (const [text, expected] of cases) {
      assert.equal(eventsOf(json, [Buffer.from(text)], 8).at(-1), `Error ${expected}`, String(text));
    }
  });

  test(`two scanners run side by side without mixing (${build})`, () => {
    const { exports, write } = json.leaf;
    const a = Buffer.from('["one",[2]]');
    const b = Buffer.from('{"k":{"l":null}}');
    const alone = [eventsOf(json, [a], 8), eventsOf(json, [b], 8, 1)];
    exports.begin(8, 0);
    exports.begin(8, 1);
    write(json.ptr, a);
    write(json.ptr + 100, b);
    exports.feed(json.ptr, a.length, 1, 0);
    exports.feed(json.ptr + 100, b.length, 1, 1);
    const seen: string[][] = [[], []];
    for (let i = 0; i < 20; i++) {
      for (const which of [0, 1]) {
        const name = EVENTS[exports.next(which)] as string;
        if (name === "End") continue;
        seen[which]?.push(`${name} ${exports.start(which)}-`);
      }
    }
    for (const which of [0, 1]) {
      assert.equal(seen[which]?.length, (alone[which]?.length ?? 0) - 1);
      for (const [i, event] of (seen[which] ?? []).entries()) assert.ok(alone[which]?.[i]?.startsWith(event));
    }
  });

  test(`a document ends once, and the end is answered again (${build})`, () => {
    const { exports, write } = json.leaf;
    write(json.ptr, Buffer.from("12"));
    exports.begin(8, 0);
    exports.feed(json.ptr, 2, 0, 0);
    assert.equal(EVENTS[exports.next(0)], "NeedMore");
    exports.feed(json.ptr, 0, 1, 0);
    assert.deepEqual(
      [0, 0, 0].map(() => EVENTS[exports.next(0)]),
      ["Number", "End", "End"],
    );
  });

  test(`every character is accepted and every other sequence of bytes refused (${build})`, () => {
    const { exports, write } = json.leaf;
    const accepts = (bytes: Uint8Array) => {
      write(json.ptr, bytes);
      return exports.scanAll(json.ptr, bytes.length, 8) > 0;
    };
    // All pairs of bytes after each kind of lead, at an offset that only blocks of 16 reach and one near the end.
    for (const pad of [0, 20]) {
      const frame = Buffer.from(`"${"a".repeat(pad)}----${"b".repeat(20)}"`);
      for (const lead of [0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0x80]) {
        for (let second = 0x20; second < 256; second += second < 0x7f ? 19 : 1) {
          for (const [third, fourth] of [
            [0x80, 0x80],
            [0xbf, 0xbf],
            [0x2d, 0x2d],
            [0x80, 0x2d],
            [0xc3, 0xa9],
          ] as const) {
            frame.set([lead, second, third, fourth], 1 + pad);
            let valid = true;
            try {
              JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(frame));
            } catch {
              valid = false;
            }
            assert.equal(
              accepts(frame),
              valid,
              `${pad}: ${[lead, second, third, fourth].map((b) => b.toString(16))}`,
            );
          }
        }
      }
    }
    for (let point = 0x80; point <= 0x10ffff; point += 0x3b) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const c = String.fromCodePoint(point);
      assert.ok(accepts(Buffer.from(`"${"x".repeat(point % 17)}${c.repeat(9)}"`)), point.toString(16));
    }
  });
}

/** JSON text with free white space, raw and escaped characters; sometimes damaged. */
const document = fc
  .tuple(
    fc.json({ maxDepth: 6, stringUnit: "binary" }),
    fc.nat(3),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }),
  )
  .map(([text, mode, damage]) => {
    let json = text;
    if (mode === 1) json = JSON.stringify(JSON.parse(text), null, 2);
    if (mode === 2)
      json = text.replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
    const bytes = Buffer.from(json);
    if (mode === 3) for (const [at, byte] of damage) bytes[at % bytes.length] = byte;
    return bytes;
  });

const LONE = /\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f])|d[c-f])/i;

test("JSON.parse accepts and refuses the same documents, but for the documented differences", () => {
  fc.assert(
    fc.property(document, (bytes) => {
      let parsed = true;
      let text = "";
      try {
        text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
        JSON.parse(text);
      } catch {
        parsed = false;
      }
      const simd = builds.SIMD.tape(bytes, 64);
      assert.deepEqual(builds.scalar.tape(bytes, 64), simd);
      if (simd.error === "None") assert.ok(parsed);
      else if (simd.error === "LoneSurrogate") assert.match(text || bytes.toString(), LONE);
      else if (simd.error !== "DuplicateKey") assert.equal(parsed, false, simd.error);
    }),
    { numRuns: 3000 },
  );
});

test("any split into pieces gives the same events on both builds", () => {
  fc.assert(
    fc.property(document, fc.array(fc.nat(), { maxLength: 6 }), (bytes, cuts) => {
      const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
      const pieces = [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
      const whole = eventsOf(builds.SIMD, [bytes], 64);
      assert.deepEqual(eventsOf(builds.SIMD, pieces, 64), whole);
      assert.deepEqual(eventsOf(builds.scalar, pieces, 64), whole);
    }),
    { numRuns: 500 },
  );
});
