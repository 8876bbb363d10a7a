// Redacts one channel of text that arrives in pieces: however it is cut, what comes out is the same.
//
// Text is worked on in blocks: [context][held back][new]. What is decided goes out; the undecided end (at most
// HOLD_MAX decoded bytes, a word in ordinary text) is kept raw until more comes. A key or token whose end is not
// in sight is swallowed as it comes: only its hash and last four bytes are kept.
import { reserve } from "../memory";
import { actionOf, blockedBy, marksOf, note } from "./answer";
import { decodedTo, decodeText, rawEndOf, rawOf, SLACK, slackAt, Written } from "./decoded";
import { holdFrom, next } from "./detect";
import { mark } from "./marks";
import { outTo, put, room } from "./output";
import { putReplacement } from "./replace";
import { SIP_BYTES, sipBegin, sipEnd, sipUpdate } from "./sip";
import { swallow, TAIL_NONE, tailDone, tailLeft } from "./tail";
import { BLOCK_BYTES, FLAG, HOLD_RAW_MAX, IGNORE, LOOK_BACK } from "./types";
import { matchFrom, matchTail, matchTailLeft, matchTo, matchType, setView } from "./view";

@unmanaged
export class Redactor {
  answer: usize;
  written: Written;
  /** What the last character that is out has left (decoded.ts). */
  slack: i32;
  /** 1 + the type of the match that is being swallowed, or 0. */
  swallowed: i32;
  /** How that goes on (tail.ts). */
  tail: i32;
  tailLeft: u32;
  /** Its last four bytes, the first of them lowest. */
  last: u32;
  contextLength: i32;
  heldLength: i32;

  /** Its hash so far (sip.ts). */
  get hash(): usize {
    return changetype<usize>(this) + HASH_AT;
  }
  /** Decoded text before what is held. */
  get context(): usize {
    return changetype<usize>(this) + CONTEXT_AT;
  }
  /** Raw text. */
  get held(): usize {
    return changetype<usize>(this) + HELD_AT;
  }
  /** Whether anything would come out at a flush. */
  get isPending(): bool {
    return this.heldLength != 0 || this.swallowed != 0;
  }
}

const HASH_AT: usize = (offsetof<Redactor>() + 7) & ~7;
const CONTEXT_AT: usize = HASH_AT + SIP_BYTES;
const HELD_AT: usize = CONTEXT_AT + LOOK_BACK;
export const REDACTOR_BYTES: i32 = <i32>HELD_AT + HOLD_RAW_MAX;
/** Output never outgrows this many times the input, plus what was held: `[IP:0123456789ab]` for `::1 `. */
const GROWTH: i32 = 6;
const MARGIN: i32 = HOLD_RAW_MAX * 2 + 512;

const window: usize = reserve(LOOK_BACK + HOLD_RAW_MAX + BLOCK_BYTES + 16) + <usize>LOOK_BACK;

/** The room in which `len` bytes of input are certain to be taken in one call. */
export function roomFor(len: i32): i32 {
  return MARGIN + GROWTH * len;
}

/** Starts a channel of `answer`. What is fed is `written` so, and so is what comes out. */
export function openRedactor(redactor: Redactor, answer: usize, written: Written): void {
  memory.fill(changetype<usize>(redactor), 0, HELD_AT);
  redactor.answer = answer;
  redactor.written = written;
  redactor.slack = SLACK;
}

/**
 * Feeds `len` bytes at `ptr` and puts out what is decided (output.ts). `last`: nothing follows, hold nothing. Returns
 * how many bytes were taken: fewer than `len` only when less than `roomFor(len)` is left in the output.
 */
export function feed(redactor: Redactor, ptr: usize, len: i32, last: bool): i32 {
  let taken = 0;
  do {
    const fits = (<i32>min<usize>(room(), 0x3fffffff) - MARGIN) / GROWTH;
    const chunk = min(len - taken, min(BLOCK_BYTES, fits));
    if (chunk < 0 || (chunk == 0 && taken < len)) return taken;
    block(redactor, ptr + taken, chunk, last && taken + chunk == len);
    taken += chunk;
  } while (taken < len);
  return taken;
}

