// How large a subject's slices had grown, kept beyond its leases: after a pause in which they went back, the first slice is half of
// what its last was, not a few requests again. So a subject that comes in bursts asks once at the start of each, not once per
// doubling, and one that has become quiet falls back by half with each pause.
//
//  entry: │ lease tag u64 │ growth u8 │     a worker's own; of two lease tags that fall on one entry the later has it
import { PURSES } from "../limits";
import { reserve } from "../memory";

const ENTRY: usize = 16;
/** As many as there are leases with purses: who grew has one. */
const table = reserve(<usize>PURSES * ENTRY);

function entryOf(leaseTag: u64): usize {
  return table + <usize>(<u32>leaseTag & (PURSES - 1)) * ENTRY;
}

/** A slice of `growth` doublings was granted. */
export function rememberGrowth(leaseTag: u64, growth: i32): void {
  const entry = entryOf(leaseTag);
  store<u64>(entry, leaseTag);
  store<u8>(entry, <u8>growth, 8);
}

/** The growth of the lease that a first one after a pause follows (one more than it, as always); -1 for none. */
export function growthBefore(leaseTag: u64): i32 {
  const entry = entryOf(leaseTag);
  return load<u64>(entry) == leaseTag ? max(<i32>load<u8>(entry, 8) - 2, -1) : -1;
}
