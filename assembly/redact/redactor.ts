// Redacts one channel of text that arrives in pieces: however it is cut, what comes out is the same.
//
// Text is worked on in blocks: [context][held back][new]. What is decided goes out; the undecided end (at most
// HOLD_MAX decoded bytes, a word in ordinary text) is kept raw until more comes. A key or token whose end is not
// in sight is swallowed as it comes: only its hash and last four bytes are kept. State, RECORD_BYTES:
//
//    0 answer u32 | 4 level u8 (restore.ts), slack u8 (decoded.ts) | 8 swallowed type + 1 | 12 tail | 16 tail left | 20 last four bytes
//   24 context length | 28 held length | 32 SipHash state (48) | 80 context (64) | 144 held raw text (2264)
import { reserve } from "../memory";
import { actionOf, blockedBy, marksOf, note } from "./answer";
import { decodedTo, decodeText, Depth, isPlain, plainText, rawEndOf, rawOf, SLACK, slackAt } from "./decoded";
import { holdFrom, next } from "./detect";
import { mark } from "./marks";
import { outTo, put, room } from "./output";
import { putReplacement } from "./replace";
import { sipBegin, sipEnd, sipUpdate } from "./sip";
import { swallow, tailDone, tailLeft } from "./tail";
import { NESTED, PLAIN } from "./restore";
import { BLOCK_BYTES, FLAG, HOLD_RAW_MAX, IGNORE, LOOK_BACK } from "./types";
import { matchFrom, matchTail, matchTailLeft, matchTo, matchType, setView } from "./view";

export const RECORD_BYTES: i32 = 144 + HOLD_RAW_MAX;
/** Output never outgrows this many times the input, plus what was held: `[IP:0123456789ab]` for `::1 `. */
const GROWTH: i32 = 6;
const MARGIN: i32 = HOLD_RAW_MAX * 2 + 512;

const window: usize = reserve(LOOK_BACK + HOLD_RAW_MAX + BLOCK_BYTES + 16) + <usize>LOOK_BACK;

/** The room in which `len` bytes of input are certain to be taken in one call. */
export function roomFor(len: i32): i32 {
  return MARGIN + GROWTH * len;
}

/** Starts a channel of `answer`. What is fed is written as `level` says (restore.ts), and so is what comes out. */
export function openChannel(record: usize, answer: usize, level: u32): void {
  memory.fill(record, 0, 144);
  store<u32>(record, <u32>answer);
  store<u8>(record, <u8>level, 4);
  store<u8>(record, <u8>SLACK, 5);
}

/** Raw bytes that are held back. */
export function heldIn(record: usize): i32 {
  return load<i32>(record, 28);
}

/** Whether anything would come out at a flush. */
export function isPending(record: usize): bool {
  return load<u32>(record, 28) != 0 || load<u32>(record, 8) != 0;
}

/**
 * Feeds `len` bytes at `ptr` and puts out what is decided (output.ts). `last`: nothing follows, hold nothing. Returns
 * how many bytes were taken: fewer than `len` only when less than `roomFor(len)` is left in the output.
 */
export function feed(record: usize, ptr: usize, len: i32, last: bool): i32 {
  let taken = 0;
  do {
    const fits = (<i32>min<usize>(room(), 0x3fffffff) - MARGIN) / GROWTH;
    const chunk = min(len - taken, min(BLOCK_BYTES, fits));
    if (chunk < 0 || (chunk == 0 && taken < len)) return taken;
    block(record, ptr + taken, chunk, last && taken + chunk == len);
    taken += chunk;
  } while (taken < len);
  return taken;
}

function block(record: usize, ptr: usize, len: i32, whole: bool): void {
  const answer = <usize>load<u32>(record);
  const held = load<i32>(record, 28);
  memory.copy(window, record + 144, held);
  memory.copy(window + held, ptr, len);
  const rawEnd = window + held + len;

  let from = window;
  let end = rawEnd;
  const level = <u32>load<u8>(record, 4);
  const escapes = level != PLAIN;
  const slack = <i32>load<u8>(record, 5);
  if (isPlain(window, rawEnd, whole, escapes)) plainText(window, slack);
  else {
    from = decodeText(window, rawEnd, whole, escapes, level == NESTED ? Depth.Nested : Depth.Double, slack);
    end = decodedTo;
  }
  const before = load<i32>(record, 24);
  memory.copy(from - before, record + 80, before);
  setView(from - before, end, whole);

  rawTo = window;
  let p = from;
  let tail = true;
  if (load<i32>(record, 8)) tail = swallowMore(record, answer, p);
  if (tail && load<i32>(record, 8) == 0) {
    if (swallowedTo) p = swallowedTo;
    while (next(p)) {
      putRaw(answer, rawOf(matchFrom));
      p = take(record, answer);
      if (load<i32>(record, 8)) break;
    }
    if (load<i32>(record, 8) == 0) {
      putRaw(answer, rawOf(holdFrom));
      p = holdFrom;
    }
  } else p = swallowedTo;
  swallowedTo = 0;
  save(record, p, from - before, rawEnd, whole);
}

