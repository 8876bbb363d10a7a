// Reads the lines of an event stream (WHATWG HTML, "server-sent events") and hands the data of each event to walk. Of lines
// of JSON each is an event, and all of it is data.
//
// Nothing is buffered: the data goes to the walker as it comes, the lines of one event joined by line feeds. Lines
// end with CR LF, LF or CR; a byte order mark at the beginning, comments and other fields are passed over.
import { CR, isLineEnd, LF, lineEnd } from "../line-end";
import { beginDocument, walk } from "./walk";
import { keepEnvelope, repeated } from "./repeat";
import { addSpan, ALL, ENDS, spanCount } from "./spans";
import { Channel } from "./shapes";
import { AnswerKind, State } from "./state";

enum Phase {
  Start = 0,
  /** In the name of a field: `matched` bytes of "data" so far. */
  Field = 1,
  /** After the colon: one space is not part of the value. */
  Colon = 2,
  Value = 3,
  Skip = 4,
}

// "data" and "[DONE]" as little-endian words; spaces may stand after the latter, as far as `head` goes.
const DATA: u32 = 0x61746164;
const DONE: u64 = 0x5d454e4f445b;
const DONE_BYTES: i32 = 6;
const HEAD_BYTES: i32 = 8;
const SPACES: u64 = 0x2020000000000000;
const COLON: u32 = 58;
const BRACE: u32 = 123;
const lineFeed: usize = memory.data<u8>([10]);

/** Reads [p, stop); an event acts where its empty line is. */
export function readLines(state: State, p: usize, stop: usize): void {
  // Where the event at hand begins; 0 if it began in an earlier piece.
  let begin: usize = 0;
  let span = 0;
  while (p < stop) {
    if (isBetween(state)) {
      const end = repeated(state, p, stop);
      if (end) {
        p = end;
        continue;
      }
      begin = p;
      span = spanCount;
    }
    const c: u32 = load<u8>(p);
    if (state.lineCr) {
      state.lineCr = false;
      if (c == LF) {
        p++;
        continue;
      }
    }
    switch (state.phase) {
      case Phase.Start:
        p = start(state, p, stop, c);
        if (begin != 0 && isBetween(state)) keepEnvelope(state, begin, p, span);
        break;
      case Phase.Field:
        p = field(state, p, c);
        break;
      case Phase.Colon:
        state.phase = Phase.Value;
        dataLine(state);
        if (c == 32) p++;
        break;
      default: {
        const end = lineEnd(p, stop);
        if (state.phase == Phase.Value) data(state, p, <i32>(end - p));
        p = end;
        if (p < stop) {
          endLine(state, load<u8>(p++));
          if (state.kind == AnswerKind.Lines && begin != 0 && isBetween(state))
            keepEnvelope(state, begin, p, span);
        }
      }
    }
  }
}

/** Whether the next byte begins an event. */
function isBetween(state: State): bool {
  return state.phase == Phase.Start && !state.hasData && !state.lineCr && state.mark == 3;
}

/** The stream is over: an event without its empty line counts too, because clients differ in taking it. */
export function endLines(state: State): void {
  if (state.phase == Phase.Field && state.matched == 4) dataLine(state);
  dispatch(state);
}

function start(state: State, p: usize, stop: usize, c: u32): usize {
  if (state.takeMark(c)) return p + 1;
  if (state.kind == AnswerKind.Lines && !isLineEnd(c)) {
    state.phase = Phase.Value;
    dataLine(state);
    return p;
  }
  if (p + 5 <= stop && load<u32>(p) == DATA && load<u8>(p, 4) == COLON) {
    state.phase = Phase.Colon;
    return p + 5;
  }
  if (isLineEnd(c)) {
    dispatch(state);
    endLine(state, c);
    return p + 1;
  }
  if (c == BRACE) {
    // Where lines of JSON pass as events, a text may go on in the next.
    if (state.stray) state.misplaced = true;
    state.stray = true;
  }
  // Half of a character of UTF-16.
  if (c == 0) state.stray = true;
  state.phase = Phase.Field;
  state.matched = 0;
  return p;
}

function field(state: State, p: usize, c: u32): usize {
  const matched = state.matched;
  if (matched < 4) {
    if (c == ((DATA >> ((<u32>matched) << 3)) & 0xff)) {
      state.matched++;
      return p + 1;
    }
  } else if (c == COLON) {
    state.phase = Phase.Colon;
    return p + 1;
  } else if (isLineEnd(c)) {
    dataLine(state);
  }
  state.phase = Phase.Skip;
  return p;
}

function endLine(state: State, c: u32): void {
  state.phase = Phase.Start;
  state.lineCr = c == CR;
  if (state.kind == AnswerKind.Lines) dispatch(state);
}

/** Another line of data begins. */
function dataLine(state: State): void {
  if (state.hasData) data(state, lineFeed, 1);
  else {
    state.hasData = true;
    state.head = 0;
    beginDocument(state);
  }
}

function data(state: State, p: usize, len: i32): void {
  if (len == 0) return;
  for (let i = 0, at = state.docBytes; at < 8 && i < len; i++, at++) {
    state.head |= (<u64>load<u8>(p + i)) << ((<u64>at) << 3);
  }
  walk(state, p, len);
}

/** Whether the data that has come is neither JSON, as far as it goes, nor the beginning of `[DONE]`: its texts are not known. */
export function isOdd(state: State): bool {
  if (state.unreadable != 0) return true;
  if (!state.hasData || !state.broken) return false;
  const come: u64 = state.docBytes < DONE_BYTES ? (1 << ((<u64>state.docBytes) << 3)) - 1 : u64.MAX_VALUE;
  return state.docBytes > HEAD_BYTES || (((state.head & ~SPACES) ^ DONE) & come) != 0;
}

/** An empty line: the event is complete. */
function dispatch(state: State): void {
  if (!state.hasData) return;
  state.hasData = false;
  if (state.docBytes >= DONE_BYTES && (state.head & 0xffffffffffff) == DONE) {
    // After an error it ends the stream, not the answer.
    if (!state.failed) state.finished = true;
    addSpan(Channel.End, ALL, ALL, 0, 0, ENDS);
    if (state.docBytes > HEAD_BYTES || (state.head & ~SPACES) != DONE) state.unreadable++;
  } else if (state.docBytes > 0 && (state.broken || !state.complete)) {
    state.unreadable++;
    if (state.broken) state.stray = true;
  }
}
