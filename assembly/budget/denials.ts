// What the ledger denied a moment ago, in this worker: where a cheaper model would be asked instead, it is asked at once,
// without a question whose answer is known. A table of fixed size; what falls on the same cell is forgotten.
//
//  cell   │ lease tag u64 │ until u64, ns │ needs u64 × BUDGETS_MAX │
import { mix } from "../hash";
import { BUDGETS_MAX } from "../limits";
import { reserve } from "../memory";
import { Stream } from "../stream";

const CELLS: u64 = 256;
const CELL: usize = 16 + 8 * BUDGETS_MAX;
/** Long enough to spare questions, short enough that a raised limit or a new window is soon noticed. */
const KEPT_NS: u64 = 5_000_000_000;

const table = reserve(<usize>CELLS * CELL);

function cellOf(tag: u64): usize {
  return table + <usize>(mix(tag) & (CELLS - 1)) * CELL;
}

/** The ledger denied what the stream needs. */
export function rememberDenial(stream: Stream, count: i32, now: u64): void {
  const cell = cellOf(stream.leaseTag);
  store<u64>(cell, stream.leaseTag);
  store<u64>(cell, now + KEPT_NS, 8);
  for (let i = 0; i < count; i++) store<u64>(cell + ((<usize>i) << 3), stream.reserved(i), 16);
}

/** Whether the ledger would deny the stream: it denied these budgets lately, for no more than is needed now. */
export function deniedLately(stream: Stream, count: i32, now: u64): bool {
  const cell = cellOf(stream.leaseTag);
  if (load<u64>(cell) != stream.leaseTag || load<u64>(cell, 8) <= now) return false;
  for (let i = 0; i < count; i++) {
    if (stream.reserved(i) < load<u64>(cell + ((<usize>i) << 3), 16)) return false;
  }
  return true;
}
