import { normalise } from "../../../assembly/inspect/normalise";
import { addTrace, clearTraces, traceAll } from "../../../assembly/inspect/traces";
import { kind, made, next, start, view } from "../../../assembly/inspect/views";
import { gates } from "../../../assembly/inspect/views-gate";
import { slice } from "../../../assembly/slice";

export { reserve } from "../../../assembly/memory";
export { gates, next };

export function begin(ptr: usize, len: i32, escaped: bool, to: usize): i32 {
  const n = normalise(slice(ptr, len), escaped, to, len);
  traceAll((n + 63) >> 6);
  start(slice(ptr, len), escaped, slice(to, n), true);
  return n;
}
/** As `begin`, of a text of which one `block` has a trace. */
export function beginAround(ptr: usize, len: i32, to: usize, block: i32): i32 {
  const n = normalise(slice(ptr, len), false, to, len);
  clearTraces();
  addTrace(block, (n + 63) >> 6);
  start(slice(ptr, len), false, slice(to, n), true);
  return n;
}
export function getView(): u64 {
  return view;
}
export function getKind(): i32 {
  return kind;
}
export function getMade(): i32 {
  return made;
}
export function viewsOf(ptr: usize, len: i32, escaped: bool, normal: usize, normalLen: i32, times: i32): i32 {
  let n = 0;
  for (let i = 0; i < times; i++) {
    for (start(slice(ptr, len), escaped, slice(normal, normalLen), true); next(); ) n++;
  }
  return n;
}
