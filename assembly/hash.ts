// XXH64 (Y. Collet, xxHash specification 0.1.1): a fast 64-bit hash for tables and tags, seeded per process so
// that callers cannot choose colliding names. Not for secrets: see `identity/sha256.ts`.
import { lenOf, ptrOf, Slice } from "./slice";

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;

function round(acc: u64, lane: u64): u64 {
  return rotl<u64>(acc + lane * P2, 31) * P1;
}

function merge(hash: u64, acc: u64): u64 {
  return (hash ^ round(0, acc)) * P1 + P4;
}

/** XXH64 of the bytes of `s`. */
export function hash64(s: Slice, seed: u64): u64 {
  let at = ptrOf(s);
  const len = lenOf(s);
  const end = at + len;
  let h: u64;
  if (len >= 32) {
    let a = seed + P1 + P2;
    let b = seed + P2;
    let c = seed;
    let d = seed - P1;
    const last = end - 32;
    do {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
      at += 32;
    } while (at <= last);
    h = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    h = merge(merge(merge(merge(h, a), b), c), d);
  } else {
    h = seed + P5;
  }
  h += <u64>(<u32>len);
  for (; at + 8 <= end; at += 8) h = rotl<u64>(h ^ round(0, load<u64>(at)), 27) * P1 + P4;
  if (at + 4 <= end) {
    h = rotl<u64>(h ^ (<u64>load<u32>(at) * P1), 23) * P2 + P3;
    at += 4;
  }
  for (; at < end; at++) h = rotl<u64>(h ^ (<u64>load<u8>(at) * P5), 11) * P1;
  return mix(h);
}

/** XXH64's final avalanche: a bijection that spreads every bit of a number. */
export function mix(value: u64): u64 {
  let h = value;
  h = (h ^ (h >> 33)) * P2;
  h = (h ^ (h >> 29)) * P3;
  return h ^ (h >> 32);
}
