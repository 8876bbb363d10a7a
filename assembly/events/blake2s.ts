// BLAKE2s-256 (RFC 7693) in pieces: the digest of an answer as it passes. A cryptographic hash that everybody can compute
// (OpenSSL, Python and Node have it), and with 128-bit lanes several times as fast as SHA-256 can be made here.
//
//   state (112 bytes): │ h 8 × u32 │ bytes so far u64 │ bytes held u32 │ 0 │ block that is not full 64 │
//
// The last block is compressed with a flag of its own, so a full block is held until more comes.
import { reserve } from "../memory";

export const BLAKE2S_BYTES: i32 = 112;
/** The digest's size in bytes. */
export const BLAKE2S_DIGEST: i32 = 32;

const BLOCK: i32 = 64;
const COUNT_AT: usize = 32;
const HELD_AT: usize = 40;
const BLOCK_AT: usize = 48;
/** Sequential mode, no key, a digest of 32 bytes. */
const PARAMETERS: u32 = 0x01010020;
const ROUNDS: usize = 10;

const IV = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

/** Where in the block a round's words are, in the order of their use: the columns' first and second ones, the diagonals'. */
const SIGMA = memory.data<u8>([
  0, 8, 16, 24, 4, 12, 20, 28, 32, 40, 48, 56, 36, 44, 52, 60, 56, 16, 36, 52, 40, 32, 60, 24, 4, 0, 44, 20,
  48, 8, 28, 12, 44, 48, 20, 60, 32, 0, 8, 52, 40, 12, 28, 36, 56, 24, 4, 16, 28, 12, 52, 44, 36, 4, 48, 56,
  8, 20, 16, 60, 24, 40, 0, 32, 36, 20, 8, 40, 0, 28, 16, 60, 56, 44, 24, 12, 4, 48, 32, 52, 8, 24, 0, 32, 48,
  40, 44, 12, 16, 28, 60, 4, 52, 20, 56, 36, 48, 4, 56, 16, 20, 60, 52, 40, 0, 24, 36, 32, 28, 12, 8, 44, 52,
  28, 48, 12, 44, 56, 4, 36, 20, 60, 32, 8, 0, 16, 24, 40, 24, 56, 44, 0, 60, 36, 12, 32, 48, 52, 4, 40, 8,
  28, 16, 20, 40, 32, 28, 4, 8, 16, 24, 20, 60, 36, 12, 52, 44, 56, 48, 0,
]);

/** The working state, where there are no lanes to keep it in. */
const work = reserve(BLOCK);

/** Begins a digest at `state` (BLAKE2S_BYTES). */
export function blake2sBegin(state: usize): void {
  memory.copy(state, IV, 32);
  store<u32>(state, load<u32>(state) ^ PARAMETERS);
  store<u64>(state, 0, COUNT_AT);
  store<u64>(state, 0, HELD_AT);
}

/** Adds `len` bytes at `ptr`; how they are cut makes no difference. */
export function blake2sUpdate(state: usize, ptr: usize, len: i32): void {
  let at = ptr;
  let left = len;
  const held = load<i32>(state, HELD_AT);
  if (held + left > BLOCK) {
    if (held > 0) {
      memory.copy(state + BLOCK_AT + held, at, BLOCK - held);
      at += BLOCK - held;
      left -= BLOCK - held;
      compress(state, state + BLOCK_AT, BLOCK, 0);
    }
    for (; left > BLOCK; left -= BLOCK, at += BLOCK) compress(state, at, BLOCK, 0);
    memory.copy(state + BLOCK_AT, at, left);
    store<i32>(state, left, HELD_AT);
    return;
  }
  memory.copy(state + BLOCK_AT + held, at, left);
  store<i32>(state, held + left, HELD_AT);
}

/** Writes the digest to `to`; the state is used up. */
export function blake2sEnd(state: usize, to: usize): void {
  const held = load<i32>(state, HELD_AT);
  memory.fill(state + BLOCK_AT + held, 0, BLOCK - held);
  compress(state, state + BLOCK_AT, held, u32.MAX_VALUE);
  memory.copy(to, state, BLAKE2S_DIGEST);
}

function compress(state: usize, block: usize, bytes: i32, last: u32): void {
  const count = load<u64>(state, COUNT_AT) + <u64>bytes;
  store<u64>(state, count, COUNT_AT);
  if (ASC_FEATURE_SIMD) mixLanes(state, block, count, last);
  else mixWords(state, block, count, last);
}

