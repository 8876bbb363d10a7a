// Redaction of a stream of events: each piece of text belongs to a channel (a choice, a content block, the
// arguments of a tool call), and what one event's piece leaves undecided comes out with the channel's next piece
// or at its flush. Who reads the events names the pieces; this file rewrites the event around them.
//
// Records come from one pool, made at configuration and shared by all streams. A stream has at most CHANNELS_MAX
// open; a piece for which no record is left is redacted by itself, without a view across events (`isCrowded`).
//
//   set (136 bytes): answer u32 | crowded u32 | slot (8 bytes): channel u32, record u32 (0: free) × 16
//   piece (12 bytes): channel u32 | start u32 | end u32 (offsets in the event, inside the JSON string's quotes)
import { reserve } from "../memory";
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { put, room } from "./output";
import { feed, isPending, openChannel, RECORD_BYTES, roomFor } from "./redactor";

export const CHANNELS_MAX: i32 = 16;
export const SET_BYTES: i32 = 8 + 8 * CHANNELS_MAX;
export const PIECE_BYTES: i32 = 12;
/** Set in a piece's channel: it is the channel's last, so nothing is held. */
export const LAST_PIECE: u32 = 0x80000000;
export const NO_CHANNEL: u32 = 0xffffffff;

let free: usize = 0;
const spare: usize = reserve(RECORD_BYTES);

/** Makes `count` records. At configuration. */
export function createRecords(count: i32): void {
  for (let i = 0; i < count; i++) {
    const record = reserve(RECORD_BYTES);
    store<u32>(record, <u32>free);
    free = record;
  }
}

/** Starts the channels of `answer` at `set` (SET_BYTES). */
export function openSet(set: usize, answer: usize): void {
  memory.fill(set, 0, SET_BYTES);
  store<u32>(set, <u32>answer);
}

/** Gives every record back. What is held is lost: flush first unless the client is gone. */
export function closeSet(set: usize): void {
  for (let i = 0; i < CHANNELS_MAX; i++) release(slotAt(set, i));
}

/** Whether a piece had to be redacted without a record. */
export function isCrowded(set: usize): bool {
  return load<u32>(set, 4) != 0;
}

function slotAt(set: usize, i: i32): usize {
  return set + 8 + <usize>(i << 3);
}

function release(slot: usize): void {
  const record = <usize>load<u32>(slot, 4);
  if (record == 0) return;
  // Held text does not outlive its stream.
  memory.fill(record, 0, RECORD_BYTES);
  store<u32>(record, <u32>free);
  free = record;
  store<u64>(slot, 0);
}

function find(set: usize, channel: u32): usize {
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const slot = slotAt(set, i);
    if (load<u32>(slot, 4) != 0 && load<u32>(slot) == channel) return slot;
  }
  return 0;
}

function create(set: usize, channel: u32): usize {
  if (free == 0) return 0;
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const slot = slotAt(set, i);
    if (load<u32>(slot, 4) != 0) continue;
    const record = free;
    free = <usize>load<u32>(record);
    openChannel(record, <usize>load<u32>(set), true);
    store<u32>(slot, channel);
    store<u32>(slot, <u32>record, 4);
    return slot;
  }
  return 0;
}

/** The room that `rewrite` needs for an event of `len` bytes with `count` pieces. */
export function roomForEvent(len: i32, count: i32): i32 {
  return roomFor(len) * 2 + count * 4096;
}

/**
 * Puts out `event` with its `count` pieces (ascending, not overlapping) redacted. Pieces may become empty, and the
 * text of one may come out in a later one of its channel. False when the output has too little room or a piece
 * lies outside the event; then nothing was put out and no channel changed.
 */
export function rewrite(set: usize, event: Slice, pieces: usize, count: i32): bool {
  const from = ptrOf(event);
  const len = <u32>lenOf(event);
  if (room() < <usize>roomForEvent(len, count)) return false;
  let at: u32 = 0;
  for (let i = 0; i < count; i++) {
    const piece = pieces + <usize>(i * PIECE_BYTES);
    const start = load<u32>(piece, 4);
    const end = load<u32>(piece, 8);
    if (start < at || end < start || end > len) return false;
    at = end;
  }
  let p = from;
  for (let i = 0; i < count; i++) {
    const piece = pieces + <usize>(i * PIECE_BYTES);
    const start = from + load<u32>(piece, 4);
    const end = from + load<u32>(piece, 8);
    put(p, start);
    feedPiece(set, load<u32>(piece), start, <i32>(end - start));
    p = end;
  }
  put(p, endOf(event));
  return true;
}

function feedPiece(set: usize, named: u32, ptr: usize, len: i32): void {
  const channel = named & ~LAST_PIECE;
  const last = (named & LAST_PIECE) != 0;
  let slot = find(set, channel);
  if (slot == 0 && !last) slot = create(set, channel);
  if (slot == 0) {
    if (!last) store<u32>(set, 1, 4);
    openChannel(spare, <usize>load<u32>(set), true);
    feed(spare, ptr, len, true);
    return;
  }
  feed(<usize>load<u32>(slot, 4), ptr, len, last);
  if (last) release(slot);
}

/** A channel that holds text back, or NO_CHANNEL: to be flushed before the event that finishes it. */
export function pendingChannel(set: usize): u32 {
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const slot = slotAt(set, i);
    const record = <usize>load<u32>(slot, 4);
    if (record != 0 && isPending(record)) return load<u32>(slot);
  }
  return NO_CHANNEL;
}

/** Whether `channel` holds text back. */
export function isHolding(set: usize, channel: u32): bool {
  const slot = find(set, channel);
  return slot != 0 && isPending(<usize>load<u32>(slot, 4));
}

/** Ends `channel` and puts out what it held, as the inside of a JSON string, for a delta of its own. */
export function flush(set: usize, channel: u32): void {
  const slot = find(set, channel);
  if (slot == 0) return;
  feed(<usize>load<u32>(slot, 4), 0, 0, true);
  release(slot);
}
