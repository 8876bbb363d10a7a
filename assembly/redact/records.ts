// Which channels an answer has open, and what is kept of each: its text that is undecided, and an event to send that in.
//
// Records come from one pool, made at configuration and shared by all streams. A stream has at most CHANNELS_MAX
// open; a piece for which no record is left is redacted by itself, without a view across events (`isCrowded`).
//
//   set    │ fields │ Record u32 × CHANNELS_MAX (0: free) │
//   record │ fields │ passage (passage.ts) │ template (TEMPLATE_MAX) │
import { reserve } from "../memory";
import { Passage, PASSAGE_BYTES } from "./passage";
import { Outline, OUTLINE_BYTES } from "./template";
import { TEMPLATE_MAX } from "./types";

export const CHANNELS_MAX: i32 = 16;

@unmanaged
export class Record {
  /** Of one that nobody has: the next. */
  next: Record | null;
  channel: u32;
  /** The template's length (0: there is none), and where in it the text goes. */
  length: i32;
  split: i32;
  /** Nothing is redacted in the template. */
  isClean: bool;
  /** The number of the events in which nothing is redacted but in texts and gaps; 0: of none. */
  cleanLike: u32;

  get passage(): Passage {
    return changetype<Passage>(changetype<usize>(this) + PASSAGE_AT);
  }
  get template(): usize {
    return changetype<usize>(this) + TEMPLATE_AT;
  }
  /** In place of both, while an event comes in parts. */
  get outline(): Outline {
    return changetype<Outline>(changetype<usize>(this) + PASSAGE_AT);
  }
}

const PASSAGE_AT: usize = (offsetof<Record>() + 7) & ~7;
const TEMPLATE_AT: usize = PASSAGE_AT + PASSAGE_BYTES;
const RECORD_BYTES: usize = (TEMPLATE_AT + TEMPLATE_MAX + 7) & ~7;
assert(OUTLINE_BYTES <= RECORD_BYTES - PASSAGE_AT);

@unmanaged
export class ChannelSet {
  answer: usize;
  /** A piece had to be redacted without a record. */
  isCrowded: bool;

  /** The `i`th record, or null. */
  at(i: i32): Record | null {
    return changetype<Record | null>(load<usize>(this.place(i)));
  }
  place(i: i32): usize {
    return changetype<usize>(this) + RECORDS_AT + <usize>i * sizeof<usize>();
  }
}

const RECORDS_AT: usize = (offsetof<ChannelSet>() + 3) & ~3;
export const SET_BYTES: i32 = <i32>(RECORDS_AT + CHANNELS_MAX * sizeof<usize>());

let free: Record | null = null;
let freeCount: i32 = 0;
/** How many more records the stream at hand may take. */
let allowed: i32 = CHANNELS_MAX;

/** Makes `count` records. At configuration. */
export function createRecords(count: i32): void {
  for (let i = 0; i < count; i++) giveBack(changetype<Record>(reserve(RECORD_BYTES)));
}

/** Records that nobody has. */
export function recordsFree(): i32 {
  return freeCount;
}

/** Records that the stream of `set` has. */
export function recordsOf(set: ChannelSet): i32 {
  let count = 0;
  for (let i = 0; i < CHANNELS_MAX; i++) if (set.at(i) != null) count++;
  return count;
}

/** Until the next call no stream takes more than `count` further records. */
export function allowRecords(count: i32): void {
  allowed = count;
}

/** Starts the channels of `answer`. */
export function openSet(set: ChannelSet, answer: usize): void {
  memory.fill(changetype<usize>(set), 0, SET_BYTES);
  set.answer = answer;
}

/** Gives every record back. What is held is lost: flush first unless the client is gone. */
export function closeSet(set: ChannelSet): void {
  for (let i = 0; i < CHANNELS_MAX; i++) release(set, set.at(i));
}

/** The record of `channel`, or null. */
export function find(set: ChannelSet, channel: u32): Record | null {
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const record = set.at(i);
    if (record != null && record.channel == channel) return record;
  }
  return null;
}

/** A record for `channel`, which has none; null when none may be taken. */
export function take(set: ChannelSet, channel: u32): Record | null {
  const record = free;
  if (record == null || allowed <= 0) return null;
  for (let i = 0; i < CHANNELS_MAX; i++) {
    if (set.at(i) != null) continue;
    free = record.next;
    freeCount--;
    allowed--;
    record.channel = channel;
    store<usize>(set.place(i), changetype<usize>(record));
    return record;
  }
  return null;
}

/** Ends what `record` of `set` holds. */
export function release(set: ChannelSet, record: Record | null): void {
  if (record == null) return;
  for (let i = 0; i < CHANNELS_MAX; i++) if (set.at(i) == record) store<usize>(set.place(i), 0);
  giveBack(record);
  allowed++;
}

function giveBack(record: Record): void {
  // Held text does not outlive its stream.
  memory.fill(changetype<usize>(record), 0, RECORD_BYTES);
  record.next = free;
  free = record;
  freeCount++;
}
