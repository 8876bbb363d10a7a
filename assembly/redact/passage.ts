// One text of an answer on its way to the client: first what must not leave is redacted, then what the prompt's
// placeholders stand for is put back. In this order, so that a value which the caller sent is not redacted again; and
// with one numbering for the prompt and its answer (answer.ts), so that no placeholder of ours is taken for another.
//
//   record: redactor.ts | restore.ts
import { reserve } from "../memory";
import { acts, vaultOf } from "./answer";
import { divert, outFrom, outTo, undivert } from "./output";
import { feed, isPending, openChannel, RECORD_BYTES, roomFor } from "./redactor";
import { isRestorerHolding, openRestorer, restore, RESTORER_BYTES } from "./restore";

export const PASSAGE_BYTES: i32 = RECORD_BYTES + RESTORER_BYTES;

/** Bytes that go through both at a time. */
const STEP: i32 = 4096;
const between: usize = reserve(roomFor(STEP));

/** Starts a text of `answer` at `record` (PASSAGE_BYTES), written as `level` says (restore.ts). */
export function openPassage(record: usize, answer: usize, level: u32): void {
  openChannel(record, answer, level);
  openRestorer(record + RECORD_BYTES, level);
}

/** Whether anything would come out at a flush. */
export function isPassagePending(record: usize): bool {
  return isPending(record) || isRestorerHolding(record + RECORD_BYTES);
}

/**
 * Feeds `len` bytes at `ptr` and puts out what is decided. `last`: nothing follows, hold nothing. Returns how many bytes
 * were taken, as `feed` of redactor.ts; originals that do not fit into the output set its `overflow`.
 */
export function pass(record: usize, ptr: usize, len: i32, last: bool): i32 {
  const answer = <usize>load<u32>(record);
  const vault = vaultOf(answer);
  if (vault == 0) return feed(record, ptr, len, last);
  const restorer = record + RECORD_BYTES;
  if (!acts(answer)) {
    restore(restorer, vault, ptr, len, last);
    return len;
  }
  let taken = 0;
  do {
    const step = min(len - taken, STEP);
    const isLast = last && taken + step == len;
    divert(between, roomFor(STEP));
    feed(record, ptr + taken, step, isLast);
    const from = outFrom;
    const to = outTo;
    undivert();
    restore(restorer, vault, from, <i32>(to - from), isLast);
    taken += step;
  } while (taken < len);
  return len;
}
