// Where a line of an event stream ends: whoever reads one looks for it.
export const LF: u32 = 10;
export const CR: u32 = 13;

export function isLineEnd(byte: u32): bool {
  return byte == LF || byte == CR;
}

/** The first CR or LF in [p, stop), or `stop`. */
export function lineEnd(p: usize, stop: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= stop) {
      const v = v128.load(p);
      const mask = i8x16.bitmask(v128.or(i8x16.eq(v, i8x16.splat(<i8>LF)), i8x16.eq(v, i8x16.splat(<i8>CR))));
      if (mask) return p + ctz(mask);
      p += 16;
    }
  } else {
    while (p + 8 <= stop) {
      const v = load<u64>(p);
      const lf = v ^ 0x0a0a0a0a0a0a0a0a;
      const cr = v ^ 0x0d0d0d0d0d0d0d0d;
      const mask =
        (((lf - 0x0101010101010101) & ~lf) | ((cr - 0x0101010101010101) & ~cr)) & 0x8080808080808080;
      if (mask) return p + <usize>(ctz(mask) >> 3);
      p += 8;
    }
  }
  while (p < stop && !isLineEnd(load<u8>(p))) p++;
  return p;
}
