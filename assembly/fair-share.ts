// No caller may take all that a worker can serve at once, by requests that hardly move, or that ask for much: of what there is a
// fixed number of, each may hold at most SHARE times what is still free. So a caller alone comes to two thirds, and the rest is there
// for others; the more callers take part, the less each of them may hold. Nothing has to be set.
//
// Source: A. K. Choudhury, E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches",
// IEEE/ACM Transactions on Networking 6 (2), 1998, with their alpha as SHARE.
//
// Bound: one look at 2,048 tags of 8 bytes, and only while less than a third is free; for channels, at those of the
// subject's answers too.
import { acquiresInFlight, acquiresOf } from "./budget/acquire";
import { ACQUIRES_MAX, STREAMS_MAX } from "./limits";
import { CHANNELS_MAX, recordsFree } from "./redact/records";
import { RECORDS_MAX, REDACTED_MAX } from "./redact/types";
import { channelsOf, Redaction, redactionsFree } from "./response-redact-slot";
import { nextOf, Stream, streamAt, streamsOpen } from "./stream";

const SHARE: i32 = 2;

/** Whether the subject of `stream`, which is not counted among its own yet, holds as many streams as it may. */
export function holdsTooMany(stream: Stream): bool {
  const free = STREAMS_MAX - streamsOpen() + 1;
  return isScarce(STREAMS_MAX, free) && streamsOf(stream.subjectTag, false) >= SHARE * free;
}

/** The same of the answers that are being redacted. */
export function redactsTooMany(stream: Stream): bool {
  const free = redactionsFree();
  return isScarce(REDACTED_MAX, free) && streamsOf(stream.subjectTag, true) >= SHARE * free;
}

/** The same of the questions to the ledger that are under way. */
export function asksTooMany(stream: Stream): bool {
  const free = ACQUIRES_MAX - acquiresInFlight();
  return isScarce(ACQUIRES_MAX, free) && acquiresOf(stream.subjectTag) >= SHARE * free;
}

/** How many more channels of redacted events the answer of `stream` may open. */
export function channelsLeft(stream: Stream): i32 {
  const free = recordsFree();
  if (!isScarce(RECORDS_MAX, free)) return CHANNELS_MAX;
  let held = 0;
  for (let i = nextOf(stream.subjectTag, 0); i >= 0; i = nextOf(stream.subjectTag, i + 1)) {
    const redaction = streamAt(i).redaction;
    if (redaction) held += channelsOf(changetype<Redaction>(redaction));
  }
  return SHARE * free - held;
}

/** Whether so little is free that one caller could hold more than its share. */
function isScarce(all: i32, free: i32): bool {
  return all - free >= SHARE * free;
}

function streamsOf(tag: u64, redacted: bool): i32 {
  let count = 0;
  for (let i = nextOf(tag, 0); i >= 0; i = nextOf(tag, i + 1)) {
    if (!redacted || streamAt(i).redaction) count++;
  }
  return count;
}
