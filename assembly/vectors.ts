// What several SIMD passes share. WebAssembly has comparisons and shifts of bytes that x86-64 has not; these are written
// so that each is one or two instructions there.

/** Lanes of 0xff where a byte is `byte`. */
export function eq(v: v128, byte: i8): v128 {
  return i8x16.eq(v, i8x16.splat(byte));
}

/** Lanes of 0xff where a byte is one of the `count` from `first` on. A signed comparison: an unsigned one costs three. */
export function within(v: v128, first: i32, count: i32): v128 {
  return i8x16.lt_s(i8x16.add(v, i8x16.splat(<i8>(128 - first))), i8x16.splat(<i8>(count - 128)));
}

/** The upper four bits of each byte. A shift of bytes costs six instructions; one of words and a mask two. */
export function highNibbles(v: v128): v128 {
  return v128.and(i16x8.shr_u(v, 4), i8x16.splat(15));
}

/** Copies `len` bytes that do not overlap; for a few, where calling out to the host's own copy costs more than the copy. */
export function copyFew(to: usize, from: usize, len: usize): void {
  if (!ASC_FEATURE_SIMD) return memory.copy(to, from, len);
  if (len >= 16) {
    const last = len - 16;
    for (let at: usize = 0; at < last; at += 16) v128.store(to + at, v128.load(from + at));
    v128.store(to + last, v128.load(from + last));
    return;
  }
  if (len & 8) store<u64>(to, load<u64>(from));
  let at = len & 8;
  if (len & 4) {
    store<u32>(to + at, load<u32>(from + at));
    at += 4;
  }
  for (; at < len; at++) store<u8>(to + at, load<u8>(from + at));
}

/** Sets `len` bytes, rounded up to 16, to `byte`. */
export function fillFew(to: usize, byte: u8, len: usize): void {
  if (!ASC_FEATURE_SIMD) return memory.fill(to, byte, (len + 15) & ~15);
  for (let at: usize = 0; at < len; at += 16) v128.store(to + at, i8x16.splat(<i8>byte));
}

/**
 * The last `len` bytes of a text, copied to `room`, with zeros up to `size` (a multiple of 16), so that a load never leaves the
 * text's buffer. Returns `room`.
 */
export function padded(room: usize, from: usize, len: usize, size: usize): usize {
  fillFew(room, 0, size);
  copyFew(room, from, len);
  return room;
}

/** Of two groups of 64 bits each those from `bit` of the first on, as many as one has. */
export function bitsFrom(bits: u64, ahead: u64, bit: u64): u64 {
  return (bits >> bit) | ((ahead << 1) << (63 - bit));
}
