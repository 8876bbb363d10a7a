// An event without its texts, kept so that text which was held back can go out later in an event of the same kind:
// with the same ids, model and indices, whatever the provider puts there.
//
// Most events fit as they are. Of a longer one, and of one that comes in parts, an outline is made as it passes: its arrays in which no text
// stands (search results, probabilities of tokens) are emptied, and where that is not enough the string or object at hand is.
//
//   outline │ Outline │ (channel u32, place u32) × TEXTS_MAX │ where what is open began u16 × LEVELS │ bytes
import { CR, isLineEnd, LF } from "../line-end";
import { reserve } from "../memory";
import { lenOf, ptrOf, Slice } from "../slice";
import { TEXT_MARK } from "./alone";
import { JSON_KIND, KIND_SHIFT, pieceAt, pieceCount } from "./pieces";
import { TEMPLATE_MAX } from "./types";

const LEVELS: i32 = 64;
const TEXTS_MAX: i32 = 16;

@unmanaged
export class Outline {
  length: u16;
  /** Where the last text stands; nothing before it is taken out again. */
  place: u16;
  depth: u16;
  leftDepth: u16;
  stringAt: u16;
  texts: u16;
  left: i32;
  inString: bool;
  escaped: bool;
  tooLong: bool;

  /** The `i`th text's channel u32 and place u32. */
  textAt(i: i32): usize {
    return changetype<usize>(this) + TEXTS_AT + ((<usize>i) << 3);
  }
  /** Where the `level`th thing that is open began. */
  startAt(level: u32): usize {
    return changetype<usize>(this) + STARTS_AT + ((<usize>level) << 1);
  }
  get bytes(): usize {
    return changetype<usize>(this) + BYTES_AT;
  }
  /** All that the event has opened is closed. */
  get isClosed(): bool {
    return this.length > 0 && this.depth == 0 && !this.tooLong;
  }
}

/** From here on there is room only for what ends something that is left out. */
const FULL: i32 = TEMPLATE_MAX - 1;
const TEXTS_AT: usize = (offsetof<Outline>() + 3) & ~3;
const STARTS_AT: usize = TEXTS_AT + 8 * <usize>TEXTS_MAX;
const BYTES_AT: usize = STARTS_AT + 2 * <usize>LEVELS;
export const OUTLINE_BYTES: usize = BYTES_AT + TEMPLATE_MAX;

/** What the bytes at hand belong to, if they are left out. */
enum Left {
  Nothing = 0,
  String = 1,
  Inner = 2,
  /** A comment, or a field that is no data. */
  Line = 3,
}

const spare = changetype<Outline>(reserve(OUTLINE_BYTES));

/** Where in the template the text goes. */
export let templateSplit: i32 = 0;

/**
 * Writes `event` without the texts of its pieces to `to` (TEMPLATE_MAX); the text of piece `which` belongs at
 * `templateSplit`. Returns its length, or -1 when it does not fit.
 */
export function makeTemplate(event: Slice, which: i32, to: usize): i32 {
  let from = markLength(event);
  let length = lenOf(event) - <i32>from;
  for (let i = 0; i < pieceCount; i++) {
    const piece = pieceAt(i);
    length -= <i32>(piece.end - piece.start);
    if (i != which && isSaid(piece.channel)) length++;
  }
  if (length <= TEMPLATE_MAX) return copy(event, from, which, to);
  beginOutline(spare);
  for (let i = 0; i < pieceCount; i++) {
    outline(spare, ptrOf(event) + from, ptrOf(event) + pieceAt(i).start);
    if (i == which) outlineText(spare, 0);
    from = pieceAt(i).end;
  }
  outline(spare, ptrOf(event) + from, ptrOf(event) + lenOf(event));
  return copyOutline(spare, 0, to);
}

/** The bytes of the stream's byte order mark, which is no part of a later event. */
export function markLength(event: Slice): u32 {
  return lenOf(event) >= 3 && (load<u32>(ptrOf(event)) & 0xffffff) == 0xbfbbef ? 3 : 0;
}

/** Whether a text goes on in other events: to say nothing more of it does no harm, unlike to call a tool. */
function isSaid(channel: u32): bool {
  return ((channel >> KIND_SHIFT) & 7) < JSON_KIND;
}

