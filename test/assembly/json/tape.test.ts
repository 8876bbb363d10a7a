import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { openJson } from "./support.ts";

const KINDS = ["Object", "Array", "String", "Number", "True", "False", "Null"];
const builds = { SIMD: await openJson(), scalar: await openJson(true) };

for (const [build, json] of Object.entries(builds)) {
  const { exports: x, write, read, reserve } = json.leaf;
  const scratch = reserve(1 << 20);
  const to = scratch + (1 << 19);

  const decoded = (raw: bigint): string => {
    const len = x.decodeText(Number(raw >> 32n), Number(raw & 0xffffffffn), to, 1 << 19);
    return Buffer.from(read(to, len)).toString();
  };
  /** The value that the tape shows, rebuilt; checks links, counts and parents on the way. */
  const value = (n: number): unknown => {
    const kind = KINDS[x.kind(n)];
    if (kind === "String") return decoded(x.raw(n));
    if (kind === "Number") return Number(json.slice(x.raw(n)));
    if (kind === "True") return true;
    if (kind === "False") return false;
    if (kind === "Null") return null;
    const entries: [string, unknown][] = [];
    for (let child = x.first(n); child >= 0; child = x.nextOf(child)) {
      assert.equal(x.parent(child), n);
      if (kind === "Array") assert.equal(x.key(child), 0n);
      entries.push([kind === "Object" ? decoded(x.key(child)) : "", value(child)]);
    }
    assert.equal(x.count(n), entries.length);
    return kind === "Array" ? entries.map(([, v]) => v) : Object.fromEntries(entries);
  };

  test(`the tape shows the same value as JSON.parse (${build})`, () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.boolean(), (text, indent) => {
        const parsed = JSON.parse(text);
        const bytes = Buffer.from(indent ? JSON.stringify(parsed, null, 1) : text);
        const { error } = json.tape(bytes, 64);
        if (error === "LoneSurrogate" || error === "DuplicateKey") return;
        assert.equal(error, "None");
        assert.equal(x.parent(0), -1);
        assert.equal(x.nextOf(0), -1);
        assert.deepEqual(JSON.parse(JSON.stringify(value(0))), JSON.parse(JSON.stringify(parsed)));
      }),
      { numRuns: 500 },
    );
  });

  test(`raw text is a slice of the document: brackets in, quotes out (${build})`, () => {
    json.tape(Buffer.from('{"k\\n": [1, "a\\"b"] , "z":{}}'), 8);
    const list = x.first(0);
    assert.equal(json.slice(x.key(list)), "k\\n");
    assert.equal(x.keyEscaped(list), 1);
    assert.equal(json.slice(x.raw(list)), '[1, "a\\"b"]');
    const text = x.nextOf(x.first(list));
    assert.equal(json.slice(x.raw(text)), 'a\\"b');
    assert.equal(x.nodeEscaped(text), 1);
    assert.equal(json.slice(x.raw(0)), '{"k\\n": [1, "a\\"b"] , "z":{}}');
    assert.equal(x.first(x.nextOf(list)), -1);
  });

  test(`a member is found by its decoded key (${build})`, () => {
    for (const [text, index] of [
      ['{"role":1}', 0],
      ['{"a":{"role":2},"r\\u006fle":1}', 1],
      ['{"roles":1,"rol":2,"ROLE":3}', -1],
      ['["role"]', -1],
    ] as const) {
      json.tape(Buffer.from(text), 8);
      let expected = -1;
      if (index >= 0) expected = x.first(0);
      for (let i = 0; i < index; i++) expected = x.nextOf(expected);
      assert.equal(x.memberRole(0), expected, text);
      const name = Buffer.from("role");
      write(scratch, name);
      assert.equal(x.memberBytes(0, scratch, name.length), expected, text);
    }
  });

  test(`pointers escape ~ and / and count elements (${build})`, () => {
    json.tape(Buffer.from('{"a/b":[0,{"c~d":{"\\u00e9":1}}],"":2}'), 8);
    assert.equal(json.slice(x.pointerOf(0)), "");
    const list = x.first(0);
    const inner = x.first(x.first(x.nextOf(x.first(list))));
    assert.equal(json.slice(x.pointerOf(inner)), "/a~1b/1/c~0d/é");
    assert.equal(json.slice(x.pointerOf(x.nextOf(list))), "/");
  });

  test(`duplicate keys are found among many, at any place, escaped or not (${build})`, () => {
    x.seed(0x1234567890abcdefn, 0xfedcba0987654321n);
    for (const size of [2, 8, 9, 10, 17, 400]) {
      const keys = Array.from({ length: size }, (_, i) => `key-${i}`);
      const write = (list: string[]) =>
        Buffer.from(`{${list.map((key) => `"${key}":[{"key-1":0}]`).join(",")}}`);
      assert.equal(json.tape(write(keys), 8).error, "None", `${size}`);
      for (const at of [0, 1, size >> 1, size - 1]) {
        for (const copy of [`key-${at}`, `k\\u0065y-${at}`]) {
          const text = write([...keys, copy]);
          const { error, at: offset } = json.tape(text, 8);
          assert.equal(error, "DuplicateKey", `${size} ${copy}`);
          assert.equal(offset, text.lastIndexOf(`"${copy}":[`) + 1);
        }
      }
    }
  });

  test(`keys of 100,000 members take time in proportion to their number (${build})`, () => {
    const bytes = Buffer.from(
      `{${Array.from({ length: 90000 }, (_, i) => `"${i.toString(36)}":0`).join(",")}}`,
    );
    const from = performance.now();
    assert.equal(json.tape(bytes, 8).error, "None");
    assert.ok(performance.now() - from < 500);
  });

  test(`more values than the table holds are an error of their own (${build})`, () => {
    const scan = (text: string) => {
      const bytes = Buffer.from(text);
      write(json.ptr, bytes);
      return x.smallScan(json.ptr, bytes.length);
    };
    assert.equal(scan(`[${Array(15).fill("1").join(",")}]`), 0);
    assert.equal(scan(`[${Array(16).fill("1").join(",")}]`), 12);
  });

  test(`a failed scan leaves nothing of itself to the next (${build})`, () => {
    assert.equal(json.tape(Buffer.from('{"a":{"b":[{"c":1'), 8).error, "UnexpectedEnd");
    assert.equal(json.tape(Buffer.from('{"a":1,"b":2,"c":3}'), 8).error, "None");
    assert.equal(x.tapeLength(), 7);
  });

  test(`decoding stops where the room ends (${build})`, () => {
    const raw = Buffer.from("ab\\u20acc\\ud83d\\ude00");
    write(scratch, raw);
    const whole = Buffer.from("ab€c😀");
    for (let room = 0; room <= whole.length; room++) {
      write(to, Buffer.alloc(32, 0xee));
      const len = x.decodeText(scratch, raw.length, to, room);
      assert.equal(len, room < whole.length ? -1 : whole.length);
      assert.ok(read(to + room, 16).every((b) => b === 0xee));
    }
    assert.equal(x.points(scratch, raw.length), 5);
  });

  test(`a literal equals only the same decoded text (${build})`, () => {
    for (const [raw, escaped, expected] of [
      ["role", 0, 1],
      ["r\\u006fle", 1, 1],
      ["\\u0072\\u006f\\u006c\\u0065", 1, 1],
      ["rol\\u0065x", 1, 0],
      ["rol", 0, 0],
      ["roles", 0, 0],
      ["r\\u016fle", 1, 0],
      ["", 0, 0],
    ] as const) {
      write(scratch, Buffer.from(raw));
      assert.equal(x.isRole(scratch, raw.length, escaped), expected, raw);
    }
  });

  test(`numbers have the value that JSON.parse gives them (${build})`, () => {
    const check = (text: string) => {
      write(scratch, Buffer.from(text));
      const mine = x.f64Of(scratch, text.length);
      const theirs = JSON.parse(text);
      const error = Math.abs(mine - theirs);
      assert.ok(
        Object.is(mine, theirs) || error <= Math.abs(theirs) * 1e-13 || error < 1e-320,
        `${text}: ${mine}`,
      );
      return mine;
    };
    for (const text of "0 -0 1 -1 0.1 0.3 1e22 123456789.123 1e23 1e308 1e309 -1e400 5e-324 1e-400 2.5e-3 0.000001".split(
      " ",
    )) {
      check(text);
    }
    check("9".repeat(400));
    check(`1.${"0".repeat(40)}`);
    check(`0.${"0".repeat(40)}1`);
    fc.assert(
      fc.property(fc.double({ noNaN: true, min: -1.7e308, max: 1.7e308 }), (d) => {
        check(JSON.stringify(d));
      }),
    );
    for (const text of ["0.1", "3.25", "1.5e3", "123456.789012"]) assert.equal(check(text), JSON.parse(text));
  });

  test(`whole numbers are exact however they are written (${build})`, () => {
    const none = 2n ** 64n - 1n;
    for (const [text, expected] of [
      ["0", 0n],
      ["-0", 0n],
      ["0.0e5", 0n],
      ["1000", 1000n],
      ["1e3", 1000n],
      ["1.0", 1n],
      ["1.50e1", 15n],
      ["12000e-3", 12n],
      [`1.${"0".repeat(50)}`, 1n],
      [`1${"0".repeat(30)}e-30`, 1n],
      ["9007199254740991", 9007199254740991n],
      ["9007199254740992", 9007199254740992n],
      ["9007199254740993", none],
      ["18446744073709551617", none],
      ["1e99999999999", none],
      ["1e16", none],
      ["1.5", none],
      ["-1", none],
      ["1e-1", none],
      [`1.${"0".repeat(50)}1`, none],
      [`0.${"0".repeat(50)}1`, none],
    ] as const) {
      write(scratch, Buffer.from(text));
      assert.equal(BigInt.asUintN(64, x.u64Of(scratch, text.length)), expected, text);
    }
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        const text = `${n}`;
        write(scratch, Buffer.from(text));
        assert.equal(x.u64Of(scratch, text.length), BigInt(n));
      }),
    );
  });

  test(`every error has a text of its own (${build})`, () => {
    const texts = Array.from({ length: 14 }, (_, code) => json.slice(x.errorName(code)));
    assert.equal(new Set(texts).size, 14);
    assert.ok(!texts.includes("unknown error"));
  });
}
