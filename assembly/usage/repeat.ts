// The events of a stream are mostly alike: `data: {"id":…,"choices":[{"delta":{"content":"` text `"}}]}`. Of an event
// with one delta the bytes around its text are kept; the next that has the same bytes there says the same but for its
// text, so it is taken without a walk through its JSON. Values that differ in every event and mean nothing to us, a padding, a time and a
// number in sequence, are left out like the text.
//
//   event    │ data: {"type":"…","sequence_number": │ 12 │ ,"delta":" │ text │ ","obfuscation":" │ a7xQ │ "} LF LF │
//   kept     │ run                                  │    │ run        │      │ run               │      │ run      │
//
// Kept for each answer (state.ts): ENVELOPE_MAX bytes, and HOLES_MAX places between them. Only text without
// escapes is taken so; all else is read. That an event is like an earlier one is told on, and where its paddings are: what is
// to be redacted in it can only be there.
import { utf8Length } from "../json/skip";
import { reserve } from "../memory";
import { same } from "../same";
import { lenOf, lit, NONE, ptrOf, slice, Slice } from "../slice";
import { ALL, ENDS, relist, spanChannel, spanCount, spanFlags, spanFrom, spanTo, WHOLE } from "./spans";
import { Channel } from "./shapes";
import { AnswerKind, ENVELOPE_MAX, State } from "./state";

/** What may stand between two runs. */
enum Hole {
  Text = 1,
  /** The inside of a string that is not looked at. */
  Padding = 2,
  /** A number that is not looked at. */
  Number = 3,
}
/** As many as a word holds lengths of runs, less one. */
const HOLES_MAX: i32 = 3;
/** After so many events that were all different one in UNLIKE_STEP is kept: to keep one costs as much as to read it. */
const UNLIKE_MAX: u8 = 16;
const UNLIKE_STEP: u8 = 16;

// Names of members are the only place for these bytes: inside a string a quote has a backslash before it.
/** OpenAI's, and that of Mistral and Cloudflare. */
const PADDING = lit('"obfuscation":"');
const SHORT_PADDING = lit('"p":"');
const TIME = lit('"created_at":"');
const NUMBER = lit('"sequence_number":');
const QUOTE: u8 = 34;

/** Two line feeds. */
const EMPTY_LINE: u16 = 0x0a0a;

/** The text of the event that `match` found last. */
let textFrom: usize = 0;
let textTo: usize = 0;

/** The event that was read last, if it is like the envelope; its paddings, from … to u32 each. */
let likeEvent: Slice = NONE;
let likeNumber: u32 = 0;
let paddings: i32 = 0;
const paddingList: usize = reserve(8 * HOLES_MAX);

/** Nothing is known of the piece that is read next. */
export function forgetLike(): void {
  likeEvent = NONE;
}

/** The number of the envelope that `event`, which was read last, has around its text and its paddings; 0: it is like none. */
export function likeOf(event: Slice): u32 {
  return event == likeEvent ? likeNumber : 0;
}

/** The paddings of that event, in their order. */
export function paddingCount(): i32 {
  return paddings;
}
export function paddingAt(i: i32): Slice {
  const at = paddingList + ((<usize>i) << 3);
  return slice(load<u32>(at), <i32>(load<u32>(at, 4) - load<u32>(at)));
}

/** Keeps the bytes around the text of the event [from, to), which was read whole, if it is one of those. */
export function keepEnvelope(state: State, from: usize, to: usize, firstSpan: i32): void {
  // What usage means depends on the events before.
  if (spanCount != firstSpan + 1 || state.broken || !state.complete || state.usageHere) return;
  const channel = spanChannel(firstSpan);
  const kind = channel >> 28;
  if (kind == <u32>Channel.End || kind == <u32>Channel.Data || kind == <u32>Channel.Unknown) return;
  if ((spanFlags(firstSpan) & (ENDS | WHOLE)) != ENDS || (channel & ALL) == ALL) return;
  // Of a line of JSON that is between two, the last byte is a line feed.
  if (state.kind == AnswerKind.Events && load<u16>(to - 2) != EMPTY_LINE) return;
  const known = spanTo(firstSpan);
  if (
    state.envelopeChannel == channel &&
    match(state, from, to, known) == to &&
    textFrom == spanFrom(firstSpan)
  ) {
    liken(state, from, to);
    return;
  }
  // Begins anew after 255.
  state.unlike++;
  if (state.unlike > UNLIKE_MAX && state.unlike % UNLIKE_STEP != 0) return;
  state.envelopeLength = 0;
  if (!keepRuns(state, from, to, spanFrom(firstSpan), known)) return;
  state.envelopeChannel = channel;
  state.envelopeFlags = spanFlags(firstSpan);
  state.envelopeNumber++;
}

function liken(state: State, from: usize, to: usize): void {
  likeEvent = slice(from, <i32>(to - from));
  likeNumber = state.envelopeNumber;
}

