// Whose part of which ledger failed to answer this worker lately. One is not all: each organisation is on one node of a Redis
// Cluster, and policies of one VM may have ledgers of their own. Who is on a node that is away must not be the reason why others
// pass without a budget. A table of fixed size; what falls on the same cell is forgotten.
//
//  cell   │ tag u64, of ledger and organisation │ failed u64, ns; 0: it has answered since │ how long it was waited for u64, ms │
import { hash64 } from "../hash";
import { reserve } from "../memory";
import { Per } from "../policy/policy";
import { nginx } from "../proxy-wasm/kind";
import { Slice } from "../slice";
import { nameHigh } from "./names";
import { scope } from "./question";

const CELLS: u64 = 1024;
const CELL: usize = 24;
/** What nobody waits for is not asked again so soon. */
const QUIET_NS: u64 = 5_000_000_000;
const SILENT_NS: u64 = 1_000_000_000;
/** nginx: a request that has to be sent again comes after a second, and would have to be sent again for ever if it found the ledger asked. */
const SENT_AGAIN_NS: u64 = 3_000_000_000;

const table = reserve(<usize>CELLS * CELL);
/** When any part of any ledger last answered, and last failed to. */
let anyAnsweredNs: u64 = 0;
let anyFailedNs: u64 = 0;
/** How long the failure had been waited for that `failedNs` told last. */
let givenMs: u64 = 0;

function tagOf(ledger: u64, subject: Slice): u64 {
  return hash64(scope(subject, <u8>Per.Organisation), ledger ^ nameHigh());
}

function cellOf(tag: u64): usize {
  return table + <usize>(tag & (CELLS - 1)) * CELL;
}

/** The subject's part of the ledger (Policy.ledgerTag) has answered, or failed to in the `waitedMs` that it was given. */
export function noteAnswer(ledger: u64, subject: Slice, failed: bool, waitedMs: u32, now: u64): void {
  if (failed) anyFailedNs = now;
  else anyAnsweredNs = now;
  const tag = tagOf(ledger, subject);
  const cell = cellOf(tag);
  if (!failed && load<u64>(cell) != tag) return;
  store<u64>(cell, tag);
  store<u64>(cell, failed ? now : 0, 8);
  store<u64>(cell, waitedMs, 16);
}

/** When it failed to answer, if it has not answered since; else 0. Leaves `givenMs`. */
function failedNs(ledger: u64, subject: Slice): u64 {
  const tag = tagOf(ledger, subject);
  const cell = cellOf(tag);
  givenMs = load<u64>(cell, 16);
  return load<u64>(cell) == tag ? load<u64>(cell, 8) : 0;
}

/** Whether it failed to answer and has not answered since. */
export function ledgerFails(ledger: u64, subject: Slice): bool {
  return failedNs(ledger, subject) != 0;
}

/** Whether it failed a moment ago and has not answered since: to ask again would be to wait again. */
export function ledgerSilent(ledger: u64, subject: Slice, now: u64): bool {
  const failed = failedNs(ledger, subject);
  const lasts = nginx ? SENT_AGAIN_NS : SILENT_NS;
  return failed != 0 && now - failed < lasts;
}

/**
 * Whether it is too soon after a failure to ask for what nobody waits for. Who gives an answer longer than the one that failed did, `waitsMs`,
 * may get one.
 */
export function ledgerRests(ledger: u64, subject: Slice, waitsMs: u32, now: u64): bool {
  const failed = failedNs(ledger, subject);
  return failed != 0 && now - failed < QUIET_NS && waitsMs <= givenMs;
}

/** Whether nobody's has answered for a while, and somebody's failed to since: then it is away for all. */
export function allSilent(): bool {
  return anyFailedNs > anyAnsweredNs + SILENT_NS;
}
