// Cuts an answer into pieces that can be passed, hidden or rewritten one by one.
//
// Of an event stream a piece is one event with its empty line, of lines of JSON a line. Events that lie within a chunk are pieces where they
// are; one that a chunk has cut is held back until it is complete (hold.ts). An event longer than PIECE_MAX, or one
// for which there is no room, passes in pieces as it comes, and is counted; its texts are listed all the same. Of a
// JSON answer, pieces are just parts of the chunk. The pieces of an answer, one after the other, are the answer.
import { CR, isLineEnd, LF, lineEnd } from "../line-end";
import { reserve } from "../memory";
import { endOf, lenOf, NONE, ptrOf, slice, Slice } from "../slice";
import { hold, recycle, retire } from "./hold";
import { readAnswer } from "./read";
import { forgetLike } from "./repeat";
import { clearSpans, PIECE_MAX } from "./spans";
import { AnswerKind, State } from "./state";

/** The longest chunk that `filter` can put behind a held event. */
export const CHUNK_MAX: i32 = 1 << 20;

const joined: usize = reserve(PIECE_MAX + CHUNK_MAX);

// The chunk at hand: what is left of it, how far it is known to be without an event's end, and its last piece.
let state: State = changetype<State>(0);
let at: usize = 0;
let stop: usize = 0;
let framedTo: usize = 0;
let last: bool = false;
let current: Slice = NONE;
let hidden: bool = false;
let head: Slice = NONE;

/** Begins with the next bytes of the answer; then call `nextPiece` until it says no. */
export function pieces(answer: State, chunk: Slice, isLast: bool): void {
  recycle();
  state = answer;
  at = ptrOf(chunk);
  stop = endOf(chunk);
  framedTo = at;
  last = isLast;
  current = NONE;
  if (last && at == stop && state.holdLength == 0) readAnswer(state, at, 0, true);
}

/** Reads the next piece; false when the rest of the chunk, if any, is held back. */
export function nextPiece(): bool {
  if (!state.streams) return at < stop && pass(min(at + PIECE_MAX, stop));
  if (framedTo > at) return pass(framedTo);
  if (at >= stop) return last && state.holdLength != 0 && passHeld();
  if (state.frameTail) {
    state.frameTail = false;
    if (load<u8>(at) == LF) {
      const again = state.frameHidden;
      pass(at + 1);
      hidden = again;
      return true;
    }
  }
  return state.framePassing ? nextPart() : nextEvent();
}

/** The piece that was read last, valid until the next call of `pieces` or `closeAnswer`. */
export function piece(): Slice {
  return current;
}

/** Whether its event ends with the piece that was read last, or the answer does. */
export function pieceEnds(): bool {
  return !state.framePassing && framedTo <= at;
}

/** Whether the piece is the event that `stream_options.include_usage` adds: no choices, only usage. */
export function hidesUsage(): bool {
  return hidden;
}

/**
 * The bytes to send on for `chunk`: all but the extra usage event, and the event that is not complete yet. They are
 * `chunk` itself if nothing is to be done. They lie in the chunk's memory, which may be rewritten, or in ours, and
 * are valid until the next call.
 */
export function filter(answer: State, chunk: Slice, isLast: bool): Slice {
  pieces(answer, chunk, isLast);
  head = NONE;
  let from = at;
  let to = at;
  while (nextPiece()) {
    if (hidden) continue;
    const ptr = ptrOf(current);
    const len = lenOf(current);
    if (ptr < ptrOf(chunk) || ptr >= endOf(chunk)) head = current;
    else {
      if (to == from) {
        from = ptr;
        to = ptr;
      } else if (to != ptr) memory.copy(to, ptr, len);
      to += len;
    }
  }
  const body = slice(from, <i32>(to - from));
  if (head == NONE || lenOf(body) > CHUNK_MAX) return body;
  const headLength = lenOf(head);
  memory.copy(joined, ptrOf(head), headLength);
  memory.copy(joined + headLength, from, lenOf(body));
  head = NONE;
  return slice(joined, headLength + lenOf(body));
}

/** NONE; but what must go before the answer of `filter` if the chunk was longer than CHUNK_MAX. */
export function filterHead(): Slice {
  return head;
}

/** An event's end, or what is to become of its beginning. */
function nextEvent(): bool {
  const room = PIECE_MAX - state.holdLength;
  const limit = stop - at > <usize>room ? at + room : stop;
  const end = eventEnd(at, limit);
  const to = end ? end : limit;
  if (end || (last && limit == stop)) {
    if (state.holdLength == 0) return passWhole(to);
    if (hold(state, at, to)) {
      at = to;
      return passHeld();
    }
  } else if (limit == stop && hold(state, at, to)) {
    at = stop;
    return false;
  }
  // Too long, or no room: it goes on as it is, if it can be with as much at once as if nothing had cut it.
  state.framePassing = end == 0;
  framedTo = to;
  if (state.holdLength == 0) return pass(to);
  if (hold(state, at, to)) at = to;
  return passHeld();
}

/** More of an event that is too long to be held. */
function nextPart(): bool {
  const limit = min(at + PIECE_MAX, stop);
  const end = eventEnd(at, limit);
  if (end) state.framePassing = false;
  return pass(end ? end : limit);
}

/** [at, to) is the next piece. */
function pass(to: usize): bool {
  const from = at;
  at = to;
  return read(slice(from, <i32>(to - from)), false);
}

function passWhole(to: usize): bool {
  const from = at;
  at = to;
  return read(slice(from, <i32>(to - from)), true);
}

function passHeld(): bool {
  const held = slice(state.hold, state.holdLength);
  retire(state);
  return read(held, pieceEnds());
}

function read(bytes: Slice, whole: bool): bool {
  clearSpans();
  forgetLike();
  state.choicesEmpty = false;
  readAnswer(state, ptrOf(bytes), lenOf(bytes), last && at == stop);
  current = bytes;
  hidden = whole && state.choicesEmpty && state.usageHere && state.complete && !state.broken && !state.failed;
  state.frameHidden = hidden;
  return true;
}

/** The end of the event in [p, limit), just after its empty line, or its only one; 0 if it is not there. */
function eventEnd(p: usize, limit: usize): usize {
  const single = state.kind == AnswerKind.Lines;
  while (p < limit) {
    const c: u32 = load<u8>(p);
    if (state.frameCr) {
      state.frameCr = false;
      if (c == LF) {
        p++;
        continue;
      }
    }
    if ((single || !state.frameInLine) && isLineEnd(c)) {
      p++;
      if (c == CR) {
        // The LF of a CR LF may be in the next chunk; it belongs to this event.
        if (p == stop) state.frameTail = true;
        else if (load<u8>(p) == LF) p++;
      }
      return p;
    }
    const end = lineEnd(p, limit);
    if (end > p) state.frameInLine = true;
    if (end == limit) return 0;
    if (single) {
      p = end;
      continue;
    }
    state.frameInLine = false;
    state.frameCr = load<u8>(end) == CR;
    p = end + 1;
  }
  return 0;
}
