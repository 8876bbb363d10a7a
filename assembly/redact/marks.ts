// Where the first matches of an answer stood, in bytes of the answer as it goes out: for its event, never for a decision.
//
//   marks (at the end of an answer's state): │ bytes put out before u32 │ count u32 │ mark (12 bytes): type, start, end │ × 16
import { outFrom } from "./output";

const MARKS_MAX: i32 = 16;
export const MARKS_BYTES: i32 = 8 + 12 * MARKS_MAX;

/** A match of `type` went out, or what stands for it, as [from, to) of the output. */
export function mark(marks: usize, type: i32, from: usize, to: usize): void {
  const count = load<i32>(marks, 4);
  if (count == MARKS_MAX) return;
  store<i32>(marks, count + 1, 4);
  const at = marks + 8 + <usize>(count * 12);
  const before = load<u32>(marks);
  store<i32>(at, type);
  store<u32>(at, before + <u32>(from - outFrom), 4);
  store<u32>(at, before + <u32>(to - outFrom), 8);
}

/** `length` more bytes of the answer are out. */
export function advance(marks: usize, length: i32): void {
  store<u32>(marks, load<u32>(marks) + <u32>length);
}

export function markCount(marks: usize): i32 {
  return load<i32>(marks, 4);
}

export function markType(marks: usize, i: i32): i32 {
  return load<i32>(marks + 8 + <usize>(i * 12));
}

export function markStart(marks: usize, i: i32): u32 {
  return load<u32>(marks + 8 + <usize>(i * 12), 4);
}

export function markEnd(marks: usize, i: i32): u32 {
  return load<u32>(marks + 8 + <usize>(i * 12), 8);
}
