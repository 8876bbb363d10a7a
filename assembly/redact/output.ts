// Where redacted text goes: a buffer of the caller. A write that does not fit is dropped and `overflow` set;
// callers leave room for the worst case, so that it never is.

export let outFrom: usize = 0;
export let outTo: usize = 0;
let outLimit: usize = 0;
export let overflow: bool = false;

/** Directs output to `capacity` bytes at `ptr`. */
export function setOutput(ptr: usize, capacity: i32): void {
  outFrom = ptr;
  outTo = ptr;
  outLimit = ptr + capacity;
  overflow = false;
}

// What `divert` has set aside.
let mainFrom: usize = 0;
let mainTo: usize = 0;
let mainLimit: usize = 0;

/** Directs output to `capacity` bytes at `ptr` until `undivert`, which goes on where it was before. */
export function divert(ptr: usize, capacity: i32): void {
  mainFrom = outFrom;
  mainTo = outTo;
  mainLimit = outLimit;
  outFrom = ptr;
  outTo = ptr;
  outLimit = ptr + capacity;
}

export function undivert(): void {
  outFrom = mainFrom;
  outTo = mainTo;
  outLimit = mainLimit;
}

/** Takes back what was put out since `outTo` was `to`, and that it did not fit. */
export function rewind(to: usize): void {
  outTo = to;
  overflow = false;
}

/** Lets `bytes` more be put out, which lie behind what the buffer was said to have. */
export function extend(bytes: i32): void {
  outLimit += bytes;
}

export function room(): usize {
  return outLimit - outTo;
}

export function put(p: usize, end: usize): void {
  if (p >= end) return;
  const n = end - p;
  if (n > outLimit - outTo) {
    overflow = true;
    return;
  }
  memory.copy(outTo, p, n);
  outTo += n;
}

export function putByte(byte: u32): void {
  if (outTo < outLimit) store<u8>(outTo++, <u8>byte);
  else overflow = true;
}

export function putText(text: string): void {
  for (let i = 0; i < text.length; i++) putByte(text.charCodeAt(i));
}

export function putNumber(value: u32): void {
  if (value >= 10) putNumber(value / 10);
  putByte(48 + (value % 10));
}

export function putHex(value: u64, digits: i32): void {
  for (let i = digits - 1; i >= 0; i--) {
    const nibble = <u32>(value >> ((<u64>i) << 2)) & 15;
    putByte(nibble < 10 ? 48 + nibble : 87 + nibble);
  }
}
