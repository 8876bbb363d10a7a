import { normalise, smuggled, steps } from "../../../assembly/inspect/normalise";
import { slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export { smuggled };

export function run(ptr: usize, len: i32, escaped: bool, to: usize, max: i32): i32 {
  return normalise(slice(ptr, len), escaped, to, max);
}

export function runMany(ptr: usize, len: i32, escaped: bool, to: usize, max: i32, times: i32): i32 {
  let n = 0;
  for (let i = 0; i < times; i++) n += normalise(slice(ptr, len), escaped, to, max);
  return n;
}

export function getSteps(): i32 {
  return steps;
}
