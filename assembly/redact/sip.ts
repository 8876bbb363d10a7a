// SipHash-2-4 (Aumasson, Bernstein), fed in pieces: the name of a value in placeholders and of `hash`. Keyed with
// a secret of the process, so that a hash in an answer cannot be looked up by trying values elsewhere.
//
//   state (48 bytes): v0 v1 v2 v3 u64 | pending word u64 | bytes so far u64

export const SIP_BYTES: i32 = 48;

let keyLow: u64 = 0x0706050403020100;
let keyHigh: u64 = 0x0f0e0d0c0b0a0908;

/** Sets the key; once, at start. */
export function seedSip(low: u64, high: u64): void {
  keyLow = low;
  keyHigh = high;
}

let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

function rounds(n: i32): void {
  for (let i = 0; i < n; i++) {
    v0 += v1;
    v1 = rotl<u64>(v1, 13) ^ v0;
    v0 = rotl<u64>(v0, 32);
    v2 += v3;
    v3 = rotl<u64>(v3, 16) ^ v2;
    v0 += v3;
    v3 = rotl<u64>(v3, 21) ^ v0;
    v2 += v1;
    v1 = rotl<u64>(v1, 17) ^ v2;
    v2 = rotl<u64>(v2, 32);
  }
}

function restore(state: usize): void {
  v0 = load<u64>(state);
  v1 = load<u64>(state, 8);
  v2 = load<u64>(state, 16);
  v3 = load<u64>(state, 24);
}

export function sipBegin(state: usize): void {
  store<u64>(state, keyLow ^ 0x736f6d6570736575);
  store<u64>(state, keyHigh ^ 0x646f72616e646f6d, 8);
  store<u64>(state, keyLow ^ 0x6c7967656e657261, 16);
  store<u64>(state, keyHigh ^ 0x7465646279746573, 24);
  store<u64>(state, 0, 32);
  store<u64>(state, 0, 40);
}

export function sipUpdate(state: usize, p: usize, end: usize): void {
  restore(state);
  let word = load<u64>(state, 32);
  let count = load<u64>(state, 40);
  for (; p < end; p++) {
    word |= (<u64>load<u8>(p)) << ((count & 7) << 3);
    if ((++count & 7) == 0) {
      v3 ^= word;
      rounds(2);
      v0 ^= word;
      word = 0;
    }
  }
  store<u64>(state, v0);
  store<u64>(state, v1, 8);
  store<u64>(state, v2, 16);
  store<u64>(state, v3, 24);
  store<u64>(state, word, 32);
  store<u64>(state, count, 40);
}

export function sipEnd(state: usize): u64 {
  restore(state);
  const word = load<u64>(state, 32) | (load<u64>(state, 40) << 56);
  v3 ^= word;
  rounds(2);
  v0 ^= word;
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}
