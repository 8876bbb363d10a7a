// Whether two runs of bytes are the same: `memory.compare` goes byte by byte unless both are aligned alike.

/** Compares `len` bytes; nothing outside them is read. */
export function same(a: usize, b: usize, len: i32): bool {
  let n: usize = 0;
  const end = <usize>len;
  if (ASC_FEATURE_SIMD) {
    for (; n + 16 <= end; n += 16) {
      if (v128.any_true(v128.xor(v128.load(a + n), v128.load(b + n)))) return false;
    }
  }
  for (; n + 8 <= end; n += 8) if (load<u64>(a + n) != load<u64>(b + n)) return false;
  for (; n < end; n++) if (load<u8>(a + n) != load<u8>(b + n)) return false;
  return true;
}
