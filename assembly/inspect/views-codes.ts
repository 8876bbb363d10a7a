// The decoders of characters spelled as numbers: escapes of URLs, HTML and programming languages, and codes one after
// another (hexadecimal, binary, decimal, Morse). Each reads one window and writes one text.
//
// Bound: as views-decode.ts has it: the input is read once, and no more is written than was read.
import { hexValue } from "../json/chars";
import { putUtf8 } from "../json/escape";
import { endOf, ptrOf, Slice } from "../slice";
import { isDigit } from "./views-decode";

/** Percent-encoding, numeric and the five basic named HTML entities, and `\xNN`, `\uNNNN`. */
export function decodeEscapes(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let at = ptrOf(from);
  let out = to;
  while (at < end) {
    const byte: u32 = load<u8>(at);
    const left = <i32>(end - at);
    let code: i32 = -1;
    let width: usize = 0;
    if (byte == 0x25 && left >= 3) {
      code = hexNumber(at + 1, 2);
      width = 3;
      if (code >= 0) {
        // A percent escape is one byte of UTF-8, not a code point.
        store<u8>(out++, <u8>code);
        at += width;
        continue;
      }
    } else if (byte == 0x5c && left >= 4 && load<u8>(at + 1) == 0x78) {
      code = hexNumber(at + 2, 2);
      width = 4;
    } else if (byte == 0x5c && left >= 6 && load<u8>(at + 1) == 0x75) {
      code = hexNumber(at + 2, 4);
      width = 6;
    } else if (byte == 0x26 && left >= 4) {
      let stop = at + 1;
      while (stop < end && stop < at + 10 && load<u8>(stop) != 0x3b) stop++;
      if (stop < end && load<u8>(stop) == 0x3b) {
        code = entity(at + 1, <i32>(stop - at - 1));
        width = stop + 1 - at;
      }
    }
    if (code < 0 || (code & 0xfffff800) == 0xd800) {
      store<u8>(out++, <u8>byte);
      at++;
      continue;
    }
    // Never longer than its escape.
    out += putUtf8(out, <u32>code);
    at += width;
  }
  return <i32>(out - to);
}

function entity(name: usize, len: i32): i32 {
  if (len < 2) return -1;
  if (load<u8>(name) == 0x23) {
    if ((load<u8>(name + 1) | 32) == 0x78) return len <= 7 ? hexNumber(name + 2, len - 2) : -1;
    let value = 0;
    for (let i = 1; i < len; i++) {
      const digit: u32 = load<u8>(name + i);
      if (!isDigit(digit)) return -1;
      value = value * 10 + <i32>(digit - 48);
      if (value > 0xffff) return -1;
    }
    return value;
  }
  const two = <u32>load<u16>(name);
  if (len == 2) return two == 0x746c ? 0x3c : two == 0x7467 ? 0x3e : -1;
  if (len == 3 && two == 0x6d61) return 0x26;
  if (len == 4 && two == 0x7571) return 0x22;
  if (len == 4 && two == 0x626e) return 0x20;
  return -1;
}

/** `len` hexadecimal digits at `ptr`, 1 … 4, or -1. */
function hexNumber(ptr: usize, len: i32): i32 {
  if (len < 1 || len > 4) return -1;
  let value = 0;
  for (let i = 0; i < len; i++) {
    const digit = hexValue(load<u8>(ptr + i));
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

// Morse by path from the root, dot = 2n, dash = 2n + 1, starting at 1: letters and digits up to five signs.
const MORSE = memory.data<u8>([
  0, 0, 0x65, 0x74, 0x69, 0x61, 0x6e, 0x6d, 0x73, 0x75, 0x72, 0x77, 0x64, 0x6b, 0x67, 0x6f, 0x68, 0x76, 0x66,
  0, 0x6c, 0, 0x70, 0x6a, 0x62, 0x78, 0x63, 0x79, 0x7a, 0x71, 0, 0,
]);

/**
 * Characters spelled as numbers: bytes in hexadecimal (`69 67`), in binary (`01101001`) or decimal (`105 103`),
 * and Morse (`.. --. / -.`). At least 5 of a kind in a row; everything else is dropped. Returns the length.
 */
export function decodeCodes(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let at = ptrOf(from);
  let out = to;
  let run = 0;
  let kindBefore = 0;
  let runStart = out;
  while (at < end) {
    let stop = at;
    while (stop < end && load<u8>(stop) != 32 && load<u8>(stop) != 0x2c) stop++;
    const len = <i32>(stop - at);
    let kind = 0;
    let code: i32 = -1;
    const first: u32 = len > 0 ? load<u8>(at) : 0;
    if (len > 0 && len <= 5 && (first == 0x2e || first == 0x2d)) {
      code = morse(at, len);
      kind = 1;
    } else if (len == 1 && first == 0x2f) {
      code = 32;
      kind = 1;
    } else if (len == 8) {
      code = binary(at);
      kind = 2;
    } else if (len == 2 || len == 3 || (len == 4 && first == 0x30)) {
      // Two digits are hexadecimal unless the run began in decimal; three are decimal; four are 0xNN.
      kind = len == 3 || (kindBefore == 4 && run > 0) ? 4 : 3;
      code = kind == 4 ? decimal(at, len) : hexNumber(len == 4 ? at + 2 : at, 2);
    }
    if (len > 0) {
      if (code < 32 || code > 126) kind = 0;
      if (kind == 0 || kind != kindBefore) {
        out = run >= 5 ? out : runStart;
        if (run >= 5) store<u8>(out++, 32);
        runStart = out;
        run = 0;
      }
      if (kind) {
        // One byte of output for a code and its separator, so a closing space always fits.
        store<u8>(out++, <u8>code);
        run++;
      }
      kindBefore = kind;
    }
    at = stop + 1;
  }
  if (run < 5) out = runStart;
  return <i32>(out - to);
}

function morse(at: usize, len: i32): i32 {
  let node = 1;
  for (let i = 0; i < len; i++) {
    const byte: u32 = load<u8>(at + i);
    if (byte != 0x2e && byte != 0x2d) return -1;
    node = node * 2 + i32(byte == 0x2d);
  }
  if (node >= 32) return -1;
  const letter = <i32>load<u8>(MORSE + node);
  return letter ? letter : -1;
}

function binary(at: usize): i32 {
  let value = 0;
  for (let i = 0; i < 8; i++) {
    const bit = <u32>load<u8>(at + i) - 48;
    if (bit > 1) return -1;
    value = (value << 1) | <i32>bit;
  }
  return value;
}

function decimal(at: usize, len: i32): i32 {
  let value = 0;
  for (let i = 0; i < len; i++) {
    const digit: u32 = load<u8>(at + i);
    if (!isDigit(digit)) return -1;
    value = value * 10 + <i32>(digit - 48);
  }
  return value;
}
