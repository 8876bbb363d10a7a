// One text of an answer on its way to the client: first what must not leave is redacted, then what the prompt's
// placeholders stand for is put back. In this order, so that a value which the caller sent is not redacted again; and
// with one numbering for the prompt and its answer (answer.ts), so that no placeholder of ours is taken for another.
import { reserve } from "../memory";
import { acts, vaultOf } from "./answer";
import { Written } from "./decoded";
import { divert, outFrom, outTo, undivert } from "./output";
import { feed, openRedactor, Redactor, REDACTOR_BYTES, roomFor } from "./redactor";
import { openRestorer, restore, Restorer, RESTORER_BYTES } from "./restore";

export const PASSAGE_BYTES: i32 = REDACTOR_BYTES + RESTORER_BYTES;

@unmanaged
export class Passage {
  get redactor(): Redactor {
    return changetype<Redactor>(changetype<usize>(this));
  }
  get restorer(): Restorer {
    return changetype<Restorer>(changetype<usize>(this) + REDACTOR_BYTES);
  }
  /** Whether anything would come out at a flush. */
  get isPending(): bool {
    return this.redactor.isPending || this.restorer.heldLength != 0;
  }
}

/** Bytes that go through both at a time. */
const STEP: i32 = 4096;
const between: usize = reserve(roomFor(STEP));

/** Starts a text of `answer`, which is `written` so. */
export function openPassage(passage: Passage, answer: usize, written: Written): void {
  openRedactor(passage.redactor, answer, written);
  openRestorer(passage.restorer, written);
}

/** The text is `written` so, of which only blanks and brackets may have come. */
export function readAs(passage: Passage, written: Written): void {
  passage.redactor.written = written;
  passage.restorer.written = written;
}

/**
 * Feeds `len` bytes at `ptr` and puts out what is decided. `last`: nothing follows, hold nothing. Returns how many bytes
 * were taken, as `feed` of redactor.ts; originals that do not fit into the output set its `overflow`.
 */
export function pass(passage: Passage, ptr: usize, len: i32, last: bool): i32 {
  const redactor = passage.redactor;
  const answer = redactor.answer;
  const vault = vaultOf(answer);
  if (vault == 0) return feed(redactor, ptr, len, last);
  const restorer = passage.restorer;
  if (!acts(answer)) {
    restore(restorer, vault, ptr, len, last);
    return len;
  }
  let taken = 0;
  do {
    const step = min(len - taken, STEP);
    const isLast = last && taken + step == len;
    divert(between, roomFor(STEP));
    feed(redactor, ptr + taken, step, isLast);
    const from = outFrom;
    const to = outTo;
    undivert();
    restore(restorer, vault, from, <i32>(to - from), isLast);
    taken += step;
  } while (taken < len);
  return len;
}
