// Exports one ring of events for its test.
export { reserve } from "../../../assembly/memory";
import { endOfExchange, eventOf, Ring, RING_BYTES, spareRing } from "../../../assembly/events/ring";
import { lenOf, lit, ptrOf, slice } from "../../../assembly/slice";

export const BYTES: i32 = RING_BYTES;
const ring: Ring = spareRing()!;
ring.assign(lit("sidecar"), 1000, 7);

export function push(ptr: usize, len: i32, end: u64): void {
  ring.push(slice(ptr, len), end);
}

/** The first `count` events travel. */
export function send(count: i32): void {
  ring.sentFrom = ring.first;
  ring.sentTo = ring.first + <u64>count - 1;
  ring.sentNs = 1;
}

export function settle(taken: u64): void {
  ring.settle(taken);
}

export function first(): u64 {
  return ring.first;
}
export function next(): u64 {
  return ring.next;
}
export function dropped(): u64 {
  return ring.dropped;
}
export function overtaken(): u64 {
  return ring.overtaken;
}
export function bytes(): i32 {
  return ring.bytes;
}
export function after(record: usize): usize {
  return ring.after(record);
}
export function eventAt(record: usize): usize {
  return ptrOf(eventOf(record));
}
export function eventLength(record: usize): i32 {
  return lenOf(eventOf(record));
}
export function endAt(record: usize): u64 {
  return endOfExchange(record);
}
