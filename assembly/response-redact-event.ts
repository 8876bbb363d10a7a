// Redacts one event of a streamed answer, or a part of one that is too long to be held: its texts go through the channels
// of redact/, and what a channel still holds when it ends comes out before that is told.
import { reserve } from "./memory";
import { blockedBy } from "./redact/answer";
import { restartBody } from "./redact/body";
import {
  channelAt,
  flush,
  isOutlined,
  outlinePart,
  remember,
  rememberParts,
  rewrite,
  roomForFlush,
} from "./redact/channels";
import { outTo, overflow, put, rewind, room } from "./redact/output";
import {
  addGap,
  addPiece,
  clearPieces,
  KIND_SHIFT,
  LAST_PIECE,
  NO_CHANNEL,
  pieceAt,
  pieceCount,
  UNTOUCHED,
  WHOLE_JSON,
  WHOLE_TEXT,
} from "./redact/pieces";
import { CHANNELS_MAX } from "./redact/records";
import { CR, isLineEnd, LF } from "./line-end";
import { Form } from "./media-type";
import { bringsTokens, Redaction, withhold } from "./response-redact-slot";
import { endOf, ptrOf, Slice, slice } from "./slice";
import {
  ALL,
  Channel,
  ENDS,
  likeOf,
  NESTED,
  paddingAt,
  paddingCount,
  pieceEnds,
  spanChannel,
  spanCount,
  spanFlags,
  spanFrom,
  spanTo,
  WHOLE,
} from "./usage/usage";
import { Reason } from "./verdicts.gen";

/** Channels of one event of which the last text is known. */
const LAST_MAX: i32 = 16;
/** The channel that ends all others. */
const EVERYTHING: u32 = (ALL << 14) | ALL;
const TEXT: u32 = Channel.Text << KIND_SHIFT;
const LINE_ENDS: usize = memory.data<u8>([10, 10]);

const ended: usize = reserve(LAST_MAX << 2);

/** Puts out all that the answer's channels still hold, at its end. */
export function endChannels(redaction: Redaction): void {
  if (redaction.inEvent && !endEvent(redaction)) return;
  for (let i = 0; i < CHANNELS_MAX; i++) end(redaction, channelAt(redaction.set, i));
}

/** Ends the last event if it lacks only that; nothing can follow one that was cut off. */
function endEvent(redaction: Redaction): bool {
  if (!isOutlined(redaction.set)) return false;
  // One more does no harm, and after a CR the first ends no line.
  const ends = slice(LINE_ENDS, redaction.form == Form.Lines ? 1 : 2);
  put(ptrOf(ends), endOf(ends));
  clearPieces();
  outlinePart(redaction.set, ends, false);
  redaction.inEvent = false;
  if (!rememberParts(redaction.set)) withhold(redaction, Reason.AnswerUnreadable);
  return redaction.withheld == Reason.None;
}

/** One event, or a part of one that is too long to be held. */
export function redactEvent(redaction: Redaction, bytes: Slice): void {
  const begins = !redaction.inEvent;
  // Of an event that is the stream's last, its end may be missing.
  const ends = pieceEnds() && (!begins || endsEvent(bytes, redaction.form == Form.Lines));
  listTexts(bytes);
  finishChannels(redaction);
  // What ends here may be what blocks: then clients are not told that the answer is complete.
  if (blockedBy(redaction.answer) >= 0 || redaction.withheld != Reason.None) return;
  const from = outTo;
  const like = begins && ends && pieceCount == 1 ? likeOf(bytes) : 0;
  if (like) listPaddings(bytes);
  if (!rewrite(redaction.set, redaction.body, bytes, like) || overflow) {
    // Of an event that does not fit, nothing goes out.
    rewind(from);
    withhold(redaction, Reason.AnswerUnreadable);
    return;
  }
  // What found no record was not held against what follows it: of that event, too, nothing goes out.
  if (blockedBy(redaction.answer) >= 0 || bringsTokens(redaction) || redaction.set.isCrowded) {
    rewind(from);
    return;
  }
  redaction.inEvent = !ends;
  if (ends) restartBody(redaction.body);
  if (!begins || !ends) {
    outlinePart(redaction.set, bytes, begins);
    if (!ends) return;
    if (!rememberParts(redaction.set)) withhold(redaction, Reason.AnswerUnreadable);
    else endLater(redaction);
    return;
  }
  for (let i = 0; i < pieceCount; i++) {
    if (!remember(redaction.set, bytes, i)) {
      withhold(redaction, Reason.AnswerUnreadable);
      return;
    }
  }
}

