// Redaction of a stream of events: each piece of text belongs to a channel (a choice, a content block, the
// arguments of a tool call), and what one event's piece leaves undecided comes out with the channel's next piece
// or at its flush. Who reads the events names the pieces; this file rewrites the event around them.
//
// What is not in a piece is redacted too (event.ts), string by string, but for identifiers.
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
import {
  gapCount,
  JSON_KIND,
  KIND_SHIFT,
  LAST_PIECE,
  NO_CHANNEL,
  Piece,
  pieceAt,
  pieceCount,
  UNTOUCHED,
  WHOLE_JSON,
  WHOLE_TEXT,
} from "./pieces";
import { ChannelSet, CHANNELS_MAX, find, Record, release, take } from "./records";
import { roomFor } from "./redactor";
import { restored } from "./restore";
import {
  beginOutline,
  copyOutline,
  makeTemplate,
  markLength,
  outline,
  outlineText,
  templateSplit,
} from "./template";
import { TEMPLATE_MAX } from "./types";

/** Not a channel: while an event comes in parts, the record under this name has its outline (template.ts) in place of a text. */
const OUTLINE: u32 = 0x7ffffffe;

const spare = changetype<Passage>(reserve(PASSAGE_BYTES));
const spareBody = changetype<Body>(reserve(BODY_BYTES));

function open(set: ChannelSet, channel: u32): Record | null {
  const record = take(set, channel);
  if (record != null) openPassage(record.passage, set.answer, writtenIn(channel));
  return record;
}

function writtenIn(channel: u32): Written {
  return channel == WHOLE_JSON || channel >> KIND_SHIFT == JSON_KIND ? Written.Nested : Written.Quoted;
}

/** The room that `rewrite` needs for an event of `len` bytes. */
function roomForEvent(len: i32): i32 {
  return roomFor(len) * 2 + pieceCount * 4096;
}

/**
 * Puts out `event` with its pieces (pieces.ts) redacted, and what lies between them by `body` (event.ts). Pieces may become
 * empty, and the text of one may come out in a later one of its channel. False when the output has too little room or a
 * piece lies outside the event; then nothing was put out and no channel changed.
 *
 * Events of one number `like` (0: none) differ in nothing but their one text, in their gaps, and in numbers: once nothing was
 * found in the rest, it is not looked for there again.
 */
export function rewrite(set: ChannelSet, body: Body, event: Slice, like: u32): bool {
  const from = ptrOf(event);
  const len = <u32>lenOf(event);
  if (room() < <usize>roomForEvent(len)) return false;
  let at: u32 = 0;
  for (let i = 0; i < pieceCount; i++) {
    const piece = pieceAt(i);
    if (piece.start < at || piece.end < piece.start || piece.end > len) return false;
    at = piece.end;
  }
  if (pieceCount == 1) {
    rewriteOne(set, body, event, like);
    return true;
  }
  isLike = isClean = false;
  let p = from;
  for (let i = 0; i < pieceCount; i++) {
    const piece = pieceAt(i);
    feedEvent(body, p, <i32>(from + piece.start - p));
    feedPiece(set, piece, from);
    p = from + piece.end;
  }
  feedEvent(body, p, <i32>(endOf(event) - p));
  return true;
}

/** The event that was rewritten last is like its channel's template; nothing was found in it but in its text. */
let isLike: bool = false;
let isClean: bool = false;

/** As `rewrite`, for an event with one text. Most events of a stream differ in nothing else. */
function rewriteOne(set: ChannelSet, body: Body, event: Slice, like: u32): void {
  const piece = pieceAt(0);
  const record = find(set, piece.channel & ~LAST_PIECE);
  const isBegun = body.isAtStart;
  const isKnown = isBegun && like != 0 && (record == null ? 0 : record.cleanLike) == like;
  isLike = isBegun && !isKnown && isLikeTemplate(record, event, piece);
  if (isKnown || isLike) {
    rewriteLike(set, event, isKnown ? gapCount : 0);
    return;
  }
  const from = ptrOf(event);
  const before = changes();
  feedEvent(body, from, piece.start);
  const between = changes();
  feedPiece(set, piece, from);
  const after = changes();
  feedEvent(body, from + piece.end, lenOf(event) - <i32>piece.end);
  isClean = before == between && after == changes();
  if (!isClean || !isBegun) return;
  const now = find(set, piece.channel);
  if (now != null) now.cleanLike = like;
}

/** Redacts only the one text and the `gaps`, wherever they stand. */
function rewriteLike(set: ChannelSet, event: Slice, gaps: i32): void {
  const piece = pieceAt(0);
  const from = ptrOf(event);
  let p = from;
  isClean = true;
  for (let i = 1; ; i++) {
    const gap = pieceAt(i);
    const until = i <= gaps ? from + gap.start : endOf(event);
    if (p <= from + piece.start && from + piece.start < until) {
      put(p, from + piece.start);
      feedPiece(set, piece, from);
      p = from + piece.end;
    }
    put(p, until);
    if (i > gaps) return;
    const before = changes();
    feedPiece(set, gap, from);
    if (before != changes()) isClean = false;
    p = from + gap.end;
  }
}

