// Where events go: what a policy needs for its own, their reports from the tick, and the trace that messages to the ledger
// belong to.
import { createCaptures } from "./events/capture";
import { createDrafts, Draft } from "./events/draft";
import { finishReport, loseReports, orphanReport, sendReport } from "./events/report";
import { CLUSTER_MAX, Ring, ringAt, ringCount, ringOf, spareRing } from "./events/ring";
import { traceparent as writeTraceparent } from "./events/trace";
import { count, Metric } from "./metrics";
import { Policy } from "./policy/policy";
import { now } from "./proxy-wasm/host";
import { random } from "./proxy-wasm/random";
import { carry } from "./sidecar";
import { lenOf, NONE, Slice } from "./slice";
import { Stream } from "./stream";
import { Writer } from "./writer";

/** The trace of the request that was settled last. */
const settled = new Writer(64);

/** Makes what the events of a policy need; false when too many sidecars are named. */
export function configureEvents(policy: Policy): bool {
  if (!policy.events) return true;
  let ring = ringOf(policy.cluster, policy.timeoutMs);
  if (ring == null) {
    ring = lenOf(policy.cluster) > CLUSTER_MAX ? null : spareRing();
    if (ring == null) return false;
    loseReports(ring);
    tellDropped(ring);
    ring.assign(policy.cluster, policy.timeoutMs, random());
  }
  policy.ring = changetype<usize>(ring);
  createDrafts();
  if (policy.eventsText) createCaptures();
  return true;
}

/** The policy ends. What waits for its sidecar still goes there, from the tick of another. */
export function leaveEvents(policy: Policy): void {
  for (let i = 0; i < ringCount; i++) orphanReport(ringAt(i), changetype<usize>(policy));
  if (policy.ring) changetype<Ring>(policy.ring).users--;
}

/** Time passes for `policy`: events that wait are reported. */
export function reportEvents(policy: Policy, time: u64): void {
  for (let i = 0; i < ringCount; i++) report(ringAt(i), changetype<usize>(policy), time);
}

/** Reports what waits in `ring`, in the name of `policy`. */
export function report(ring: Ring, policy: usize, time: u64): void {
  if (!sendReport(ring, policy, time)) count(Metric.EventFailures);
  tellDropped(ring);
}

function tellDropped(ring: Ring): void {
  if (ring.dropped == ring.droppedTold) return;
  count(Metric.EventsDropped, <i64>(ring.dropped - ring.droppedTold));
  ring.droppedTold = ring.dropped;
}

/** The sidecar has answered (NONE: it has not) the report of ring `number`. */
export function onReported(number: i32, answer: Slice): void {
  const ring = ringAt(number);
  const time = now();
  const delivered = finishReport(ring, answer, time);
  if (delivered < 0) count(Metric.EventFailures);
  else count(Metric.EventsSent, delivered);
  if (ring.isHalfFull) report(ring, ring.asked, time);
}

/** Messages to the ledger that follow belong to the trace of `stream`, until `carryNothing`. */
export function carryTrace(stream: Stream): void {
  if (stream.draft) carry(writeTraceparent(changetype<Draft>(stream.draft).trace));
}

/** The request of `trace` has been settled. */
export function noteSettled(trace: usize): void {
  settled.reset().bytes(writeTraceparent(trace));
}

/** Messages from the tick belong to the newest request that was settled since the last one. */
export function carrySettled(): void {
  carry(settled.written);
}

export function carryNothing(): void {
  carry(NONE);
}

export function forgetSettled(): void {
  carry(NONE);
  settled.reset();
}
