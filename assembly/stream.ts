// What the filter remembers of one request between callbacks: a slot of fixed size in a fixed pool, taken when
// the headers arrive and given back in `proxy_on_delete`. Text that must outlive a callback is copied into it.
import { BUDGETS_MAX, MODEL_MAX, PATH_MAX, STREAMS_MAX, SUBJECT_MAX } from "./limits";
import { Slots } from "./proxy-wasm/slots";
import { reserve } from "./memory";
import { lenOf, ptrOf, slice, Slice } from "./slice";
import { Reason } from "./verdicts.gen";

/** Where a stream is in its life. */
export enum Phase {
  Headers = 0,
  /** The body is being collected. */
  Body = 1,
  /** Paused until the ledger answers. */
  Waiting = 2,
  /** Upstream has it. */
  Upstream = 3,
  /** Answered by us; what comes back through the filter is our own answer. */
  Denied = 4,
}

@unmanaged
export class Stream {
  context: u32;
  policy: usize;
  tier: usize;
  /** The key, or 0 for the anonymous. */
  key: usize;
  /** What the policy says of this path, or 0. */
  route: usize;
  /** The limit to report in rate headers, or 0. */
  rate: usize;
  rateLeft: u64;
  rateResetNs: u64;
  subjectTag: u64;
  addressTag: u64;
  startNs: u64;

  // The reservation: amounts in the order of the lease's budgets.
  leaseTag: u64;
  leaseHigh: u64;
  leaseLow: u64;
  /** Which of the tier's budgets apply, one bit each. */
  budgetMask: u32;
  /** Whether `leaseHigh`·`leaseLow` holds a reservation that must be settled. */
  reservedOpen: bool;
  reasonByte: u8;
  phaseByte: u8;
  lane: u8;
  isPost: bool;
  /** The body claims to be plain JSON. */
  acceptable: bool;
  /** The request passes without being looked into, as its route says. */
  uninspected: bool;
  /** An injection was seen and let through, as the policy says. */
  shadowed: bool;
  /** The lease that is waited for is fetched ahead of the body (nginx). */
  ahead: bool;
  /** The body had to change but could not be replaced before the pause (nginx). */
  unsent: bool;
  /** The body as the client sent it holds what must not go upstream. */
  guarded: bool;
  /** Let through while the ledger was away: the reservation is in debts.ts, not in a lease. */
  indebted: bool;
  /** The lease that is waited for was asked for by the prompt's bytes, not by its tokens. */
  loose: bool;
  /** A cheaper model than the client's is asked. */
  downgraded: bool;
  /** The upstream goes on with the answer when nobody waits for it any more. */
  outlives: bool;
  /** The answer ended before it was complete: it is charged as the policy says. */
  brokenOff: bool;
  /** No model is asked for anything, so that only budgets on requests apply. */
  onlyCounts: bool;
  /** The budget to warn of, if `warnPercent` is not 0: its place among those that apply. */
  warnBudget: u8;
  warnPercent: u16;
  /** When that budget's window ends. */
  warnUntil: u64;
  /** Usage was asked for in a stream on the client's behalf, who is not to see it. */
  hideUsage: bool;

  outputsMax: u64;
  /** As they are reserved, and at last as they are charged. */
  promptTokens: u64;
  /** What is charged for them if nobody says: as they were counted, or by the lengths of the texts where a reservation by bytes did. */
  promptEstimate: u64;
  completionTokens: u64;
  /** Of the prompt's tokens, those read from a cache, and those written to one. */
  cachedTokens: u64;
  cacheWriteTokens: u64;
  cacheWriteHourTokens: u64;
  /** Of the completion tokens, those that were thoughts. */
  reasoningTokens: u64;
  /** What the client said of the body's length; 0: nothing. */
  contentLength: u32;
  /** The request body's length as it is to go upstream. */
  bodySize: i32;
  /** Bytes of the request's body, and of the answer's, that the host holds while their end has not come. */
  bodyHeld: i32;
  answerHeld: i32;
  status: i32;
  /** What is read of the answer (usage/state.ts); 0: nothing. */
  answer: usize;
  /** Bytes of the answer that are still to come, where its length was told; else 0. */
  answerLeft: u64;
  /** What is being redacted in the answer (response-redact-slot.ts); 0: nothing. */
  redaction: usize;
  /** What is noted for its event (events/draft.ts); 0: nothing. */
  draft: usize;
  /** The answer is replaced by an error: 1 when that is still to be sent, 2 when it was. */
  replaced: i32;
  score: i32;

