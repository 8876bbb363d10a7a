import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { attachPacks } from "../../../scripts/attach-packs.ts";
import { buildVocabulary } from "../../../scripts/build-vocabulary.ts";
import { vocabularyPack } from "../../../scripts/packs.ts";
import { PACK_BYTES_MAX } from "../../../sidecar/pack/rules-pack.ts";
import { SLOTS } from "../../../sidecar/pack/train-model.ts";
import { HEADER_BYTES } from "../../../sidecar/pack/train-pack.ts";
import { compile } from "../../support/leaf.ts";
import { ENTRY, instantiate } from "./support.ts";

const core = await compile(ENTRY);
const bytes = (length: number, from = 1) => Uint8Array.from({ length }, (_, i) => (i * 7 + from) & 255);
const CLASSIFIER_BYTES = HEADER_BYTES + SLOTS;

test("attached packs are found at their address, whole, with the capacity of their kind", () => {
  const packs = {
    rules: bytes(1000),
    classifier: bytes(CLASSIFIER_BYTES),
    o200k: bytes(70_001),
    cl100k: bytes(1),
  };
  const { exports, memory } = instantiate(attachPacks(core, packs), 0);
  const capacities = [PACK_BYTES_MAX, CLASSIFIER_BYTES, 70_016, 16];
  Object.values(packs).forEach((pack, i) => {
    const at = exports.packAt(i) >>> 0;
    assert.equal(at % 16, 0);
    assert.equal(exports.packLength(i), pack.length);
    assert.equal(exports.packCapacity(i), capacities[i]);
    assert.deepEqual(new Uint8Array(memory.buffer, at, pack.length), pack);
  });
});

test("what is reserved later lies behind all packs", () => {
  const { exports } = instantiate(attachPacks(core, { rules: bytes(10), o200k: bytes(3_000_000) }), 0);
  assert.ok(exports.reserve(16) >>> 0 >= exports.packAt(2) + 3_000_000);
  assert.ok(exports.packAt(2) >= exports.packAt(0) + PACK_BYTES_MAX);
});

test("a module without packs is left as it is, and says that none is there", () => {
  assert.deepEqual(attachPacks(core, {}), core);
  const { exports } = instantiate(core, 0);
  for (let i = 0; i < 4; i++) assert.equal(exports.packAt(i), 0);
});

test("a pack that is too large or unknown, and a module without a directory, are refused", () => {
  assert.throws(
    () => attachPacks(core, { rules: bytes(PACK_BYTES_MAX + 1) }),
    new RegExp(`rules: ${PACK_BYTES_MAX + 1} bytes, expected ≤ ${PACK_BYTES_MAX}`),
  );
  assert.throws(() => attachPacks(core, { other: bytes(1) } as object), /pack other: expected one of/);
  const bare = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  assert.throws(() => attachPacks(bare, { rules: bytes(1) }), /expected|export/);
});

test("the vocabulary is built the same again", { timeout: 120_000 }, async () => {
  const digest = (pack: Uint8Array) => createHash("sha256").update(pack).digest("hex");
  assert.equal(digest(await buildVocabulary("cl100k")), digest(await vocabularyPack("cl100k")));
});
