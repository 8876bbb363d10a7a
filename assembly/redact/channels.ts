// Redaction of a stream of events: each piece of text belongs to a channel (a choice, a content block, the
// arguments of a tool call), and what one event's piece leaves undecided comes out with the channel's next piece
// or at its flush. Who reads the events names the pieces; this file rewrites the event around them.
//
// What is not in a piece is redacted too (event.ts), string by string, but for identifiers.
//
// Records come from one pool, made at configuration and shared by all streams. A stream has at most CHANNELS_MAX
// open; a piece for which no record is left is redacted by itself, without a view across events (`isCrowded`).
//
//   set (136 bytes): answer u32 | crowded u32 | slot (8 bytes): channel u32, record u32 (0: free) × 16
//   piece (12 bytes): channel u32 | start u32 | end u32 (offsets in the event, inside the JSON string's quotes)
//   record: passage.ts | template's length u32 | where the text goes in it u32 | 1: nothing is redacted in it u32 |
//     number of events in which nothing is redacted but in texts and paddings u32 | template
import { CR, LF } from "../line-end";
import { reserve } from "../memory";
import { same } from "../same";
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { aloneFrom, aloneSplit, aloneTo, leaveAlone } from "./alone";
import { noted } from "./answer";
import { Body, BODY_BYTES, openBody, roomForBody } from "./body";
import { Written } from "./decoded";
import { feedEvent } from "./event";
import { put, putByte, room } from "./output";
import { openPassage, pass, Passage, PASSAGE_BYTES } from "./passage";
import { roomFor } from "./redactor";
import { restored } from "./restore";
import {
  beginOutline,
  copyOutline,
  isOutlineClosed,
  makeTemplate,
  markLength,
  OUTLINE_BYTES,
  outline,
  outlineText,
  templateSplit,
} from "./template";
import { JSON_KIND, KIND_SHIFT, PIECE_BYTES, TEMPLATE_MAX } from "./types";

export const CHANNELS_MAX: i32 = 16;
export const SET_BYTES: i32 = 8 + 8 * CHANNELS_MAX;
/** Set in a piece's channel: it is the channel's last, so nothing is held. */
export const LAST_PIECE: u32 = 0x80000000;
export const NO_CHANNEL: u32 = 0xffffffff;
/** The channel of a piece that passes as it is. */
export const UNTOUCHED: u32 = 0x7fffffff;
/** The kind of channel for texts that are complete in themselves: one at a time. */
export const WHOLE_TEXT: u32 = 7 << KIND_SHIFT;
/** The same for texts that hold JSON. */
export const WHOLE_JSON: u32 = WHOLE_TEXT | 1;

/** Not a channel: while an event comes in parts, the record under this name has its outline (template.ts) in place of a text. */
const OUTLINE: u32 = 0x7ffffffe;

const CHANNEL_BYTES: usize = (<usize>PASSAGE_BYTES + 16 + <usize>TEMPLATE_MAX + 7) & ~7;
const LENGTH_AT: usize = <usize>PASSAGE_BYTES;
const TEMPLATE_AT: usize = LENGTH_AT + 16;

let free: usize = 0;
let freeCount: i32 = 0;
/** How many more records the stream at hand may take. */
let allowed: i32 = CHANNELS_MAX;
const spare = changetype<Passage>(reserve(PASSAGE_BYTES));
const spareBody = changetype<Body>(reserve(BODY_BYTES));

/** Makes `count` records. At configuration. */
export function createRecords(count: i32): void {
  for (let i = 0; i < count; i++) {
    const record = reserve(CHANNEL_BYTES);
    store<u32>(record, <u32>free);
    free = record;
  }
  freeCount += count;
}

/** Records that nobody has. */
export function recordsFree(): i32 {
  return freeCount;
}

/** Records that the stream of `set` has. */
export function recordsOf(set: usize): i32 {
  let count = 0;
  for (let i = 0; i < CHANNELS_MAX; i++) if (load<u32>(slotAt(set, i), 4) != 0) count++;
  return count;
}