/** Copies what of [from, to) is neither the text nor a value that is not looked at; false when that is too much. */
function keepRuns(state: State, from: usize, to: usize, start: usize, end: usize): bool {
  let holes: u32 = 0;
  let count = 0;
  let runs: u64 = 0;
  let length = 0;
  let run = from;
  for (let p = from; p < to; p++) {
    let hole = Hole.Text;
    let after = end;
    if (p != start) {
      if (load<u8>(p) != QUOTE || count == HOLES_MAX - (p < start ? 1 : 0)) continue;
      const name = paddingName(p, to);
      if (name != NONE) {
        after = plainEnd(p + lenOf(name), to);
        // What is left of it would be looked at by itself, and so would not be what it is.
        if (load<u8>(after) != QUOTE) continue;
        hole = Hole.Padding;
        p += lenOf(name);
      } else if (begins(p, to, NUMBER)) {
        hole = Hole.Number;
        p += lenOf(NUMBER);
        after = digitsEnd(p, to);
      } else continue;
    }
    const size = <i32>(p - run);
    if (length + size > ENVELOPE_MAX) return false;
    memory.copy(state.envelope + length, run, size);
    runs |= (<u64>size) << (<u64>(count << 4));
    holes |= (<u32>hole) << (<u32>(count << 3));
    count++;
    length += size;
    run = after;
    p = after - 1;
  }
  const size = <i32>(to - run);
  if (length + size > ENVELOPE_MAX) return false;
  memory.copy(state.envelope + length, run, size);
  state.envelopeRuns = runs | ((<u64>size) << (<u64>(count << 4)));
  state.envelopeHoles = holes;
  state.envelopeLength = length + size;
  return true;
}

/** The name at `p` of a string that is not looked at, with the quote that begins it; NONE if there is none. */
function paddingName(p: usize, to: usize): Slice {
  if (begins(p, to, PADDING)) return PADDING;
  if (begins(p, to, SHORT_PADDING)) return SHORT_PADDING;
  return begins(p, to, TIME) ? TIME : NONE;
}

function begins(p: usize, to: usize, name: Slice): bool {
  return to - p > <usize>lenOf(name) && same(p, ptrOf(name), lenOf(name));
}

/** The end of the event that begins at `p` if it is like the one that was kept, and then its text is taken; else 0. */
export function repeated(state: State, p: usize, stop: usize): usize {
  const end = match(state, p, stop, 0);
  if (!end) return 0;
  state.unlike = 0;
  liken(state, p, end);
  state.textBytes += textTo - textFrom;
  state.deltas++;
  relist(state.envelopeChannel, textFrom, textTo, state.envelopeFlags);
  return end;
}

/** The end of the event at `p` if the kept runs stand in it; else 0. Its text ends at `known`, or before the first escape if that is 0. */
function match(state: State, p: usize, stop: usize, known: usize): usize {
  if (state.envelopeLength == 0 || stop - p < <usize>state.envelopeLength) return 0;
  paddings = 0;
  let run = state.envelope;
  let runs = state.envelopeRuns;
  let holes = state.envelopeHoles;
  while (true) {
    const length = <i32>(runs & 0xffff);
    if (stop - p < <usize>length || !same(run, p, length)) return 0;
    p += length;
    if (holes == 0) return p;
    run += length;
    runs >>= 16;
    const from = p;
    const hole = <Hole>(holes & 0xff);
    holes >>= 8;
    if (hole == Hole.Number) {
      p = digitsEnd(p, stop);
      if (p == from) return 0;
    } else if (hole == Hole.Padding) {
      p = plainEnd(p, stop);
      store<u32>(paddingList + ((<usize>paddings) << 3), <u32>from);
      store<u32>(paddingList + ((<usize>paddings) << 3), <u32>p, 4);
      paddings++;
    } else {
      p = known ? known : textEnd(p, stop);
      if (p <= from) return 0;
      textFrom = from;
      textTo = p;
    }
  }
}

/** The first byte in [p, stop) that is not of valid text as it stands in a JSON string, or `stop`. */
function textEnd(p: usize, stop: usize): usize {
  while (true) {
    p = plainEnd(p, stop);
    if (p == stop || load<u8>(p) < 128) return p;
    const length = utf8Length(p, stop);
    if (length == 0) return p;
    p += length;
  }
}

/** The end of the natural number at `p`, as JSON writes them; `p` if there is none. */
function digitsEnd(p: usize, stop: usize): usize {
  const from = p;
  while (p < stop && <u32>load<u8>(p) - 48 < 10) p++;
  return p - from > 1 && load<u8>(from) == 48 ? from : p;
}

/** The first byte in [p, stop) that is not an ASCII character of a JSON string as it stands, or `stop`. */
function plainEnd(p: usize, stop: usize): usize {
  if (ASC_FEATURE_SIMD) {
    while (p + 16 <= stop) {
      const v = v128.load(p);
      // As signed numbers, bytes from 128 on are below 32 too.
      const special = v128.or(
        i8x16.lt_s(v, i8x16.splat(32)),
        v128.or(i8x16.eq(v, i8x16.splat(34)), i8x16.eq(v, i8x16.splat(92))),
      );
      const mask = i8x16.bitmask(special);
      if (mask) return p + ctz(mask);
      p += 16;
    }
  }
  while (p < stop) {
    const b = <u32>load<u8>(p);
    if (b < 32 || b >= 128 || b == 34 || b == 92) return p;
    p++;
  }
  return p;
}
