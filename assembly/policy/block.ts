// Memory for one compiled policy. Blocks are powers of two and go back to a list of their size when a root
// context ends, so that any number of configuration updates stays within the largest sum of policies ever
// active together. Filled from the start, never freed in part.
import { POLICIES_BYTES_MAX } from "../limits";
import { reserve } from "../memory";

const SMALLEST: i32 = 16; // 64 KiB
const LARGEST: i32 = 27; // 128 MiB
/** Per size: the first free block; a free block's first word is the next one. */
const free = reserve(<usize>(LARGEST + 1) * 4);

/** Of all blocks, in use or not. */
let reserved: usize = 0;
let next: usize = 0;
let end: usize = 0;

/** Opens a block of at least `size` bytes for `take`; returns its address, or 0 when there is no room for it. */
export function openBlock(size: usize): usize {
  const power = powerOf(size);
  if (power > LARGEST) return 0;
  const bytes = (<usize>1) << power;
  const list = free + ((<usize>power) << 2);
  let block = <usize>load<u32>(list);
  if (block) store<u32>(list, load<u32>(block));
  else {
    if (reserved + bytes > POLICIES_BYTES_MAX) return 0;
    reserved += bytes;
    block = reserve(bytes);
  }
  memory.fill(block, 0, bytes);
  // The first word remembers the block's size.
  store<u32>(block, power, 4);
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
  const list = free + ((<usize>load<u32>(block, 4)) << 2);
  store<u32>(block, load<u32>(list));
  store<u32>(list, <u32>block);
}

function powerOf(size: usize): i32 {
  let power = SMALLEST;
  while (power <= LARGEST && (<usize>1) << power < size + 16) power++;
  return power;
}
