// How a request leaves the way in: upstream at once, upstream after a wait, or refused.
import { deny } from "./deny";
import { count, counted, Metric } from "./metrics";
import { Action } from "./proxy-wasm/abi";
import { continueRequest } from "./proxy-wasm/host";
import { Phase, Stream } from "./stream";
import { Reason } from "./verdicts.gen";

export function goOn(stream: Stream): Action {
  leave(stream);
  return Action.Continue;
}

/** Lets a stream go on that waited for the ledger. */
export function release(stream: Stream): void {
  leave(stream);
  continueRequest();
}

function leave(stream: Stream): void {
  stream.phase = Phase.Upstream;
  if (stream.uninspected) count(Metric.Uninspected);
}

export function refuse(stream: Stream | null, reason: Reason): Action {
  counted(stream, reason);
  deny(stream, reason);
  return Action.Pause;
}
