import { saysJson } from "../../assembly/media-type";
import { slice } from "../../assembly/slice";

export { reserve } from "../../assembly/memory";

export function says(ptr: usize, len: i32): bool {
  return saysJson(slice(ptr, len));
}