/** `event` from offset `from` on. */
function copy(event: Slice, from: u32, which: i32, to: usize): i32 {
  let p = to;
  for (let i = 0; i <= pieceCount; i++) {
    const until = i < pieceCount ? pieceAt(i).start : <u32>lenOf(event);
    memory.copy(p, ptrOf(event) + from, until - from);
    p += until - from;
    if (i == pieceCount) break;
    if (i == which) templateSplit = <i32>(p - to);
    else if (isSaid(pieceAt(i).channel)) store<u8>(p++, TEXT_MARK);
    from = pieceAt(i).end;
  }
  return <i32>(p - to);
}

export function beginOutline(o: Outline): void {
  memory.fill(changetype<usize>(o), 0, TEXTS_AT);
}

/** A text of `channel` stands between what was added and what is added next. */
export function outlineText(o: Outline, channel: u32): void {
  if (o.left != Left.Nothing || o.tooLong) return;
  o.place = o.length;
  let i = 0;
  while (i < <i32>o.texts && load<u32>(o.textAt(i)) != channel) i++;
  if (i == TEXTS_MAX) return;
  store<u32>(o.textAt(i), channel);
  store<u32>(o.textAt(i), o.length, 4);
  o.texts = <u16>max(<i32>o.texts, i + 1);
}

/** Adds the event's bytes [p, end), which are of no text. */
export function outline(o: Outline, p: usize, end: usize): void {
  while (p < end && !o.tooLong) {
    if (o.left == Left.Nothing && <i32>o.length >= FULL) {
      shorten(o);
      continue;
    }
    const b = <u32>load<u8>(p++);
    if (o.left == Left.Line) {
      if (isLineEnd(b)) o.left = Left.Nothing;
    } else if (o.inString) {
      if (o.escaped) o.escaped = false;
      else if (b == 92) o.escaped = true;
      else if (b == 34) {
        o.inString = false;
        if (o.left == Left.String) o.left = Left.Nothing;
      }
    } else if (b == 34) {
      // Only JSON has strings; a comment may have a quote.
      o.inString = o.depth > 0;
      o.stringAt = o.length;
    } else if (b == 123 || b == 91) {
      if (<i32>o.depth == LEVELS) o.tooLong = true;
      else store<u16>(o.startAt(o.depth), o.length);
      o.depth++;
    } else if ((b == 125 || b == 93) && o.depth > 0) close(o, b);
    if (o.left != Left.Nothing) continue;
    store<u8>(o.bytes + <usize>o.length, <u8>b);
    o.length++;
  }
}

function close(o: Outline, bracket: u32): void {
  o.depth--;
  const start = load<u16>(o.startAt(o.depth));
  if (o.left == Left.Inner) {
    if (o.depth == o.leftDepth) o.left = Left.Nothing;
  } else if (bracket == 93 && start >= o.place) o.length = start + 1;
}

/** Makes room in what is full: leaves out the string at hand, else the innermost of what is open, if no text stands in it; or the last line. */
function shorten(o: Outline): void {
  if (o.depth == 0) {
    const bytes = o.bytes;
    let from = <i32>o.length - 1;
    const isWhole = load<u8>(bytes + from) == LF;
    if (isWhole && from > 0 && load<u8>(bytes + from - 1) == CR) from--;
    while (from > <i32>o.place && !isLineEnd(load<u8>(bytes + from - 1))) from--;
    o.length = <u16>from;
    if (from == <i32>o.place && from > 0) o.tooLong = true;
    if (isWhole || o.tooLong) return;
    // An empty line would end the event.
    store<u8>(bytes + from, 58);
    o.length++;
    o.left = Left.Line;
    return;
  }
  if (o.inString && o.stringAt >= o.place && o.stringAt + 1 < o.length) {
    o.length = o.stringAt + 1;
    o.left = Left.String;
    return;
  }
  for (let level = <i32>o.depth - 1; level > 0; level--) {
    const start = load<u16>(o.startAt(level));
    if (start < o.place) break;
    if (start + 1 == o.length) continue;
    o.length = start + 1;
    o.leftDepth = <u16>level;
    o.left = Left.Inner;
    return;
  }
  o.tooLong = true;
}

/** Writes the outline to `to` (TEMPLATE_MAX); the text of `channel` belongs at `templateSplit`. Returns its length, or -1 if there is none for it. */
export function copyOutline(o: Outline, channel: u32, to: usize): i32 {
  if (o.tooLong) return -1;
  for (let i = 0; i < <i32>o.texts; i++) {
    if (load<u32>(o.textAt(i)) != channel) continue;
    templateSplit = load<i32>(o.textAt(i), 4);
    memory.copy(to, o.bytes, o.length);
    return o.length;
  }
  return -1;
}
