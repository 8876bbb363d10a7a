// The classifier's features written out instead of added up: what the trainer reads. A twin of the loop in
// classifier.ts over the same hashes; a test holds the sum of weights over these against `score`.
//
//   slots    u32 … the features of block 0, of block 1, … in the order they are met
//   ends     u32 per block: how many slots up to its end
//
// Bounds: at most 64 + 3 × 32 slots per block; what does not fit in the room given is not written.
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { BLOCK, slotGram, slotPair, slotSkip, slotWord, wordKey, wordMask, wordRun } from "./classifier";

/** Most slots of one block. */
export const BLOCK_SLOTS_MAX: i32 = BLOCK + 3 * (BLOCK / 2);

/**
 * Writes the features of `text`, at most `blocksMax` blocks, and returns how many blocks. `text` must be followed
 * by 160 readable bytes, which are overwritten by spaces.
 */
export function features(text: Slice, slots: usize, ends: usize, blocksMax: i32): i32 {
  memory.fill(endOf(text), 32, 160);
  const blocks = min((lenOf(text) + BLOCK - 1) >> 6, blocksMax);
  let at = ptrOf(text);
  let to = slots;
  let carry: u64 = 0;
  let before: u64 = 0;
  let before2: u64 = 0;
  for (let block = 0; block < blocks; block++, at += 64) {
    for (let i: usize = 0; i < 64; i++) {
      store<u32>(to, <u32>slotGram(load<u32>(at + i)));
      to += 4;
    }
    const mask = wordMask(at);
    const ahead = wordMask(at + 64);
    for (let starts = mask & ~((mask << 1) | carry); starts; starts &= starts - 1) {
      const bit = ctz(starts);
      const word = wordKey(at + <usize>bit, wordRun(mask, ahead, bit));
      store<u32>(to, <u32>slotWord(word));
      store<u32>(to, <u32>slotPair(before, word), 4);
      store<u32>(to, <u32>slotSkip(before2, word), 8);
      to += 12;
      before2 = before;
      before = word;
    }
    carry = mask >> 63;
    store<u32>(ends + ((<usize>block) << 2), <u32>((to - slots) >> 2));
  }
  return blocks;
}
