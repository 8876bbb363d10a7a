// No caller may take all that a worker can serve at once, by requests that hardly move: of what there is a fixed number of,
// each may hold at most SHARE times what is still free. So a caller alone comes to two thirds, and the rest is there
// for others; the more callers take part, the less each of them may hold. Nothing has to be set.
//
// Source: A. K. Choudhury, E. L. Hahne, "Dynamic queue length thresholds for shared-memory packet switches",
// IEEE/ACM Transactions on Networking 6 (2), 1998, with their alpha as SHARE.
//
// Bound: one look at 2,048 tags of 8 bytes, and only while less than a third is free.
import { STREAMS_MAX } from "./limits";
import { REDACTED_MAX } from "./redact/types";
import { redactionsFree } from "./response-redact";
import { Stream, streamsOf, streamsOpen } from "./stream";

const SHARE: i32 = 2;

/** Whether the subject of `stream`, which is not counted among its own yet, holds as many streams as it may. */
export function holdsTooMany(stream: Stream): bool {
  return exceeds(stream.subjectTag, STREAMS_MAX, STREAMS_MAX - streamsOpen() + 1, false);
}

/** The same of the answers that are being redacted. */
export function redactsTooMany(stream: Stream): bool {
  return exceeds(stream.subjectTag, REDACTED_MAX, redactionsFree(), true);
}

function exceeds(tag: u64, all: i32, free: i32, redacted: bool): bool {
  if (all - free < SHARE * free) return false;
  return streamsOf(tag, redacted) >= SHARE * free;
}