/** Grows with every match and every original that was put back. */
function changes(): u32 {
  return noted + restored;
}

function isLikeTemplate(record: Record | null, event: Slice, piece: Piece): bool {
  if (record == null) return false;
  const length = record.length;
  const split = record.split;
  if (!record.isClean || length != lenOf(event) - <i32>(piece.end - piece.start)) return false;
  if (split != <i32>piece.start || !same(record.template, ptrOf(event), split)) return false;
  return same(record.template + split, ptrOf(event) + piece.end, length - split);
}

/** Redacts `piece` of the event at `from`. */
function feedPiece(set: ChannelSet, piece: Piece, from: usize): void {
  const channel = piece.channel & ~LAST_PIECE;
  const last = (piece.channel & LAST_PIECE) != 0;
  const ptr = from + piece.start;
  const len = <i32>(piece.end - piece.start);
  if (channel == UNTOUCHED) {
    put(ptr, ptr + len);
    return;
  }
  let record = find(set, channel);
  if (record == null && !last) record = open(set, channel);
  if (record == null) {
    if (!last) set.isCrowded = true;
    openPassage(spare, set.answer, writtenIn(channel));
    pass(spare, ptr, len, true);
    return;
  }
  pass(record.passage, ptr, len, last);
  if (last) release(set, record);
}

/** The `i`th open channel (of CHANNELS_MAX), or NO_CHANNEL. */
export function channelAt(set: ChannelSet, i: i32): u32 {
  const record = set.at(i);
  return record == null ? NO_CHANNEL : record.channel;
}

/**
 * Keeps `event`, which was rewritten last, as the template of the channel of piece `which`, if that holds text back or has
 * none yet. False when it holds text and has no template: neither this event nor an earlier one fits.
 */
export function remember(set: ChannelSet, event: Slice, which: i32): bool {
  const record = find(set, pieceAt(which).channel);
  if (record == null || isLike) return true;
  if (!record.passage.isPending && record.length != 0) return true;
  const length = makeTemplate(event, which, record.template);
  if (length >= 0) {
    record.length = length;
    record.split = templateSplit;
    record.isClean = isClean;
  }
  return record.length != 0 || !record.passage.isPending;
}

/** As `remember`, for the `part` of an event that was rewritten last; it `begins` the event. */
export function outlinePart(set: ChannelSet, part: Slice, begins: bool): void {
  let record = find(set, OUTLINE);
  if (begins && record == null) record = open(set, OUTLINE);
  if (record == null) return;
  const o = record.outline;
  if (begins) beginOutline(o);
  let from = ptrOf(part) + (begins ? markLength(part) : 0);
  for (let i = 0; i < pieceCount; i++) {
    const piece = pieceAt(i);
    const channel = piece.channel & ~LAST_PIECE;
    outline(o, from, ptrOf(part) + piece.start);
    if (channel < WHOLE_TEXT) outlineText(o, channel);
    from = ptrOf(part) + piece.end;
  }
  outline(o, from, endOf(part));
}

/** Whether the event in parts is complete but for what would end it. */
export function isOutlined(set: ChannelSet): bool {
  const record = find(set, OUTLINE);
  return record != null && record.outline.isClosed;
}

/**
 * The event in parts is over: its outline becomes the template of channels that have none. False when one holds text and has none
 * all the same.
 */
export function rememberParts(set: ChannelSet): bool {
  const outlined = find(set, OUTLINE);
  let all = true;
  for (let i = 0; i < CHANNELS_MAX; i++) {
    const record = set.at(i);
    if (record == null || record == outlined || record.length != 0) continue;
    const length = outlined == null ? -1 : copyOutline(outlined.outline, record.channel, record.template);
    if (length > 0) {
      record.length = length;
      record.split = templateSplit;
    } else if (record.passage.isPending) all = false;
  }
  release(set, outlined);
  return all;
}

/** The room that `flush` needs. */
export function roomForFlush(): usize {
  return <usize>(roomFor(0) + roomForBody(TEMPLATE_MAX) + 1);
}

/** Ends `channel`; what it held goes out in an event of its own. */
export function flush(set: ChannelSet, channel: u32): void {
  const record = find(set, channel);
  if (record == null) return;
  if (record.length != 0 && record.passage.isPending) {
    const from = record.template;
    leaveAlone(from, from + record.length, from + record.split);
    openBody(spareBody, set.answer);
    putAround(record.isClean, aloneFrom, aloneSplit);
    pass(record.passage, 0, 0, true);
    putAround(record.isClean, aloneSplit, aloneTo);
    // The LF of a CR LF may have come in another piece than the event.
    if (load<u8>(aloneTo - 1) == CR) putByte(LF);
  }
  release(set, record);
}

/** A template is the event as it came: what is to be redacted in it beside its text is found once more. */
function putAround(clean: bool, from: usize, to: usize): void {
  if (clean) put(from, to);
  else feedEvent(spareBody, from, <i32>(to - from));
}