/** Until the next call no stream takes more than `count` further records. */
export function allowRecords(count: i32): void {
  allowed = count;
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
  if (slot == 0) return;
  const record = <usize>load<u32>(slot, 4);
  if (record == 0) return;
  // Held text does not outlive its stream.
  memory.fill(record, 0, CHANNEL_BYTES);
  store<u32>(record, <u32>free);
  free = record;
  freeCount++;
  allowed++;
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
  if (free == 0 || allowed <= 0) return 0;
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const slot = slotAt(set, i);
    if (load<u32>(slot, 4) != 0) continue;
    const record = free;
    free = <usize>load<u32>(record);
    freeCount--;
    allowed--;
    openPassage(changetype<Passage>(record), <usize>load<u32>(set), writtenIn(channel));
    store<u32>(slot, channel);
    store<u32>(slot, <u32>record, 4);
    return slot;
  }
  return 0;
}

function writtenIn(channel: u32): Written {
  return channel == WHOLE_JSON || channel >> KIND_SHIFT == JSON_KIND ? Written.Nested : Written.Quoted;
}

/** The room that `rewrite` needs for an event of `len` bytes with `count` pieces. */
export function roomForEvent(len: i32, count: i32): i32 {
  return roomFor(len) * 2 + count * 4096;
}

/**
 * Puts out `event` with its `count` pieces (ascending, not overlapping) redacted, and what lies between them by `body`
 * (event.ts). Pieces may become empty, and the text of one may come out in a later one of its channel. False when the
 * output has too little room or a piece lies outside the event; then nothing was put out and no channel changed.
 *
 * Events of one number `like` (0: none) differ in nothing but their one text, in `gaps` strings that stand as pieces behind it in
 * the list, and in numbers: once nothing was found in the rest, it is not looked for there again.
 */
export function rewrite(
  set: usize,
  body: Body,
  event: Slice,
  pieces: usize,
  count: i32,
  like: u32,
  gaps: i32,
): bool {
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
  if (count == 1) {
    rewriteOne(set, body, event, pieces, like, gaps);
    return true;
  }
  isLike = isClean = false;
  let p = from;
  for (let i = 0; i < count; i++) {
    const piece = pieces + <usize>(i * PIECE_BYTES);
    const start = from + load<u32>(piece, 4);
    const end = from + load<u32>(piece, 8);
    feedEvent(body, p, <i32>(start - p));
    feedPiece(set, load<u32>(piece), start, <i32>(end - start));
    p = end;
  }
  feedEvent(body, p, <i32>(endOf(event) - p));
  return true;
}

/** The event that was rewritten last is like its channel's template; nothing was found in it but in its text. */
let isLike: bool = false;
let isClean: bool = false;

/** As `rewrite`, for an event with one text. Most events of a stream differ in nothing else. */
function rewriteOne(set: usize, body: Body, event: Slice, piece: usize, like: u32, gaps: i32): void {
  const isBegun = body.isAtStart;
  const isKnown = isBegun && like != 0 && cleanLike(set, piece) == like;
  isLike = isBegun && !isKnown && isLikeTemplate(set, event, piece);
  if (isKnown || isLike) {
    rewriteLike(set, event, piece, isKnown ? gaps : 0);
    return;
  }
  const start = ptrOf(event) + load<u32>(piece, 4);
  const end = ptrOf(event) + load<u32>(piece, 8);
  const before = changes();
  feedEvent(body, ptrOf(event), <i32>(start - ptrOf(event)));
  const between = changes();
  feedPiece(set, load<u32>(piece), start, <i32>(end - start));
  const after = changes();
  feedEvent(body, end, <i32>(endOf(event) - end));
  isClean = before == between && after == changes();
  if (isClean && isBegun) setCleanLike(set, piece, like);
}

/** The number of the events in which nothing is redacted but in the text of `piece`'s channel and in paddings; 0: of none. */
function cleanLike(set: usize, piece: usize): u32 {
  const slot = find(set, load<u32>(piece) & ~LAST_PIECE);
  return slot ? load<u32>(<usize>load<u32>(slot, 4) + LENGTH_AT, 12) : 0;
}

