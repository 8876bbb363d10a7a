// The keyed hash of texts: against the published vectors, against its slow twin, and for what a memo needs of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Leaf, leaf } from "../support/leaf.ts";
import { memoHash, sipHash128 } from "./siphash.ts";

/** Key 00 01 … 0f, as of the vectors. */
const SECRET = { low: 0x0706050403020100n, high: 0x0f0e0d0c0b0a0908n };
const TEXT_MAX = 5000;
/** Around every length at which the hash takes another way. */
const EDGES = [
  0, 1, 7, 8, 9, 63, 64, 65, 95, 96, 97, 1023, 1024, 1025, 1055, 1056, 1057, 2048, 2049, 3000, 4097,
];

/** vectors_sip128 of the reference implementation (github.com/veorq/SipHash): the hash of 00 01 02 …, by length. */
const VECTORS: Record<number, string> = {
  0: "a3817f04ba25a8e66df67214c7550293",
  8: "3b62a9ba6258f5610f83e264f31497b4",
  16: "6ee2a4ca67b054bbfd3315bf85230577",
  24: "2db479ae78bd50d8882a8a178a6132ad",
  32: "7c3956ca5eeafc3e363e9d556546eb68",
  40: "df6a301e95c95dad97ae0cc8c6913bd8",
  48: "f7e5aef549f782cf379055a608269b16",
  56: "1938f2cf72d54ee97e94166fa91d2a36",
};

const simd = await start(false);
const scalar = await start(true);

interface Hasher {
  module: Leaf;
  at: number;
}

async function start(isScalar: boolean): Promise<Hasher> {
  const module = await leaf("test/assembly/siphash.entry.ts", { scalar: isScalar });
  module.exports.keyHash(SECRET.low, SECRET.high);
  return { module, at: module.reserve(TEXT_MAX) };
}

function result({ exports }: Leaf): [bigint, bigint] {
  return [BigInt.asUintN(64, exports.hashLow.value), BigInt.asUintN(64, exports.hashHigh.value)];
}

function hash({ module, at }: Hasher, text: Uint8Array, tag = 0, tag2 = 0n): [bigint, bigint] {
  module.write(at, text);
  module.exports.hash(at, text.length, tag, tag2);
  return result(module);
}

const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 131 + (i >> 8)) & 255);

test("SipHash-2-4-128 gives the reference vectors", () => {
  for (const [length, expected] of Object.entries(VECTORS)) {
    const text = Uint8Array.from({ length: Number(length) }, (_, i) => i);
    simd.module.write(simd.at, text);
    simd.module.exports.sip(simd.at, text.length);
    for (const words of [result(simd.module), sipHash128(SECRET, text)]) {
      assert.equal(Buffer.from(BigUint64Array.from(words).buffer).toString("hex"), expected);
    }
  }
});

test("SIMD, scalar and big-integer hashes agree at every edge and on random texts", () => {
  const agree = (text: Uint8Array, tag: number, tag2: bigint) => {
    const expected = memoHash(SECRET, text, BigInt(tag), tag2);
    assert.deepEqual(hash(simd, text, tag, tag2), expected);
    assert.deepEqual(hash(scalar, text, tag, tag2), expected);
  };
  for (const length of EDGES) agree(bytesOf(length), 5, 77n);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2200, size: "max" }),
      fc.nat(0xff),
      fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      agree,
    ),
    { numRuns: 60 },
  );
});

test("a text, its tag and its length are all in the hash: any one changed gives another", () => {
  for (const length of EDGES) {
    const text = bytesOf(length);
    const seen = new Set([String(hash(simd, text))]);
    const distinct = (value: [bigint, bigint]) => {
      assert.ok(!seen.has(String(value)), `length ${length}`);
      seen.add(String(value));
    };
    distinct(hash(simd, text, 1));
    distinct(hash(simd, text, 0, 1n));
    distinct(hash(simd, Uint8Array.from([...text, 0])));
    for (let i = 0; i < length; i += Math.max(1, length >> 5)) {
      const changed = text.slice();
      changed[i] = (changed[i] ?? 0) ^ 1;
      distinct(hash(simd, changed));
    }
  }
});

test("another secret gives another hash", async () => {
  const other = await start(false);
  other.module.exports.keyHash(SECRET.low, SECRET.high ^ 1n);
  for (const length of EDGES) {
    assert.notDeepEqual(hash(other, bytesOf(length)), hash(simd, bytesOf(length)));
  }
});

test("a text at the very end of memory is hashed without a step outside", () => {
  for (const { module } of [simd, scalar]) {
    const end = module.memory.buffer.byteLength;
    for (const length of EDGES) {
      module.write(end - length, bytesOf(length));
      module.exports.hash(end - length, length, 0, 0n);
      assert.deepEqual(result(module), memoHash(SECRET, bytesOf(length), 0n, 0n));
    }
  }
});