/** Four columns, then four diagonals at a time: rows a, b, c and d of the working state are a vector each. */
function mixLanes(state: usize, block: usize, count: u64, last: u32): void {
  const before0 = v128.load(state);
  const before1 = v128.load(state, 16);
  let a = before0;
  let b = before1;
  let c = v128.load(IV);
  let d = v128.xor(v128.load(IV, 16), i64x2.replace_lane(i64x2.splat(count), 1, <u64>last));
  for (let at = SIGMA; at < SIGMA + 16 * ROUNDS; at += 16) {
    a = i32x4.add(i32x4.add(a, b), gather(block, load<u32>(at)));
    d = turn16(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = turn(v128.xor(b, c), 12);
    a = i32x4.add(i32x4.add(a, b), gather(block, load<u32>(at, 4)));
    d = turn8(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = turn(v128.xor(b, c), 7);
    b = v128.shuffle<i32>(b, b, 1, 2, 3, 0);
    c = v128.shuffle<i32>(c, c, 2, 3, 0, 1);
    d = v128.shuffle<i32>(d, d, 3, 0, 1, 2);
    a = i32x4.add(i32x4.add(a, b), gather(block, load<u32>(at, 8)));
    d = turn16(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = turn(v128.xor(b, c), 12);
    a = i32x4.add(i32x4.add(a, b), gather(block, load<u32>(at, 12)));
    d = turn8(v128.xor(d, a));
    c = i32x4.add(c, d);
    b = turn(v128.xor(b, c), 7);
    b = v128.shuffle<i32>(b, b, 3, 0, 1, 2);
    c = v128.shuffle<i32>(c, c, 2, 3, 0, 1);
    d = v128.shuffle<i32>(d, d, 1, 2, 3, 0);
  }
  v128.store(state, v128.xor(before0, v128.xor(a, c)));
  v128.store(state, v128.xor(before1, v128.xor(b, d)), 16);
}

/** The words of the block at four offsets, a byte each. */
function gather(block: usize, offsets: u32): v128 {
  let lanes = v128.load_zero<u32>(block + <usize>(offsets & 255));
  lanes = v128.load_lane<u32>(block + <usize>((offsets >> 8) & 255), lanes, 1);
  lanes = v128.load_lane<u32>(block + <usize>((offsets >> 16) & 255), lanes, 2);
  return v128.load_lane<u32>(block + <usize>(offsets >> 24), lanes, 3);
}

function turn(x: v128, bits: i32): v128 {
  return v128.or(i32x4.shr_u(x, bits), i32x4.shl(x, 32 - bits));
}

function turn16(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
}

function turn8(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
}

function mixWords(state: usize, block: usize, count: u64, last: u32): void {
  memory.copy(work, state, 32);
  memory.copy(work + 32, IV, 32);
  store<u64>(work, load<u64>(work, 48) ^ count, 48);
  store<u32>(work, load<u32>(work, 56) ^ last, 56);
  for (let at = SIGMA; at < SIGMA + 16 * ROUNDS; at += 16) {
    for (let i: usize = 0; i < 4; i++) quarter(i, 4 + i, 8 + i, 12 + i, block, at + i);
    for (let i: usize = 0; i < 4; i++) {
      quarter(i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3), block, at + 8 + i);
    }
  }
  for (let i: usize = 0; i < 32; i += 4) {
    store<u32>(state + i, load<u32>(state + i) ^ load<u32>(work + i) ^ load<u32>(work + i, 32));
  }
}

function quarter(i: usize, j: usize, k: usize, l: usize, block: usize, at: usize): void {
  let a = load<u32>(work + (i << 2));
  let b = load<u32>(work + (j << 2));
  let c = load<u32>(work + (k << 2));
  let d = load<u32>(work + (l << 2));
  a += b + load<u32>(block + <usize>load<u8>(at));
  d = rotr<u32>(d ^ a, 16);
  c += d;
  b = rotr<u32>(b ^ c, 12);
  a += b + load<u32>(block + <usize>load<u8>(at, 4));
  d = rotr<u32>(d ^ a, 8);
  c += d;
  b = rotr<u32>(b ^ c, 7);
  store<u32>(work + (i << 2), a);
  store<u32>(work + (j << 2), b);
  store<u32>(work + (k << 2), c);
  store<u32>(work + (l << 2), d);
}
