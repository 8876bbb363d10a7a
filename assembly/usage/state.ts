// What is remembered of one answer while it is read: a slot of fixed size in a fixed pool.
//
//   slot, about 1 KiB: | fields | counters u64 × COUNTERS | nodes u8 × 16 | model (128) | carry (128) | envelope (480) |
//
// `carry` holds the beginning of a member name, number or value that is cut by the end of a piece; text is never
// kept. `envelope` is the last event without its text (repeat.ts). The scanner of a slot (about 300 bytes) lies outside it, because it is an object of its own.
import { Scanner } from "../json/scanner";
import { CAPTURES_MAX, STREAMS_MAX } from "../limits";
import { reserve } from "../memory";
import { slice, Slice } from "../slice";
import { COUNTERS, hasOutput, isOwn } from "./counters";

export enum AnswerKind {
  Json = 0,
  Events = 1,
  /** Lines of JSON, each of which is an event. */
  Lines = 2,
}

/** Levels of an answer at which anything of ours can stand; below, everything is skipped. */
export const LEVELS_MAX: i32 = 16;
export const MODEL_BYTES_MAX: i32 = 128;
export const CARRY_BYTES_MAX: i32 = 128;
/** The longest event, without its text, whose like is known again. */
export const ENVELOPE_MAX: i32 = 480;
/** No counter goes above this, so that sums of a few cannot overflow. */
const TOKENS_MAX: u64 = 1 << 48;

/** A token that the end of the piece has cut: a text, which is only measured, or one that is carried. */
export enum Cut {
  No = 0,
  Text = 1,
  Other = 2,
}

@unmanaged
export class State {
  /** Of one that nobody has: the next. */
  next: State | null;
  scanner: usize;
  kind: u8;

  // The answer so far.
  seen: bool;
  /** What was generated was told, alone or in a sum. */
  outputSeen: bool;
  /** An amount was told that is no number of tokens. */
  odd: bool;
  finished: bool;
  failed: bool;
  /** Choices of which text has come, and those that are complete, one bit each (modulo 32). */
  choicesOpen: u32;
  choicesDone: u32;
  /** Events that are not JSON we can read. */
  unreadable: u32;
  /** Something came that is no event of a stream: data that is no JSON, or JSON where a field should be. */
  stray: bool;
  /** A member that we know has come, of whatever document. */
  familiar: bool;
  /** A document has ended, and none yet had such a member. */
  foreign: bool;
  /** A text passed in an earlier piece under an index, or as a kind, that turned out to be another; or in a line of JSON that is no event. */
  misplaced: bool;
  textBytes: u64;
  deltas: u64;
  modelLength: i32;

  // The document at hand: a whole JSON answer or one event's data.
  begun: bool;
  broken: bool;
  complete: bool;
  /** The root is an array, as in Gemini's streams without `alt=sse`. */
  array: bool;
  docBytes: i32;
  /** The first eight bytes of the document. */
  head: u64;
  typeId: u8;
  choicesEmpty: bool;
  usageHere: bool;
  thoughts: bool;
  inChoice: bool;
  /** The choice at hand tells usage. */
  choiceUsage: bool;
  finishHere: bool;
  /** The document says that it is the answer's last. */
  doneHere: bool;
  pending: u8;
  /** The depth at which something skipped, whole or copied out began (0: none). */
  skipDepth: i32;
  anyDepth: i32;
  wholeDepth: i32;
  major: i32;
  minor: i32;
  majorNext: i32;
  minorNext: i32;
  /** Deltas in the choice at hand, and in the part of it, in this piece and in earlier ones. */
  majorDeltas: i32;
  minorDeltas: i32;
  cut: i32;
  carryLong: bool;
  carryLength: i32;
  /** Inside an escape of a text: bytes of it still to come, and its code unit so far. */
  escapeLeft: u8;
  escapeUnit: u16;
  /** `textBytes` before the text at hand, and whether that has been counted as a delta. */
  textBefore: u64;
  deltaCounted: bool;
  /** The text at hand says again what others say (Mark.Again). Whether the document has thoughts, and the bytes and the number of such texts. */
  again: bool;
  reasoningHere: bool;
  againBytes: u64;
  againDeltas: u32;
  /** The round of sampling at hand is charged beside the others. */
  roundBeside: bool;