/** Whether an empty line is at the end of `bytes`; of a `single` line, its own end. */
function endsEvent(bytes: Slice, single: bool): bool {
  let end = endOf(bytes);
  const from = ptrOf(bytes);
  if (end == from || !isLineEnd(load<u8>(end - 1))) return false;
  if (single) return true;
  end -= end - 1 > from && load<u8>(end - 1) == LF && load<u8>(end - 2) == CR ? 2 : 1;
  return end == from || isLineEnd(load<u8>(end - 1));
}

/** Lists the texts of the piece that was read last. */
function listTexts(bytes: Slice): void {
  clearPieces();
  for (let i = 0; i < spanCount; i++) {
    let channel = spanChannel(i);
    const kind = channel >> KIND_SHIFT;
    if (kind == <u32>Channel.End) continue;
    const flags = spanFlags(i);
    if (kind == <u32>Channel.Data) channel = UNTOUCHED;
    else if (flags & WHOLE) {
      channel = flags & NESTED ? WHOLE_JSON : WHOLE_TEXT;
      if (flags & ENDS) channel |= LAST_PIECE;
    }
    // As long as its event does not say, it is text.
    else if (kind == <u32>Channel.Unknown) channel = TEXT | (channel & EVERYTHING);
    addPiece(channel, <u32>(spanFrom(i) - ptrOf(bytes)), <u32>(spanTo(i) - ptrOf(bytes)));
  }
}

/** Lists the paddings of an event that is like an earlier one. */
function listPaddings(bytes: Slice): void {
  for (let i = 0; i < paddingCount(); i++) {
    const padding = paddingAt(i);
    addGap(<u32>(ptrOf(padding) - ptrOf(bytes)), <u32>(endOf(padding) - ptrOf(bytes)));
  }
}

/**
 * What ends with this event must be out by then: with the last text of its channel in the event itself, or in an event
 * before it. Within an event in parts there is no place for another: then it is after it.
 */
function finishChannels(redaction: Redaction): void {
  for (let i = 0; i < spanCount; i++) {
    const ending = spanChannel(i);
    if (ending >> KIND_SHIFT != <u32>Channel.End) continue;
    const marked = markLast(ending);
    for (let n = 0; n < CHANNELS_MAX; n++) {
      const channel = channelAt(redaction.set, n);
      if (!belongs(channel, ending) || isMarked(channel, marked)) continue;
      if (!redaction.inEvent) end(redaction, channel);
      else if (redaction.ending == 0 || redaction.ending == ending + 1) redaction.ending = ending + 1;
      else redaction.ending = EVERYTHING + 1;
    }
  }
}

/** The event in parts is over: what ended within it comes out. */
function endLater(redaction: Redaction): void {
  if (redaction.ending == 0) return;
  for (let n = 0; n < CHANNELS_MAX; n++) {
    const channel = channelAt(redaction.set, n);
    if (belongs(channel, redaction.ending - 1)) end(redaction, channel);
  }
  redaction.ending = 0;
}

function belongs(channel: u32, ending: u32): bool {
  if (channel == NO_CHANNEL || channel >= WHOLE_TEXT) return false;
  const major = (ending >> 14) & ALL;
  const minor = ending & ALL;
  return (major == ALL || major == ((channel >> 14) & ALL)) && (minor == ALL || minor == (channel & ALL));
}

/** Marks the last piece of each channel that ends with `ending`; returns how many channels that are. */
function markLast(ending: u32): i32 {
  let marked = 0;
  for (let i = pieceCount - 1; i >= 0; i--) {
    const piece = pieceAt(i);
    const channel = piece.channel & ~LAST_PIECE;
    if (!belongs(channel, ending) || isMarked(channel, marked)) continue;
    piece.channel = channel | LAST_PIECE;
    if (marked == LAST_MAX) continue;
    store<u32>(ended + ((<usize>marked) << 2), channel);
    marked++;
  }
  return marked;
}

function isMarked(channel: u32, marked: i32): bool {
  for (let i = 0; i < marked; i++) if (load<u32>(ended + ((<usize>i) << 2)) == channel) return true;
  return false;
}

function end(redaction: Redaction, channel: u32): void {
  if (channel == NO_CHANNEL || redaction.withheld != Reason.None) return;
  const from = outTo;
  if (room() >= roomForFlush()) {
    flush(redaction.set, channel);
    if (!overflow) return;
    // Originals beside its text had too little room: of such an event, too, nothing goes out.
    rewind(from);
  }
  withhold(redaction, Reason.AnswerUnreadable);
}