function setCleanLike(set: usize, piece: usize, like: u32): void {
  const slot = find(set, load<u32>(piece));
  if (slot) store<u32>(<usize>load<u32>(slot, 4) + LENGTH_AT, like, 12);
}

/** Redacts only the text of `piece` and the `gaps` behind it in the list, wherever they stand. */
function rewriteLike(set: usize, event: Slice, piece: usize, gaps: i32): void {
  const start = ptrOf(event) + load<u32>(piece, 4);
  const end = ptrOf(event) + load<u32>(piece, 8);
  let p = ptrOf(event);
  isClean = true;
  for (let i = 1; ; i++) {
    const gap = piece + <usize>(i * PIECE_BYTES);
    const from = i <= gaps ? ptrOf(event) + load<u32>(gap, 4) : endOf(event);
    if (p <= start && start < from) {
      put(p, start);
      feedPiece(set, load<u32>(piece), start, <i32>(end - start));
      p = end;
    }
    put(p, from);
    if (i > gaps) return;
    p = ptrOf(event) + load<u32>(gap, 8);
    const before = changes();
    feedPiece(set, load<u32>(gap), from, <i32>(p - from));
    if (before != changes()) isClean = false;
  }
}

/** Grows with every match and every original that was put back. */
function changes(): u32 {
  return noted + restored;
}

function isLikeTemplate(set: usize, event: Slice, piece: usize): bool {
  const slot = find(set, load<u32>(piece) & ~LAST_PIECE);
  if (slot == 0) return false;
  const record = <usize>load<u32>(slot, 4);
  const start = load<i32>(piece, 4);
  const end = load<i32>(piece, 8);
  const length = load<i32>(record + LENGTH_AT);
  if (load<u32>(record + LENGTH_AT, 8) == 0 || length != lenOf(event) - (end - start)) return false;
  const template = record + TEMPLATE_AT;
  const split = load<i32>(record + LENGTH_AT, 4);
  if (split != start || !same(template, ptrOf(event), split)) return false;
  return same(template + split, ptrOf(event) + end, length - split);
}

function feedPiece(set: usize, named: u32, ptr: usize, len: i32): void {
  const channel = named & ~LAST_PIECE;
  const last = (named & LAST_PIECE) != 0;
  if (channel == UNTOUCHED) {
    put(ptr, ptr + len);
    return;
  }
  let slot = find(set, channel);
  if (slot == 0 && !last) slot = create(set, channel);
  if (slot == 0) {
    if (!last) store<u32>(set, 1, 4);
    openPassage(spare, <usize>load<u32>(set), writtenIn(channel));
    pass(spare, ptr, len, true);
    return;
  }
  pass(changetype<Passage>(load<u32>(slot, 4)), ptr, len, last);
  if (last) release(slot);
}

/** The `i`th open channel (of CHANNELS_MAX), or NO_CHANNEL. */
export function channelAt(set: usize, i: i32): u32 {
  const slot = slotAt(set, i);
  return load<u32>(slot, 4) == 0 ? NO_CHANNEL : load<u32>(slot);
}

/** Whether `channel` holds text back. */
export function isHolding(set: usize, channel: u32): bool {
  const slot = find(set, channel);
  return slot != 0 && changetype<Passage>(load<u32>(slot, 4)).isPending;
}

/**
 * Keeps `event`, which was rewritten last, as the template of the channel of piece `which`, if that holds text back or has
 * none yet. False when it holds text and has no template: neither this event nor an earlier one fits.
 */