  // The lines of an event stream (lines.ts) and its frames (frames.ts).
  phase: i32;
  matched: u8;
  /** Bytes of a byte order mark that have come; 3 when it is over or was not there. */
  mark: u8;
  lineCr: bool;
  hasData: bool;
  frameCr: bool;
  frameInLine: bool;
  framePassing: bool;
  frameTail: bool;
  frameHidden: bool;
  /** The envelope's bytes; the lengths of its runs (4 × u16) and what stands between them (3 × u8); the text's channel and
   *  flags (spans.ts). */
  envelopeLength: i32;
  envelopeHoles: u32;
  envelopeRuns: u64;
  envelopeChannel: u32;
  envelopeFlags: u32;
  /** Envelopes kept so far. */
  envelopeNumber: u32;
  /** Events read whole since one was like the envelope. */
  unlike: u8;
  hold: usize;
  holdLength: i32;
  holdRoom: i32;

  /** Whether the answer is a stream of events, in either form. */
  get streams(): bool {
    return this.kind != AnswerKind.Json;
  }
  get scan(): Scanner {
    return changetype<Scanner>(this.scanner);
  }
  counter(i: i32): u64 {
    return load<u64>(changetype<usize>(this) + COUNTERS_AT + ((<usize>i) << 3));
  }
  /** Counters are cumulative with every provider, so the largest value is the latest. */
  count(i: i32, value: u64): void {
    const at = changetype<usize>(this) + COUNTERS_AT + ((<usize>i) << 3);
    store<u64>(at, max(load<u64>(at), min(value, TOKENS_MAX)));
    if (isOwn(i)) this.seen = true;
    if (hasOutput(i)) this.outputSeen = true;
  }
  /** A counter that is a sum so far. */
  setCounter(i: i32, value: u64): void {
    store<u64>(changetype<usize>(this) + COUNTERS_AT + ((<usize>i) << 3), min(value, TOKENS_MAX));
  }
  /** Whether `c` belongs to the byte order mark that an answer may begin with: EF BB BF. */
  takeMark(c: u32): bool {
    if (this.mark == 3) return false;
    const isNext = c == (this.mark == 0 ? 0xef : this.mark == 1 ? 0xbb : 0xbf);
    this.mark = isNext ? this.mark + 1 : 3;
    return isNext;
  }
  get nodes(): usize {
    return changetype<usize>(this) + NODES_AT;
  }
  get model(): Slice {
    return slice(changetype<usize>(this) + MODEL_AT, this.modelLength);
  }
  get envelope(): usize {
    return changetype<usize>(this) + ENVELOPE_AT;
  }
  get carry(): usize {
    return changetype<usize>(this) + CARRY_AT;
  }
}

const COUNTERS_AT: usize = (offsetof<State>() + 7) & ~7;
const NODES_AT: usize = COUNTERS_AT + 8 * COUNTERS;
const MODEL_AT: usize = NODES_AT + LEVELS_MAX;
const CARRY_AT: usize = MODEL_AT + MODEL_BYTES_MAX;
const ENVELOPE_AT: usize = CARRY_AT + CARRY_BYTES_MAX;
const STATE_BYTES: usize = (ENVELOPE_AT + ENVELOPE_MAX + 15) & ~15;

/** Each stream's answer, and once more those of which the text is kept. */
const ANSWERS_MAX: i32 = STREAMS_MAX + CAPTURES_MAX;
const states: usize = reserve(STATE_BYTES * ANSWERS_MAX);
let free: State | null = null;
let freeCount: i32 = 0;

for (let i = ANSWERS_MAX - 1; i >= 0; i--) {
  const state = changetype<State>(states + <usize>i * STATE_BYTES);
  state.scanner = changetype<usize>(new Scanner(true));
  giveBack(state);
}

/** A cleared state, or null when all are taken. */
export function takeState(kind: AnswerKind): State | null {
  const state = free;
  if (state == null) return null;
  free = state.next;
  freeCount--;
  const scanner = state.scanner;
  memory.fill(changetype<usize>(state), 0, ENVELOPE_AT);
  state.scanner = scanner;
  state.kind = <u8>kind;
  return state;
}

export function giveBack(state: State): void {
  state.next = free;
  free = state;
  freeCount++;
}

/** States that nobody has: all of them while no answer is read. */
export function statesFree(): i32 {
  return freeCount;
}

export function stateBytes(): i32 {
  return <i32>STATE_BYTES;
}
