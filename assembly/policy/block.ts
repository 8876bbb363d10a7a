// Memory for one compiled policy. Blocks are powers of two, or some more, and go back when a root context ends. A free block that is larger than
// need be is divided, and neighbours that are both free are one again, so that policies, however many come, find the memory of those
// before them, also where they are of another size.
//
//   free, by address   │ next u32 │ bytes u32 │ … │ ─▶ │ next │ bytes │ … │
import { POLICIES_BYTES_MAX } from "../limits";
import { reserve } from "../memory";

const SMALLEST: usize = 64 << 10;
const LARGEST: usize = 128 << 20;
/** What the allocator itself has between two blocks that it gave out one after the other. */
const GAP: usize = 16;
/** Its first word is the first free block; a block's the next one. */
const free = reserve(8);

/** Of all blocks, in use or not. */
let reserved: usize = 0;
let next: usize = 0;
let end: usize = 0;

/** Opens a block of at least `size` bytes for `take`; returns its address, or 0 when there is no room for it. */
export function openBlock(size: usize): usize {
  const bytes = roundUp(size + 16);
  if (bytes > LARGEST) return 0;
  let block = takeFree(bytes);
  const has = block ? bytesOf(block) : bytes;
  if (!block) {
    if (reserved + bytes > POLICIES_BYTES_MAX) return 0;
    reserved += bytes;
    block = reserve(bytes);
  }
  memory.fill(block, 0, bytes);
  store<u32>(block, <u32>has, 4);
  next = block + 16;
  end = block + bytes;
  return block;
}

/** Zeroed bytes of the open block, 8-byte aligned. The caller sized the block, so there is room. */
export function take(size: usize): usize {
  const at = next;
  next = (next + size + 7) & ~7;
  assert(next <= end, "a policy outgrew its block");
  return at;
}

export function closeBlock(block: usize): void {
  let before = free;
  while (nextOf(before) != 0 && nextOf(before) < block) before = nextOf(before);
  store<u32>(block, <u32>nextOf(before));
  store<u32>(before, <u32>block);
  join(block);
  if (before != free) join(before);
}

function nextOf(block: usize): usize {
  return <usize>load<u32>(block);
}

function bytesOf(block: usize): usize {
  return <usize>load<u32>(block, 4);
}

/** Makes one of a free block and the next one, if nothing but the allocator's gap lies between. */
function join(block: usize): void {
  const after = nextOf(block);
  if (after == 0 || after - (block + bytesOf(block)) > GAP) return;
  store<u32>(block, <u32>(after + bytesOf(after) - block), 4);
  store<u32>(block, <u32>nextOf(after));
}

/** Takes a block of `bytes`, or of some more that are too few for another, from the smallest free one that has them; 0 when none has. */
function takeFree(bytes: usize): usize {
  let before: usize = 0;
  for (let at = free; nextOf(at) != 0; at = nextOf(at)) {
    const has = bytesOf(nextOf(at));
    if (has >= bytes && (before == 0 || has < bytesOf(nextOf(before)))) before = at;
  }
  if (before == 0) return 0;
  const block = nextOf(before);
  const rest = bytesOf(block) - bytes;
  let after = nextOf(block);
  if (rest >= SMALLEST) {
    store<u32>(block + bytes, <u32>after);
    store<u32>(block + bytes, <u32>rest, 4);
    after = block + bytes;
    store<u32>(block, <u32>bytes, 4);
  }
  store<u32>(before, <u32>after);
  return block;
}

function roundUp(size: usize): usize {
  let bytes = SMALLEST;
  while (bytes < size) bytes <<= 1;
  return bytes;
}
