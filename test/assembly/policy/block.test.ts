// Memory of policies that come and go, in whatever sizes and order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Random } from "../../sim/random.ts";
import { leaf } from "../../support/leaf.ts";

const KIB = 1 << 10;
const MIB = 1 << 20;
const ENTRY = "test/assembly/policy/block.entry.ts";
/** What a block says of itself, which is not for policies. */
const HEAD = 16;

/** Opens blocks of `bytes` until there is no room; their addresses. */
function fill(open: (bytes: number) => number, bytes: number): number[] {
  const blocks: number[] = [];
  for (let block = open(bytes); block !== 0; block = open(bytes)) blocks.push(block);
  return blocks;
}

test("once policies are gone there is room for others, larger and smaller ones", async () => {
  const { exports } = await leaf(ENTRY);
  const sizes = [16 * MIB, 32 * MIB, 128 * MIB, 4 * MIB, 64 * KIB, 8 * MIB];
  for (const size of sizes) {
    const blocks = fill((bytes) => exports.openBlock(bytes) >>> 0, size - HEAD);
    assert.equal(blocks.length, (512 * MIB) / size, `blocks of ${size / KIB} KiB`);
    // As listeners drain: in no order.
    for (const block of [...blocks.filter((_, i) => i % 2), ...blocks.filter((_, i) => i % 2 === 0)])
      exports.closeBlock(block);
  }
});

for (let seed = 1; seed <= 5; seed++)
  test(`no two policies have the same memory, whatever comes and goes: seed ${seed}`, async () => {
    const { exports, memory } = await leaf(ENTRY);
    const random = new Random(seed);
    const open = new Map<number, number>();
    for (let step = 0; step < 3_000; step++) {
      if (open.size > 0 && random.chance(open.size / 40)) {
        const [block] = random.pick([...open]);
        exports.closeBlock(block);
        open.delete(block);
        continue;
      }
      const size = HEAD + random.between(1, random.chance(0.1) ? MIB : 200 * KIB);
      const block = exports.openBlock(size) >>> 0;
      assert.notEqual(block, 0);
      const bytes = new Uint8Array(memory.buffer, block + HEAD, size);
      assert.ok(!bytes.some((byte) => byte !== 0), "a new policy finds zeros");
      bytes.fill(0xff);
      for (const [other, otherSize] of open)
        assert.ok(block + HEAD + size <= other || other + HEAD + otherSize <= block, "they do not overlap");
      open.set(block, size);
    }
    for (const block of open.keys()) exports.closeBlock(block);
  });
