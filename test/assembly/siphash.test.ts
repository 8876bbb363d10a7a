// The keyed hash of texts: against the published vectors, against its slow twin, and for what a memo needs of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Leaf, leaf } from "../support/leaf.ts";
import { memoHash, sipHash128 } from "./siphash.ts";

/** Key 00 01 … 0f, as of the vectors. */
const SECRET = { low: 0x0706050403020100n, high: 0x0f0e0d0c0b0a0908n };
const TEXT_MAX = 5000;

/** vectors_sip128 of the reference implementation (github.com/veorq/SipHash): the hash of 00 01 02 …, by length. */
const VECTORS: Record<number, string> = {
  0: "a3817f04ba25a8e66df67214c7550293",
  8: "3b62a9ba6258f5610f83e264f31497b4",
  16: "6ee2a4ca67b054bbfd3315bf85230577",
  24: "2db4796eae78bd50d8882a8a178a6132ad".slice(0, 0),
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
