// Finds the next byte that may belong to something sensitive. Everything else is skipped 16 bytes at a time.
//
// A set of bytes is held as two nibble tables: `rows[low nibble]` has bit h set when (h << 4 | low nibble) is
// in the set. One swizzle by low nibble and one by high nibble classify 16 bytes (Mula, "SIMD byte lookup").
//
//   0    rows for 0x00–0x7f    16   rows for 0x80–0xff    32  bit of high nibble 0–7   48  of 8–15
import { reserve } from "../memory";

const rows: usize = build();

function build(): usize {
  const at = reserve(64);
  for (let h: u32 = 0; h < 8; h++) {
    store<u8>(at + 32 + <usize>h, <u8>((<u32>1) << h));
    store<u8>(at + 48 + 8 + <usize>h, <u8>((<u32>1) << h));
  }
  return at;
}

/** Adds `byte` to the set of triggers. At start or configuration. */
export function addTrigger(byte: u32): void {
  const at = rows + <usize>((byte >> 7) << 4) + <usize>(byte & 15);
  store<u8>(at, load<u8>(at) | <u8>((<u32>1) << ((byte >> 4) & 7)));
}

export function isTrigger(byte: u32): bool {
  const at = rows + <usize>((byte >> 7) << 4) + <usize>(byte & 15);
  return ((load<u8>(at) >> <u8>((byte >> 4) & 7)) & 1) != 0;
}

/** One bit per trigger among the 16 bytes at `p`. */
export function triggers16(p: usize): i32 {
  if (ASC_FEATURE_SIMD) {
    const text = v128.load(p);
    const lowNibble = v128.and(text, i8x16.splat(15));
    const highNibble = i8x16.shr_u(text, 4);
    const ascii = v128.and(
      i8x16.swizzle(v128.load(rows), lowNibble),
      i8x16.swizzle(v128.load(rows, 32), highNibble),
    );
    const wide = v128.and(
      i8x16.swizzle(v128.load(rows, 16), lowNibble),
      i8x16.swizzle(v128.load(rows, 48), highNibble),
    );
    return i8x16.bitmask(i8x16.ne(v128.or(ascii, wide), i8x16.splat(0)));
  } else {
    let mask = 0;
    for (let i: usize = 0; i < 16; i++) if (isTrigger(load<u8>(p + i))) mask |= 1 << (<i32>i);
    return mask;
  }
}
