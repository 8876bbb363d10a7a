import { slice } from "../../assembly/slice";
import { Writer } from "../../assembly/writer";

export { reserve } from "../../assembly/memory";

const out = new Writer(64);

export function writeJson(ptr: usize, len: i32): u64 {
  return out.reset().json(slice(ptr, len)).written;
}

export function writeNumbers(a: u64, b: i64): u64 {
  return out.reset().u64(a).text(" ").i64(b).written;
}

export function overflowed(): bool {
  return out.overflow;
}
