// A slice is a run of bytes somewhere in memory, packed into one u64 so that it is passed and returned by
// value and never allocated. Text stays UTF-8 from the host's buffer to the host's buffer; no slice owns what
// it points at.
//
//   63            32 31             0
//  ┌────────────────┬────────────────┐
//  │ pointer (u32)  │ length (u32)   │
//  └────────────────┴────────────────┘
//
// `NONE` (all zero) says "absent", which is not the same as an empty slice at a real address.
import { reserve } from "./memory";

export type Slice = u64;

export const NONE: Slice = 0;

export function slice(ptr: usize, len: i32): Slice {
  return ((<u64>ptr) << 32) | <u64>(<u32>len);
}

export function ptrOf(s: Slice): usize {
  return <usize>(s >> 32);
}

export function lenOf(s: Slice): i32 {
  return <i32>s;
}

export function endOf(s: Slice): usize {
  return <usize>(s >> 32) + <usize>(<u32>s);
}

/** `text` (ASCII) as static UTF-8. Reserves memory: for module-level constants only. */
export function lit(text: string): Slice {
  const len = text.length;
  const ptr = reserve(max(len, 1));
  putAscii(ptr, text);
  return slice(ptr, len);
}

/** Narrows the UTF-16 literal `text` (ASCII) to bytes at `to`; returns its length. Allocates nothing. */
export function putAscii(to: usize, text: string): i32 {
  const len = text.length;
  const from = changetype<usize>(text);
  for (let i = 0; i < len; i++) store<u8>(to + i, load<u16>(from + ((<usize>i) << 1)));
  return len;
}

export function eq(a: Slice, b: Slice): bool {
  const len = lenOf(a);
  return len == lenOf(b) && memory.compare(ptrOf(a), ptrOf(b), len) == 0;
}

/** Compares with an ASCII literal. */
export function is(s: Slice, text: string): bool {
  const len = lenOf(s);
  if (len != text.length) return false;
  return startsWith(s, text);
}

export function startsWith(s: Slice, text: string): bool {
  const len = text.length;
  if (lenOf(s) < len) return false;
  const a = ptrOf(s);
  const b = changetype<usize>(text);
  for (let i = 0; i < len; i++) if (<u16>load<u8>(a + i) != load<u16>(b + ((<usize>i) << 1))) return false;
  return true;
}

/** Compares with a lower-case ASCII literal, folding ASCII capitals of `s`. */
export function startsWithFolded(s: Slice, lower: string): bool {
  const len = lower.length;
  if (lenOf(s) < len) return false;
  const a = ptrOf(s);
  const b = changetype<usize>(lower);
  for (let i = 0; i < len; i++) {
    if (<u16>fold(load<u8>(a + i)) != load<u16>(b + ((<usize>i) << 1))) return false;
  }
  return true;
}

export function isFolded(s: Slice, lower: string): bool {
  return lenOf(s) == lower.length && startsWithFolded(s, lower);
}

/** ASCII lower case of one byte. */
export function fold(byte: u8): u8 {
  return byte - 65 < 26 ? byte | 32 : byte;
}

/** The offset of the first `byte` at or after `from`, or -1. */
export function indexOf(s: Slice, byte: u8, from: i32 = 0): i32 {
  const ptr = ptrOf(s);
  const len = lenOf(s);
  for (let i = from; i < len; i++) if (load<u8>(ptr + i) == byte) return i;
  return -1;
}

/** Whether `text` occurs in `s`. */
export function contains(s: Slice, text: string): bool {
  for (let i = 0; i <= lenOf(s) - text.length; i++) if (startsWith(sub(s, i, lenOf(s)), text)) return true;
  return false;
}

/** The part of `s` from offset `from` up to `to`; both must lie within it. */
export function sub(s: Slice, from: i32, to: i32): Slice {
  return slice(ptrOf(s) + from, to - from);
}

/** `s` without spaces and tabs at its ends. */
export function trim(s: Slice): Slice {
  let from = ptrOf(s);
  let to = endOf(s);
  while (from < to && isBlank(load<u8>(from))) from++;
  while (from < to && isBlank(load<u8>(to - 1))) to--;
  return slice(from, <i32>(to - from));
}

function isBlank(byte: u8): bool {
  return byte == 32 || byte == 9;
}
