import { loadPolicy, problemCount, problemLine } from "../../assembly/policy/load";
import { slice } from "../../assembly/slice";

export { reserve } from "../../assembly/memory";
export { problemCount, problemLine };

export function load_(ptr: usize, len: i32): bool {
  return loadPolicy(slice(ptr, len)) != null;
}
