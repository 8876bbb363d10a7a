// A set of small numbers, one bit for each, in memory of the caller's.

export function hasBit(set: usize, i: u32): bool {
  return ((load<u8>(set + (i >> 3)) >> (<u8>i & 7)) & 1) != 0;
}

export function setBit(set: usize, i: u32): void {
  const at = set + (i >> 3);
  store<u8>(at, load<u8>(at) | ((<u8>1) << (<u8>i & 7)));
}

export function clearBit(set: usize, i: u32): void {
  const at = set + (i >> 3);
  store<u8>(at, load<u8>(at) & ~((<u8>1) << (<u8>i & 7)));
}

/** The largest member below `i` > 0, or 0. */
export function lastBitBefore(set: usize, i: i32): i32 {
  let word = (i - 1) >> 6;
  let bits = load<u64>(set + ((<usize>word) << 3)) & (<u64>-1 >> (63 - <u64>((i - 1) & 63)));
  while (bits == 0) {
    if (word == 0) return 0;
    bits = load<u64>(set + ((<usize>--word) << 3));
  }
  return (word << 6) + 63 - <i32>clz(bits);
}
