// SipHash-2-4-128 and NH in big integers, slow and by the letter: what assembly/inspect/memo-hash.ts is held against.
// SipHash: Aumasson, Bernstein 2012, with the reference implementation's 128-bit output. NH: RFC 4418, section 5.2.

const MASK = (1n << 64n) - 1n;
const rotate = (x: bigint, n: bigint) => ((x << n) | (x >> (64n - n))) & MASK;

export interface Secret {
  low: bigint;
  high: bigint;
}

/** The 128-bit hash of `bytes` as its two words. */
export function sipHash128({ low, high }: Secret, bytes: Uint8Array): [bigint, bigint] {
  let [v0, v1] = [low ^ 0x736f6d6570736575n, high ^ 0x646f72616e646f6dn ^ 0xeen];
  let [v2, v3] = [low ^ 0x6c7967656e657261n, high ^ 0x7465646279746573n];
  const rounds = (count: number) => {
    for (let i = 0; i < count; i++) {
      v0 = (v0 + v1) & MASK;
      v1 = rotate(v1, 13n) ^ v0;
      v0 = rotate(v0, 32n);
      v2 = (v2 + v3) & MASK;
      v3 = rotate(v3, 16n) ^ v2;
      v0 = (v0 + v3) & MASK;
      v3 = rotate(v3, 21n) ^ v0;
      v2 = (v2 + v1) & MASK;
      v1 = rotate(v1, 17n) ^ v2;
      v2 = rotate(v2, 32n);
    }
  };
  const padded = new Uint8Array((bytes.length & ~7) + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  const view = new DataView(padded.buffer);
  for (let at = 0; at < padded.length; at += 8) {
    const word = view.getBigUint64(at, true);
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
  v2 ^= 0xeen;
  rounds(4);
  const first = v0 ^ v1 ^ v2 ^ v3;
  v1 ^= 0xddn;
  rounds(4);
  return [first, v0 ^ v1 ^ v2 ^ v3];
}

const NH_BLOCK = 1024;
const PASSES = 4;

function wordsOf(...words: bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(words).buffer);
}

function nhKey(secret: Secret): Uint8Array {
  const key = new Uint8Array(NH_BLOCK + (PASSES - 1) * 16);
  for (let at = 0; at < key.length; at += 16) {
    key.set(wordsOf(...sipHash128(secret, wordsOf(BigInt(at)))), at);
  }
  return key;
}

/** Four sums of one block: 32-bit words i and i + 4 of each 32 bytes, added to the key's, are multiplied. */
function nh(block: Uint8Array, key: Uint8Array): bigint[] {
  const padded = new Uint8Array(Math.ceil(block.length / 32) * 32);
  padded.set(block);
  const text = new DataView(padded.buffer);
  const keys = new DataView(key.buffer, key.byteOffset);
  return Array.from({ length: PASSES }, (_, pass) => {
    let sum = 0n;
    for (let at = 0; at < padded.length; at += 32) {
      for (let i = at; i < at + 16; i += 4) {
        const word = (k: number) => (text.getUint32(k, true) + keys.getUint32(k + pass * 16, true)) >>> 0;
        sum += BigInt(word(i)) * BigInt(word(i + 16));
      }
    }
    return sum & MASK;
  });
}

/** What `hashText` answers. */
export function memoHash(secret: Secret, text: Uint8Array, tag: bigint, tag2: bigint): [bigint, bigint] {
  const words = [(tag << 32n) | BigInt(text.length), tag2];
  if (text.length <= 64) {
    const padded = new Uint8Array(Math.ceil(text.length / 8) * 8);
    padded.set(text);
    words.push(...new BigUint64Array(padded.buffer));
  } else {
    const key = nhKey(secret);
    for (let at = 0; at < text.length; at += NH_BLOCK)
      words.push(...nh(text.subarray(at, at + NH_BLOCK), key));
  }
  return sipHash128(secret, wordsOf(...words));
}
