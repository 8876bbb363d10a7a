// The component's memory for one call: what the caller hands over (`cabi_realloc`), room to work, and lists of
// results. All of it is given back at once when the caller has read the result (`cabi_post_…`).
//
//   base                    used                        base + capacity
//  ┌───────────────────────┬───────────────────────────┐
//  │ this call's           │ free                      │
//  └───────────────────────┴───────────────────────────┘
//
// Unlike the filter's arena it grows, as a caller must be given the memory it asks for: to a chunk twice as large,
// beside the old one, which this call may still use. So all chunks together are less than twice the largest.
import { reserve } from "./memory";

const FIRST_BYTES: usize = 1 << 20;

let base: usize = reserve(FIRST_BYTES);
let capacity: usize = FIRST_BYTES;
let used: usize = 0;
let last: usize = 0;

/** `size` bytes, 16-byte aligned, until `giveBack`. Traps when the host has no more memory. */
export function take(size: usize): usize {
  if (size > <usize>i32.MAX_VALUE) unreachable();
  let start = (used + 15) & ~15;
  if (start + size > capacity) {
    while (capacity < start + size) capacity <<= 1;
    base = heap.alloc(capacity);
    start = 0;
  }
  used = start + size;
  last = base + start;
  return last;
}

/** As the canonical ABI has it: new memory, or `old` with another size and its content kept. */
export function retake(old: usize, oldSize: usize, size: usize): usize {
  if (old != 0 && old == last && size <= capacity - (old - base)) {
    used = old - base + size;
    return old;
  }
  const to = take(size);
  if (oldSize) memory.copy(to, old, min(oldSize, size));
  return to;
}

export function giveBack(): void {
  used = 0;
  last = 0;
}
