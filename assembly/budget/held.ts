// The leases that this worker acquired and looks after until the ledger has acknowledged their last report.
// Reports are cumulative and numbered, so one that is lost is simply made again, with newer numbers.
//
//  entry (fixed size, bounded table; a zero `low` marks a free one)
//  ┌──────┬─────┬─────────┬────────┬──────────┬───────┬───────┬──────────────────┐
//  │ high │ low │ subject │ policy │ activity │ state │ count │ subject text 96 B│
//  └──────┴─────┴─────────┴────────┴──────────┴───────┴───────┴──────────────────┘
import { LEASES_HELD_MAX, SUBJECT_MAX } from "../limits";
import { reserve } from "../memory";
import { lenOf, ptrOf, slice, Slice } from "../slice";

export enum HeldState {
  Free = 0,
  /** In the shared record. */
  Live = 1,
  /** Never used here (the grant came late or found no room): only its end is to be reported. */
  Unused = 2,
}

@unmanaged
export class Held {
  high: u64;
  low: u64;
  subjectTag: u64;
  /** What was spent and reserved when it was last seen to change, to notice idleness. */
  activity: u64;
  activeNs: u64;
  /** When the newest report was sent. */
  reportedNs: u64;
  policy: usize;
  /** Whose ledger granted it (Policy.ledgerTag). */
  ledger: u64;
  /** The tier and its budgets (one bit each), as long as the policy is there. */
  tier: usize;
  mask: u32;
  state: u8;
  count: u8;
  /** The last report sent was the final one. */
  final: bool;
  /** Of an unused lease: the ledger has answered that it ended. */
  answered: bool;
  /** Something was spent, or an unused lease ended, that no acknowledged report carries. */
  dirty: bool;
  subjectLength: i32;

  get subject(): Slice {
    return slice(changetype<usize>(this) + offsetof<Held>(), this.subjectLength);
  }
}

const HELD_SIZE: usize = (offsetof<Held>() + <usize>SUBJECT_MAX + 7) & ~7;
const table = reserve(<usize>LEASES_HELD_MAX * HELD_SIZE);
let used: i32 = 0;
let highest: i32 = 0;

export function heldAt(i: i32): Held {
  return changetype<Held>(table + <usize>i * HELD_SIZE);
}

/** Entries from 0 to below this may be in use. */
export function heldEnd(): i32 {
  return highest;
}

export function heldCount(): i32 {
  return used;
}

/** Whether there is room for what was never used here; half of the table is for leases alone. */
export function roomForUnused(): bool {
  return used <= LEASES_HELD_MAX / 2;
}

/** Takes an entry for a lease of `subject`, to be filled in; null when the table is full. */
export function hold(subject: Slice, now: u64): Held | null {
  let i = 0;
  while (i < highest && heldAt(i).state != HeldState.Free) i++;
  if (i == LEASES_HELD_MAX) return null;
  if (i == highest) highest++;
  used++;
  const held = heldAt(i);
  memory.fill(changetype<usize>(held), 0, HELD_SIZE);
  held.subjectLength = min(lenOf(subject), SUBJECT_MAX);
  memory.copy(changetype<usize>(held) + offsetof<Held>(), ptrOf(subject), held.subjectLength);
  held.activeNs = now;
  held.reportedNs = now;
  held.state = <u8>HeldState.Live;
  return held;
}

export function letGo(held: Held): void {
  held.state = <u8>HeldState.Free;
  used--;
  while (highest > 0 && heldAt(highest - 1).state == HeldState.Free) highest--;
}
