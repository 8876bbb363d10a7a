// What one answer (or prompt) has in common: the action per type, how often each type was seen, and the numbers
// of the placeholders, so that a value has one number in all channels of the answer.
//
// Numbers come from an open table of 128 keyed 64-bit hashes of (type, value). When it is full, further new
// values get a placeholder without a number. An answer goes on with the numbers of its prompt.
//
//    0  actions u8 × 11 | 11 whether there are any u8 | 12 vault u32 (0: none) | 16 counts u32 × 11
//   60  blocked type + 1 u32
//   64  last number u16 × 11 | 88 entries used u32 | 96 hashes u64 × 128 | 1120 numbers u16 × 128 | 1376 marks (marks.ts)
import { MARKS_BYTES } from "./marks";
import { BLOCK, IGNORE, REVERSIBLE, TYPE_COUNT, VALUES_MAX } from "./types";
import { keep } from "./vault";

const MARKS_AT: usize = 1376;
export const ANSWER_BYTES: i32 = 1376 + MARKS_BYTES;
const ENTRIES: u32 = 128;
const NUMBERING_AT: usize = 64;

/**
 * Starts an answer (or a prompt) at `answer` (ANSWER_BYTES) with the actions at `profile` (one byte per type). Originals
 * of reversible types go into `vault`.
 */
export function openAnswer(answer: usize, profile: usize, vault: usize): void {
  memory.fill(answer, 0, ANSWER_BYTES);
  memory.copy(answer, profile, TYPE_COUNT);
  for (let type = 0; type < TYPE_COUNT; type++)
    if (actionOf(answer, type) != IGNORE) store<u8>(answer, 1, 11);
  store<u32>(answer, <u32>vault, 12);
}

/** Lets `answer` go on with the numbers of `prompt`, and have the originals in `vault` (0: none) back. */
export function follow(answer: usize, prompt: usize, vault: usize): void {
  const at = NUMBERING_AT;
  memory.copy(answer + at, prompt + at, MARKS_AT - at);
  store<u32>(answer, <u32>vault, 12);
}

export function vaultOf(answer: usize): usize {
  return load<u32>(answer, 12);
}

/** Whether there is anything to look for. */
export function acts(answer: usize): bool {
  return load<u8>(answer, 11) != 0;
}

/** The next number of `type` is above `number`. */
export function startAfter(answer: usize, type: i32, number: u32): void {
  const last = answer + NUMBERING_AT + <usize>(type << 1);
  store<u16>(last, max(load<u16>(last), <u16>number));
}

export function actionOf(answer: usize, type: i32): u8 {
  return load<u8>(answer + type);
}

/** Where its matches stood (marks.ts). */
export function marksOf(answer: usize): usize {
  return answer + MARKS_AT;
}

/** Matches of `type` so far. */
export function countOf(answer: usize, type: i32): u32 {
  return load<u32>(answer + <usize>(type << 2), 16);
}

/** The type that blocked the answer, or −1. After it nothing is put out. */
export function blockedBy(answer: usize): i32 {
  return load<i32>(answer, 60) - 1;
}

/** Matches in all answers, modulo 2^32. */
export let noted: u32 = 0;

export function note(answer: usize, type: i32): void {
  noted++;
  const at = answer + <usize>(type << 2);
  store<u32>(at, load<u32>(at, 16) + 1, 16);
  if (actionOf(answer, type) == BLOCK && load<u32>(answer, 60) == 0) store<i32>(answer, type + 1, 60);
}

/**
 * The number of the value with `hash`, new or as before; 0 when the table is full. A new value of a reversible type is
 * kept in the vault; 0 when that is full.
 */
export function numberOf(answer: usize, type: i32, hash: u64, value: usize, valueEnd: usize): u32 {
  const key = (hash ^ (<u64>(type + 1) * 0x9e3779b97f4a7c15)) | 1;
  let i = <u32>(key >> 32) & (ENTRIES - 1);
  for (;;) {
    const have = load<u64>(answer + 96 + <usize>(i << 3));
    if (have == key) return load<u16>(answer + 1120 + <usize>(i << 1));
    if (have == 0) break;
    i = (i + 1) & (ENTRIES - 1);
  }
  const used = load<u32>(answer, 88);
  if (used >= <u32>VALUES_MAX) return 0;
  const last = answer + NUMBERING_AT + <usize>(type << 1);
  const number = <u32>load<u16>(last) + 1;
  const vault = <usize>load<u32>(answer, 12);
  // What cannot be kept must not be given a number that promises it.
  if (actionOf(answer, type) == REVERSIBLE && !keep(vault, type, number, value, valueEnd)) return 0;
  store<u32>(answer, used + 1, 88);
  store<u16>(last, <u16>number);
  store<u64>(answer + 96 + <usize>(i << 3), key);
  store<u16>(answer + 1120 + <usize>(i << 1), <u16>number);
  return number;
}
