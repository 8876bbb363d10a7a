// Random numbers from the host. WASI's `random_get` is the one source that Envoy and ngx_wasm_module both link.
import { reserve } from "../memory";
import { mix } from "../hash";
import { random_get } from "./abi";
import { wallTime } from "./host";

const out = reserve(8);

/** 64 random bits, never 0. Falls back on the clock if the host refuses, which names things but keeps no secret. */
export function random(): u64 {
  if (random_get(out, 8) != 0 || load<u64>(out) == 0) return mix(wallTime()) | 1;
  return load<u64>(out);
}
