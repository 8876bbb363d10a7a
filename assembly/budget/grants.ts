// What the ledger last granted to a subject, kept beyond its leases.
//
// How large its slices had grown: after a pause in which they went back, the first slice is half of what its last was, not a few
// requests again. So a subject that comes in bursts asks once at the start of each, not once per doubling, and one that has become
// quiet falls back by half with each pause. And whether plenty was left: then the next slice is asked for by a loose bound.
//
//  entry: │ lease tag u64 │ growth u8 │ plenty u8 │     a worker's own; of two lease tags that fall on one entry the later has it
import { PURSES } from "../limits";
import { reserve } from "../memory";

const ENTRY: usize = 16;
/** As many as there are leases with purses: who grew has one. */
const table = reserve(<usize>PURSES * ENTRY);

function entryOf(leaseTag: u64): usize {
  return table + <usize>(<u32>leaseTag & (PURSES - 1)) * ENTRY;
}

/** A slice of `growth` doublings was granted; `plenty`: what is left at the ledger covers many such requests. */
export function rememberGrant(leaseTag: u64, growth: i32, plenty: bool): void {
  const entry = entryOf(leaseTag);
  store<u64>(entry, leaseTag);
  store<u8>(entry, <u8>growth, 8);
  store<u8>(entry, <u8>plenty, 9);
}

/** A request of `leaseTag` was denied. */
export function rememberScarcity(leaseTag: u64): void {
  const entry = entryOf(leaseTag);
  if (load<u64>(entry) == leaseTag) store<u8>(entry, 0, 9);
}

/** The growth of the lease that a first one after a pause follows (one more than it, as always); -1 for none. */
export function growthBefore(leaseTag: u64): i32 {
  const entry = entryOf(leaseTag);
  return load<u64>(entry) == leaseTag ? max(<i32>load<u8>(entry, 8) - 2, -1) : -1;
}

/** Whether the ledger had plenty left when it last granted a lease of `leaseTag`; false when that is not known. */
export function leftPlenty(leaseTag: u64): bool {
  const entry = entryOf(leaseTag);
  return load<u64>(entry) == leaseTag && load<u8>(entry, 9) != 0;
}
