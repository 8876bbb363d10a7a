// Shared data: the one memory that all workers of a proxy see, a map from keys to (value, version).
//
// Envoy overwrites on version 0 and ngx_wasm_module only creates on it, and Envoy cannot delete. What holds on
// both is all that is used: create once while configuring, then read and compare-and-set for ever.
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import { proxy_get_shared_data, proxy_set_shared_data, Status } from "./abi";

// | value pointer u32 | size u32 | version u32 |
const out = reserve(12);

/** The version of the value that `sharedGet` returned last. */
export function sharedVersion(): u32 {
  return load<u32>(out, 8);
}

/** The value of `key`, in the arena; NONE when there is none. */
export function sharedGet(key: Slice): Slice {
  store<u64>(out, 0);
  store<u32>(out, 0, 8);
  if (proxy_get_shared_data(ptrOf(key), lenOf(key), out, out + 4, out + 8) != Status.Ok) return NONE;
  return slice(<usize>load<u32>(out), load<i32>(out + 4));
}

/** Replaces the value if its version is still `version`; false when another worker was first. */
export function sharedSwap(key: Slice, value: Slice, version: u32): bool {
  return proxy_set_shared_data(ptrOf(key), lenOf(key), ptrOf(value), lenOf(value), version) == Status.Ok;
}

/** Creates `key` unless it is there. Call while configuring, before any worker serves. */
export function sharedCreate(key: Slice, value: Slice): bool {
  if (sharedGet(key) != NONE) return true;
  return proxy_set_shared_data(ptrOf(key), lenOf(key), ptrOf(value), lenOf(value), 0) == Status.Ok;
}
