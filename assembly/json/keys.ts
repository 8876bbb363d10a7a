// Finds duplicate keys in linear time, whatever the keys are.
//
// Objects with few members compare each new key with its siblings. From the ninth member on, an object's keys
// go into a table of open addressing that all objects of the document share:
//
//   63          44 43          20 19           0
//  ┌──────────────┬──────────────┬──────────────┐
//  │ epoch (20)   │ tag (24)     │ key node (20)│   an entry of another epoch is empty: nothing is cleared
//  └──────────────┴──────────────┴──────────────┘
//
// The hash is SipHash-1-3 (Aumasson, Bernstein 2012) of the decoded key and its object, keyed by `seedKeys`,
// so that nobody can craft collisions. And should they all the same, a chain of more than PROBES_MAX entries is
// refused: the work per key is bounded by a constant even if the secret leaks. (Half full, the table makes such
// a chain by chance with a probability below 10^-20.)
import { reserve } from "../memory";
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { Decoded } from "./escape";

/** Up to this many members, a new key is compared with each before it. */
export const SIBLINGS_MAX: i32 = 8;
const PROBES_MAX: i32 = 256;
const EPOCH_LAST: u64 = (1 << 20) - 1;

let k0: u64 = 0x736f6d6570736575;
let k1: u64 = 0x646f72616e646f6d;

/** Gives the tables a secret of the process; once, before the first document. */
export function seedKeys(a: u64, b: u64): void {
  k0 = a;
  k1 = b;
}

export class KeySet {
  private readonly entries: usize;
  private readonly mask: u32;
  private epoch: u64 = 0;
  private slot: usize = 0;
  private left: i32 = 0;
  private tag: u64 = 0;

  /** Room for `keysMax` keys, at most half full: 16 to 32 bytes a key. */
  constructor(keysMax: i32) {
    let size: u32 = 64;
    while (size < <u32>keysMax * 2) size <<= 1;
    this.mask = size - 1;
    this.entries = reserve((<usize>size) << 3);
  }

  /** Forgets all keys. */
  clear(): void {
    if (this.epoch == EPOCH_LAST) {
      memory.fill(this.entries, 0, (<usize>this.mask + 1) << 3);
      this.epoch = 0;
    }
    this.epoch++;
  }

  /** Begins to look for a key: then call `candidate` until it answers -1, and `add`. */
  seek(hash: u64): void {
    this.tag = (hash >> 40) & 0xffffff;
    this.slot = <usize>(<u32>hash & this.mask);
    this.left = PROBES_MAX;
  }

  /** The next key node whose tag is the same; -1 when there is none left, -2 when the chain is too long. */
  candidate(): i32 {
    while (this.left > 0) {
      const entry = load<u64>(this.entries + (this.slot << 3));
      if (entry >> 44 != this.epoch) return -1;
      this.slot = (this.slot + 1) & this.mask;
      this.left--;
      if (((entry >> 20) & 0xffffff) == this.tag) return <i32>(entry & 0xfffff);
    }
    return -2;
  }

  /** Puts `node` where `candidate` found the chain's end. */
  add(node: i32): void {
    store<u64>(this.entries + (this.slot << 3), (this.epoch << 44) | (this.tag << 20) | <u64>node);
  }
}

// The four words of SipHash's state.
let v0: u64 = 0;
let v1: u64 = 0;
let v2: u64 = 0;
let v3: u64 = 0;

/** SipHash-1-3 of the decoded key within the object `owner`. */
export function hashKey(raw: Slice, escaped: bool, owner: i32): u64 {
  v0 = k0 ^ 0x736f6d6570736575;
  v1 = k1 ^ 0x646f72616e646f6d;
  v2 = k0 ^ 0x6c7967656e657261;
  v3 = k1 ^ 0x7465646279746573;
  absorb(<u64>owner);
  let word: u64 = 0;
  let len: u64 = 0;
  if (escaped) {
    const bytes = Decoded.A.of(raw, true);
    for (let b = bytes.next(); b >= 0; b = bytes.next()) {
      word |= (<u64>b) << ((len & 7) << 3);
      len++;
      if (!(len & 7)) {
        absorb(word);
        word = 0;
      }
    }
  } else {
    let p = ptrOf(raw);
    const end = endOf(raw);
    len = lenOf(raw);
    for (; p + 8 <= end; p += 8) absorb(load<u64>(p));
    for (let shift: u64 = 0; p < end; p++, shift += 8) word |= (<u64>load<u8>(p)) << shift;
  }
  absorb((len << 56) | word);
  v2 ^= 0xff;
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

function absorb(word: u64): void {
  v3 ^= word;
  round();
  v0 ^= word;
}

function round(): void {
  v0 += v1;
  v1 = rotl(v1, 13) ^ v0;
  v0 = rotl(v0, 32);
  v2 += v3;
  v3 = rotl(v3, 16) ^ v2;
  v0 += v3;
  v3 = rotl(v3, 21) ^ v0;
  v2 += v1;
  v1 = rotl(v1, 17) ^ v2;
  v2 = rotl(v2, 32);
}
