// Reports events to the sidecar (proto/weir/v1/events.proto), oldest first, one report in flight for each ring. It is
// made from the tick, and where the host allows callouts in every phase as soon as a ring is half full.
//
// A report that is not acknowledged is made again from its first event, with what came since: the receiver knows by the
// numbers what it has.
import { forgetCallout } from "../proxy-wasm/callouts";
import { NS_PER_MS } from "../policy/units";
import { callEvents, Purpose } from "../sidecar";
import { lenOf, NONE, ptrOf, Slice } from "../slice";
import {
  closeFrame,
  fieldNumber,
  fieldValue,
  malformed,
  nextField,
  openFrame,
  openMessage,
  putFixed64,
  putNumber,
  putVarint,
} from "../wire";
import { Writer } from "../writer";
import { endOfExchange, EVENT_BYTES_MAX, eventOf, Ring, ringNumber } from "./ring";

const REPORT_BYTES: i32 = 128 << 10;
/** The receiver's bound. */
const REPORT_EVENTS_MAX: i32 = 1024;
/** Tag and length in front of an event. */
const EVENT_HEAD_MAX: i32 = 6;
/** Where `age_ms` is in an event: its first field. */
const AGE_AT: usize = 1;
/** After a failure, and beyond a report's timeout when its answer never came. */
const QUIET_NS: u64 = 1_000_000_000;
const LOST_NS: u64 = 10_000_000_000;

const message = new Writer(REPORT_BYTES);

/** Sends what waits, from `policy`, unless a report is in flight or one has just failed. False when it could not be sent. */
export function sendReport(ring: Ring, policy: usize, now: u64): bool {
  if (ring.sentNs != 0) {
    if (now - ring.sentNs < <u64>ring.timeoutMs * NS_PER_MS + LOST_NS) return true;
    giveUp(ring);
  }
  if (ring.count == 0 || now < ring.quietNs) return true;
  const report = write(ring, now);
  if (!callEvents(ring.cluster, ring.timeoutMs, ringNumber(ring), report)) {
    ring.quietNs = now + QUIET_NS;
    return false;
  }
  ring.sentNs = now;
  ring.asked = policy;
  return true;
}

/** The policy ends, and the answer to a report that was sent from it does not come: it is made again. */
export function orphanReport(ring: Ring, policy: usize): void {
  if (ring.sentNs != 0 && ring.asked == policy) giveUp(ring);
}

function giveUp(ring: Ring): void {
  forgetCallout(Purpose.Events, ringNumber(ring));
  ring.settle(0);
}

/** What waits is lost, and a report in flight has no answer any more: the ring will be another sidecar's. */
export function loseReports(ring: Ring): void {
  if (ring.sentNs != 0) forgetCallout(Purpose.Events, ringNumber(ring));
  ring.dropped += ring.count + ring.overtaken;
  ring.overtaken = 0;
}

function write(ring: Ring, now: u64): Slice {
  openFrame(message);
  putFixed64(message, 1, ring.edge);
  putNumber(message, 2, ring.first);
  putNumber(message, 3, ring.dropped);
  let number = ring.first;
  let record: usize = 0;
  const end = ring.first + min(ring.count, <u64>REPORT_EVENTS_MAX);
  for (; number < end && message.length < REPORT_BYTES - EVENT_BYTES_MAX - EVENT_HEAD_MAX; number++) {
    record = ring.after(record);
    const event = eventOf(record);
    putVarint(message, (4 << 3) | 2);
    putVarint(message, lenOf(event));
    const to = message.take(lenOf(event));
    memory.copy(to, ptrOf(event), lenOf(event));
    const age = now - min(endOfExchange(record), now);
    store<u32>(to, <u32>min(age / NS_PER_MS, u32.MAX_VALUE), AGE_AT);
  }
  ring.sentFrom = ring.first;
  ring.sentTo = number - 1;
  return closeFrame(message);
}

/** Reads the answer to the report in flight (NONE: there was none); returns how many events are delivered, or -1. */
export function finishReport(ring: Ring, answer: Slice, now: u64): i32 {
  if (ring.sentNs == 0) return -1;
  const taken = answer == NONE ? 0 : min(takenOf(answer), ring.sentTo);
  if (taken < ring.sentFrom) {
    ring.settle(0);
    ring.quietNs = now + QUIET_NS;
    return -1;
  }
  ring.settle(taken);
  return <i32>(taken - ring.sentFrom + 1);
}

function takenOf(answer: Slice): u64 {
  let taken: u64 = 0;
  openMessage(answer);
  while (nextField()) if (fieldNumber == 1) taken = fieldValue;
  return malformed() ? 0 : taken;
}
