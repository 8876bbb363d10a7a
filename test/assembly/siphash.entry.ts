import { absorb, begin, finish, hashText } from "../../assembly/inspect/memo-hash";
import { slice } from "../../assembly/slice";

export { hashHigh, hashLow, keyHash } from "../../assembly/inspect/memo-hash";
export { reserve } from "../../assembly/memory";

export function hash(ptr: usize, len: i32, tag: u32, tag2: u64): void {
  hashText(slice(ptr, len), tag, tag2);
}

/** SipHash alone, of whole words. */
export function sip(ptr: usize, len: i32): void {
  begin();
  for (let i = 0; i < len; i += 8) absorb(load<u64>(ptr + <usize>i));
  finish();
}
