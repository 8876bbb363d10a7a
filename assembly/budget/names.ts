// Names of leases: 32 hexadecimal digits, the worker's random part and its serial number.
import { random } from "../proxy-wasm/random";
import { slice, Slice } from "../slice";
import { Writer } from "../writer";

const text = new Writer(32);

// This worker's part of every name: drawn once, so that names never meet another worker's.
let edge: u64 = 0;
let serial: u64 = 0;

export function nameHigh(): u64 {
  if (edge == 0) edge = random();
  return edge;
}

export function nextLow(): u64 {
  return ++serial;
}

/** Valid until the next call. The first 16 digits name the worker. */
export function leaseName(high: u64, low: u64): Slice {
  const to = text.reset().take(32);
  for (let i: usize = 0; i < 32; i++) {
    const word = i < 16 ? high : low;
    const digit = <u8>((word >> (60 - 4 * (i & 15))) & 15);
    store<u8>(to + i, digit < 10 ? 48 + digit : 87 + digit);
  }
  return slice(to, 32);
}