  pathLength: i32;
  modelLength: i32;
  subjectLength: i32;

  /** Texts never say more than could have been written, where that is known. */
  boundOutput(estimate: u64): u64 {
    return this.outputsMax ? min(estimate, this.outputsMax) : estimate;
  }
  get phase(): Phase {
    return <Phase>this.phaseByte;
  }
  set phase(value: Phase) {
    this.phaseByte = <u8>value;
  }
  get reason(): Reason {
    return <Reason>this.reasonByte;
  }
  set reason(value: Reason) {
    this.reasonByte = <u8>value;
  }
  get path(): Slice {
    return slice(changetype<usize>(this) + PATH_AT, this.pathLength);
  }
  /** Keeps `path`; false when it is longer than can be kept. */
  setPath(path: Slice): bool {
    this.pathLength = keep(changetype<usize>(this) + PATH_AT, path, PATH_MAX);
    return this.pathLength == lenOf(path);
  }

  get model(): Slice {
    return slice(changetype<usize>(this) + MODEL_AT, this.modelLength);
  }
  setModel(model: Slice): bool {
    this.modelLength = keep(changetype<usize>(this) + MODEL_AT, model, MODEL_MAX);
    return this.modelLength == lenOf(model);
  }

  get subject(): Slice {
    return slice(changetype<usize>(this) + SUBJECT_AT, this.subjectLength);
  }
  setSubject(subject: Slice): void {
    this.subjectLength = keep(changetype<usize>(this) + SUBJECT_AT, subject, SUBJECT_MAX);
  }
  /** Where the subject may be written in place, up to SUBJECT_MAX bytes. */
  get subjectAt(): usize {
    return changetype<usize>(this) + SUBJECT_AT;
  }

  reserved(i: i32): u64 {
    return load<u64>(changetype<usize>(this) + RESERVED_AT + ((<usize>i) << 3));
  }
  setReserved(i: i32, amount: u64): void {
    store<u64>(changetype<usize>(this) + RESERVED_AT + ((<usize>i) << 3), amount);
  }
}

//  slot: | fields | reserved 8 × u64 | path | model | subject |
const RESERVED_AT: usize = (offsetof<Stream>() + 7) & ~7;
const PATH_AT: usize = RESERVED_AT + 8 * BUDGETS_MAX;
const MODEL_AT: usize = PATH_AT + PATH_MAX;
const SUBJECT_AT: usize = MODEL_AT + MODEL_MAX;
export const STREAM_SIZE: usize = SUBJECT_AT + SUBJECT_MAX;

const slots = new Slots(STREAMS_MAX, <i32>STREAM_SIZE);
/** Whose stream is in each slot: the subject's tag, 0 while it is not known. By itself, as all are looked through at once. */
const owners = reserve(8 * STREAMS_MAX);

function keep(to: usize, text: Slice, most: i32): i32 {
  const len = min(lenOf(text), most);
  memory.copy(to, ptrOf(text), len);
  return len;
}

/** Whether this VM has had a stream. That of Envoy's main thread never has. */
export let served: bool = false;

/** A new stream, or null when all slots are taken. */
export function openStream(context: u32): Stream | null {
  served = true;
  const slot = slots.open(context);
  if (!slot) return null;
  const stream = changetype<Stream>(slot);
  stream.context = context;
  return stream;
}

export function findStream(context: u32): Stream | null {
  const slot = slots.find(context);
  return slot ? changetype<Stream>(slot) : null;
}

export function closeStream(context: u32): void {
  const number = slots.close(context);
  if (number >= 0) store<u64>(owners + ((<usize>number) << 3), 0);
}

/** From now on `stream` is one of its subject's. */
export function ownStream(stream: Stream): void {
  store<u64>(owners + ((<usize>slots.numberOf(changetype<usize>(stream))) << 3), stream.subjectTag);
}

/** The number, from `from` on, of the next stream of the subject of `tag`; -1: there is none. */
export function nextOf(tag: u64, from: i32): i32 {
  for (let i = from; i < STREAMS_MAX; i++) if (load<u64>(owners + ((<usize>i) << 3)) == tag) return i;
  return -1;
}

/** The stream of a number that `nextOf` gave. */
export function streamAt(number: i32): Stream {
  return changetype<Stream>(slots.at(number));
}

export function streamsOpen(): i32 {
  return STREAMS_MAX - slots.available;
}
