// What several SIMD passes share. WebAssembly has comparisons and shifts of bytes that x86-64 has not; these are written
// so that each is one or two instructions there.

/** Lanes of 0xff where a byte is one of the `count` from `first` on. A signed comparison: an unsigned one costs three. */
export function within(v: v128, first: i32, count: i32): v128 {
  return i8x16.lt_s(i8x16.add(v, i8x16.splat(<i8>(128 - first))), i8x16.splat(<i8>(count - 128)));
}

/** The upper four bits of each byte. A shift of bytes costs six instructions; one of words and a mask two. */
export function highNibbles(v: v128): v128 {
  return v128.and(i16x8.shr_u(v, 4), i8x16.splat(15));
}
