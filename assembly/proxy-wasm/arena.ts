// The scratch arena: where the host puts what it hands over.
//
// A host asks the module for memory (`proxy_on_memory_allocate`) each time it returns bytes: header maps, body
// bytes, shared data. Those bytes matter only until the callback returns, so a bump pointer over one fixed
// region is enough; it is set back to the start when the next callback opens. When the region is full the
// allocation answers 0, which hosts turn into an error status: the caller sees a failed read, never a trap.
//
//   base                    used                        base + capacity
//  ┌───────────────────────┬───────────────────────────┐
//  │ handed over           │ free                      │
//  └───────────────────────┴───────────────────────────┘
import { reserve } from "../memory";

let base: usize = 0;
let capacity: usize = 0;
let used: usize = 0;
let peak: usize = 0;

/**
 * Makes the arena at least `bytes` large. At start and configuration only: a larger one replaces the old, whose memory is lost. So it
 * is twice as large, and configurations that each ask for a little more lose no more together than the last one has.
 */
export function arenaReserve(bytes: usize): void {
  if (bytes <= capacity) return;
  capacity = max(bytes, 2 * capacity);
  base = reserve(capacity);
  used = 0;
}

/** Opens a callback: everything handed over before is gone. */
export function arenaReset(): void {
  used = 0;
}

/** `size` bytes, 16-byte aligned, or 0 when the arena is full. */
export function arenaTake(size: usize): usize {
  const start = (used + 15) & ~15;
  if (size > capacity || start > capacity - size) return 0;
  used = start + size;
  if (used > peak) peak = used;
  return base + start;
}

/** How far the arena is used, to go back to. */
export function arenaMark(): usize {
  return used;
}

/** Gives back what was handed over since `mark`: none of it may be read any more. */
export function arenaRewind(mark: usize): void {
  used = min(used, mark);
}

/** What there is in all. */
export function arenaCapacity(): usize {
  return capacity;
}

/** The most bytes ever in use at once: a gauge for operators. */
export function arenaPeak(): usize {
  return peak;
}