export function remember(set: usize, event: Slice, pieces: usize, count: i32, which: i32): bool {
  const slot = find(set, load<u32>(pieces + <usize>(which * PIECE_BYTES)));
  const record = slot ? <usize>load<u32>(slot, 4) : 0;
  if (record == 0 || isLike) return true;
  if (!changetype<Passage>(record).isPending && load<i32>(record + LENGTH_AT) != 0) return true;
  const length = makeTemplate(event, pieces, count, which, record + TEMPLATE_AT);
  if (length >= 0) {
    store<i32>(record + LENGTH_AT, length);
    store<i32>(record + LENGTH_AT, templateSplit, 4);
    store<i32>(record + LENGTH_AT, isClean ? 1 : 0, 8);
  }
  return load<i32>(record + LENGTH_AT) != 0 || !changetype<Passage>(record).isPending;
}

/** As `remember`, for the `part` of an event that was rewritten last; it `begins` the event. */
export function outlinePart(set: usize, part: Slice, pieces: usize, count: i32, begins: bool): void {
  let slot = find(set, OUTLINE);
  if (begins && slot == 0) slot = create(set, OUTLINE);
  if (slot == 0) return;
  const record = <usize>load<u32>(slot, 4);
  if (begins) beginOutline(record);
  let from = ptrOf(part) + (begins ? markLength(part) : 0);
  for (let i = 0; i < count; i++) {
    const piece = pieces + <usize>(i * PIECE_BYTES);
    const channel = load<u32>(piece) & ~LAST_PIECE;
    outline(record, from, ptrOf(part) + load<u32>(piece, 4));
    if (channel < WHOLE_TEXT) outlineText(record, channel);
    from = ptrOf(part) + load<u32>(piece, 8);
  }
  outline(record, from, endOf(part));
}

/** Whether the event in parts is complete but for what would end it. */
export function isOutlined(set: usize): bool {
  const slot = find(set, OUTLINE);
  return slot != 0 && isOutlineClosed(<usize>load<u32>(slot, 4));
}

/**
 * The event in parts is over: its outline becomes the template of channels that have none. False when one holds text and has none
 * all the same.
 */
export function rememberParts(set: usize): bool {
  const outlined = find(set, OUTLINE);
  let all = true;
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const slot = slotAt(set, i);
    const record = <usize>load<u32>(slot, 4);
    if (record == 0 || slot == outlined || load<i32>(record + LENGTH_AT) != 0) continue;
    const from = outlined ? <usize>load<u32>(outlined, 4) : 0;
    const length = from ? copyOutline(from, load<u32>(slot), record + TEMPLATE_AT) : -1;
    if (length > 0) {
      store<i32>(record + LENGTH_AT, length);
      store<i32>(record + LENGTH_AT, templateSplit, 4);
    } else if (changetype<Passage>(record).isPending) all = false;
  }
  release(outlined);
  return all;
}

/** The room that `flush` needs. */
export function roomForFlush(): usize {
  return <usize>(roomFor(0) + roomForBody(TEMPLATE_MAX) + 1);
}

/** Ends `channel`; what it held goes out in an event of its own. */
export function flush(set: usize, channel: u32): void {
  const slot = find(set, channel);
  if (slot == 0) return;
  const record = <usize>load<u32>(slot, 4);
  const length = load<i32>(record + LENGTH_AT);
  if (length != 0 && changetype<Passage>(record).isPending) {
    const from = record + TEMPLATE_AT;
    leaveAlone(from, from + length, from + load<u32>(record + LENGTH_AT, 4));
    const clean = load<u32>(record + LENGTH_AT, 8) != 0;
    openBody(spareBody, <usize>load<u32>(set));
    putAround(clean, aloneFrom, aloneSplit);
    pass(changetype<Passage>(record), 0, 0, true);
    putAround(clean, aloneSplit, aloneTo);
    // The LF of a CR LF may have come in another piece than the event.
    if (load<u8>(aloneTo - 1) == CR) putByte(LF);
  }
  release(slot);
}

/** A template is the event as it came: what is to be redacted in it beside its text is found once more. */
function putAround(clean: bool, from: usize, to: usize): void {
  if (clean) put(from, to);
  else feedEvent(spareBody, from, <i32>(to - from));
}

assert(OUTLINE_BYTES <= CHANNEL_BYTES);
