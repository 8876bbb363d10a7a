// An event without its texts, kept so that text which was held back can go out later in an event of the same kind:
// with the same ids, model and indices, whatever the provider puts there.
//
// Most events fit as they are. Of one that comes in parts only the beginning is there, and is closed behind the text. Of a longer one, arrays that do not hold the text (search results, probabilities of
// tokens) are emptied, which needs a walk byte by byte. Bounds: TEMPLATE_MAX bytes, EVENT_MAX bytes of event, 64 levels.
import { reserve } from "../memory";
import { lenOf, ptrOf, Slice } from "../slice";
import { PIECE_BYTES, TEMPLATE_MAX } from "./types";

/** The longest event of which a template is made. */
const EVENT_MAX: i32 = 12 << 10;
const LEVELS: i32 = 64;

/** What closes an event behind a text: a quote, a bracket for each level, two line ends. */
const CLOSE_MAX: i32 = LEVELS + 3;

const work: usize = reserve(EVENT_MAX);
/** The brackets that close what is open. */
const closing: usize = memory.data(64);
/** Where in the output each open array or object began. */
const opened: usize = reserve((<usize>LEVELS) << 2);

/** Where in the template the text goes. */
export let templateSplit: i32 = 0;

/**
 * Writes `event` without the texts of its `count` pieces to `to` (TEMPLATE_MAX); the text of piece `which` belongs at
 * `templateSplit`. Returns its length, or -1 when it does not fit.
 */
export function makeTemplate(event: Slice, pieces: usize, count: i32, which: i32, to: usize): i32 {
  const len = lenOf(event);
  let length = len;
  for (let i = 0; i < count; i++) length -= <i32>(pieceEnd(pieces, i) - pieceStart(pieces, i));
  if (length <= TEMPLATE_MAX) return copy(event, pieces, count, which, to);
  if (len > EVENT_MAX) return -1;
  length = condense(event, pieces, count, which);
  if (length < 0 || length > TEMPLATE_MAX) return -1;
  memory.copy(to, work, length);
  return length;
}

/**
 * The same of an event of which only the beginning has come, up to and with piece `which`: what is open there is closed, and what
 * follows is left out. It is a `single` line, or ends with an empty one. -1 also when its text stands in no JSON.
 */
export function makeBeginning(event: Slice, pieces: usize, which: i32, single: bool, to: usize): i32 {
  let p = to;
  let from: u32 = 0;
  for (let i = 0; i <= which; i++) {
    const until = pieceStart(pieces, i);
    if (p - to + (until - from) > <usize>(TEMPLATE_MAX - CLOSE_MAX)) return -1;
    memory.copy(p, ptrOf(event) + from, until - from);
    p += until - from;
    from = pieceEnd(pieces, i);
  }
  templateSplit = <i32>(p - to);
  let depth = 0;
  let inString = false;
  for (let q = to; q < p; q++) {
    const b = <u32>load<u8>(q);
    if (inString) {
      if (b == 92) q++;
      else if (b == 34) inString = false;
    } else if (b == 34) inString = depth > 0;
    else if (b == 123 || b == 91) {
      if (depth == LEVELS) return -1;
      store<u8>(closing + depth, <u8>(b + 2));
      depth++;
    } else if ((b == 125 || b == 93) && depth > 0) depth--;
  }
  if (!inString) return -1;
  store<u8>(p++, 34);
  while (depth > 0) store<u8>(p++, load<u8>(closing + --depth));
  store<u8>(p++, 10);
  if (!single) store<u8>(p++, 10);
  return <i32>(p - to);
}

function pieceStart(pieces: usize, i: i32): u32 {
  return load<u32>(pieces + <usize>(i * PIECE_BYTES), 4);
}

function pieceEnd(pieces: usize, i: i32): u32 {
  return load<u32>(pieces + <usize>(i * PIECE_BYTES), 8);
}

function copy(event: Slice, pieces: usize, count: i32, which: i32, to: usize): i32 {
  let p = to;
  let from: u32 = 0;
  for (let i = 0; i <= count; i++) {
    const until = i < count ? pieceStart(pieces, i) : <u32>lenOf(event);
    memory.copy(p, ptrOf(event) + from, until - from);
    p += until - from;
    if (i == which) templateSplit = <i32>(p - to);
    if (i < count) from = pieceEnd(pieces, i);
  }
  return <i32>(p - to);
}

/** The same with arrays emptied; -1 when it nests too deeply. */
function condense(event: Slice, pieces: usize, count: i32, which: i32): i32 {
  let o = work;
  let from: u32 = 0;
  let depth = 0;
  let inString = false;
  templateSplit = -1;
  for (let i = 0; i <= count; i++) {
    const until = i < count ? pieceStart(pieces, i) : <u32>lenOf(event);
    for (let p = from; p < until; p++) {
      const b = <u32>load<u8>(ptrOf(event) + p);
      store<u8>(o, <u8>b);
      o++;
      if (inString) {
        if (b == 34) inString = false;
        else if (b == 92 && p + 1 < until) {
          p++;
          store<u8>(o, load<u8>(ptrOf(event) + p));
          o++;
        }
      } else if (b == 34) inString = true;
      else if (b == 91 || b == 123) {
        if (depth == LEVELS) return -1;
        store<u32>(opened + ((<usize>depth) << 2), <u32>(o - work));
        depth++;
      } else if ((b == 93 || b == 125) && depth > 0) {
        depth--;
        const start = load<i32>(opened + ((<usize>depth) << 2));
        if (b == 93 && templateSplit < start) {
          o = work + start;
          store<u8>(o, 93);
          o++;
        }
      }
    }
    if (i == which) templateSplit = <i32>(o - work);
    if (i < count) from = pieceEnd(pieces, i);
  }
  return <i32>(o - work);
}