let swallowedTo: usize = 0;

/** Goes on with a match that began in an earlier block; true when it ended. */
function swallowMore(record: usize, answer: usize, p: usize): bool {
  const to = swallow(p, load<i32>(record, 12), load<u32>(record, 16));
  grow(record, p, to);
  store<u32>(record, tailLeft, 16);
  const type = load<i32>(record, 8) - 1;
  const action = actionOf(answer, type);
  if (action <= FLAG) putRaw(answer, rawEndOf(to));
  else rawTo = rawEndOf(to);
  swallowedTo = to;
  if (!tailDone) return false;
  if (action > FLAG && blockedBy(answer) < 0) {
    const out = outTo;
    putReplacement(answer, action, type, sipEnd(record + 32), 0, 0, load<u32>(record, 20));
    mark(marksOf(answer), type, out, outTo);
  }
  store<i32>(record, 0, 8);
  return true;
}

/** Acts on the match in the view; returns where the text after it, or its undecided tail, begins. */
function take(record: usize, answer: usize): usize {
  const from = matchFrom;
  const type = matchType;
  const action = actionOf(answer, type);
  const to = swallow(matchTo, matchTail, matchTailLeft);
  if (action != IGNORE) note(answer, type);
  sipBegin(record + 32);
  store<u32>(record, 0, 20);
  grow(record, from, to);
  const out = outTo;
  if (action <= FLAG) putRaw(answer, rawEndOf(to));
  else rawTo = rawEndOf(to);
  if (!tailDone) {
    store<i32>(record, type + 1, 8);
    store<i32>(record, matchTail, 12);
    store<u32>(record, tailLeft, 16);
  } else if (action > FLAG && blockedBy(answer) < 0) {
    // What can go on past its end is never quoted, or a cut would show in the output.
    const isOpen = matchTail != 0;
    const hash = sipEnd(record + 32);
    putReplacement(answer, action, type, hash, isOpen ? 0 : from, isOpen ? 0 : to, load<u32>(record, 20));
  }
  // What goes on past this block is marked where it stops, unless it goes out as it is.
  if (action != IGNORE && (tailDone || action <= FLAG)) mark(marksOf(answer), type, out, outTo);
  return to;
}

/** Adds [from, to) to the hash and the last four bytes of the match. */
function grow(record: usize, from: usize, to: usize): void {
  sipUpdate(record + 32, from, to);
  let last = load<u32>(record, 20);
  const begin = to - from > 4 ? to - 4 : from;
  for (let p = begin; p < to; p++) last = (last >> 8) | ((<u32>load<u8>(p)) << 24);
  store<u32>(record, last, 20);
}

/** The raw text before it is out, or replaced. */
let rawTo: usize = 0;

/** Puts out what comes before the raw address `to` as it came. */
function putRaw(answer: usize, to: usize): void {
  if (blockedBy(answer) < 0) put(rawTo, to);
  rawTo = to;
}

function save(record: usize, p: usize, low: usize, rawEnd: usize, whole: bool): void {
  const before = min<usize>(p - low, <usize>LOOK_BACK);
  memory.copy(record + 80, p - before, before);
  store<u32>(record, <u32>before, 24);
  // What is not seen behind a key is the key's only if that goes on.
  const raw = load<i32>(record, 8) ? rawEndOf(p) : rawOf(p);
  store<u8>(record, <u8>slackAt(p), 5);
  const held = whole ? 0 : <i32>min<usize>(rawEnd - raw, <usize>HOLD_RAW_MAX);
  memory.copy(record + 144, raw, held);
  store<i32>(record, held, 28);
}