function block(redactor: Redactor, ptr: usize, len: i32, whole: bool): void {
  const held = redactor.heldLength;
  memory.copy(window, redactor.held, held);
  memory.copy(window + held, ptr, len);
  const rawEnd = window + held + len;
  const from = decodeText(window, rawEnd, whole, redactor.written, redactor.slack);
  const low = from - redactor.contextLength;
  memory.copy(low, redactor.context, redactor.contextLength);
  setView(low, decodedTo, whole);

  rawTo = window;
  let p = from;
  if (redactor.swallowed) p = swallowMore(redactor, p);
  while (!redactor.swallowed) {
    const isMatch = next(p, redactor.answer);
    putRaw(redactor.answer, rawOf(isMatch ? matchFrom : holdFrom));
    p = isMatch ? take(redactor) : holdFrom;
    if (!isMatch) break;
  }
  save(redactor, p, low, rawEnd, whole);
}

/** Goes on with a match that began in an earlier block; returns where it, or the block, ends. */
function swallowMore(redactor: Redactor, p: usize): usize {
  const answer = redactor.answer;
  const type = redactor.swallowed - 1;
  const action = actionOf(answer, type);
  const to = swallow(p, redactor.tail, redactor.tailLeft);
  redactor.tailLeft = tailLeft;
  grow(redactor, p, to);
  passOver(answer, action, to);
  if (!tailDone) return to;
  if (action > FLAG && blockedBy(answer) < 0) {
    const out = outTo;
    putReplacement(answer, action, type, sipEnd(redactor.hash), 0, 0, redactor.last);
    mark(marksOf(answer), type, out, outTo);
  }
  redactor.swallowed = 0;
  return to;
}

/** Acts on the match in the view; returns where the text after it, or its undecided tail, begins. */
function take(redactor: Redactor): usize {
  const answer = redactor.answer;
  const from = matchFrom;
  const type = matchType;
  const action = actionOf(answer, type);
  const to = swallow(matchTo, matchTail, matchTailLeft);
  if (action != IGNORE) note(answer, type);
  sipBegin(redactor.hash);
  redactor.last = 0;
  grow(redactor, from, to);
  const out = outTo;
  passOver(answer, action, to);
  if (!tailDone) {
    redactor.swallowed = type + 1;
    redactor.tail = matchTail;
    redactor.tailLeft = tailLeft;
  } else if (action > FLAG && blockedBy(answer) < 0) {
    // What can go on past its end is never quoted, or a cut would show in the output.
    const isOpen = matchTail != TAIL_NONE;
    const hash = sipEnd(redactor.hash);
    putReplacement(answer, action, type, hash, isOpen ? 0 : from, isOpen ? 0 : to, redactor.last);
  }
  // What goes on past this block is marked where it stops, unless it goes out as it is.
  if (action != IGNORE && (tailDone || action <= FLAG)) mark(marksOf(answer), type, out, outTo);
  return to;
}

/** Adds [from, to) to the hash and the last four bytes of the match. */
function grow(redactor: Redactor, from: usize, to: usize): void {
  sipUpdate(redactor.hash, from, to);
  let last = redactor.last;
  const begin = to - from > 4 ? to - 4 : from;
  for (let p = begin; p < to; p++) last = (last >> 8) | ((<u32>load<u8>(p)) << 24);
  redactor.last = last;
}

/** The raw text before it is out, or replaced. */
let rawTo: usize = 0;

/** Puts out what comes before the raw address `to` as it came. */
function putRaw(answer: usize, to: usize): void {
  if (blockedBy(answer) < 0) put(rawTo, to);
  rawTo = to;
}

/** Leaves the match that ends at `to` behind: it goes out as it is, or something stands in for it. */
function passOver(answer: usize, action: u8, to: usize): void {
  if (action <= FLAG) putRaw(answer, rawEndOf(to));
  else rawTo = rawEndOf(to);
}

/** Keeps what is undecided from `p` on, and what stands before it. */
function save(redactor: Redactor, p: usize, low: usize, rawEnd: usize, whole: bool): void {
  const before = <i32>min<usize>(p - low, <usize>LOOK_BACK);
  memory.copy(redactor.context, p - before, before);
  redactor.contextLength = before;
  // What is not seen behind a key is the key's only if that goes on.
  const raw = redactor.swallowed ? rawEndOf(p) : rawOf(p);
  redactor.slack = slackAt(p);
  const held = whole ? 0 : <i32>min<usize>(rawEnd - raw, <usize>HOLD_RAW_MAX);
  memory.copy(redactor.held, raw, held);
  redactor.heldLength = held;
}
