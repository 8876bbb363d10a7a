// Decoded views: other texts that a text may hide, one level deep. The consumer reads the normalised text, then
//
//   for (views.start(raw, escaped, normal, doubtful); views.next(); ) inspect(views.view, views.kind);
//
// First come, of a doubtful text, the places that the classifier does not find plainly harmless (traces.ts), with misspelt words
// as they are meant.
// Then normalised text is read in windows of WINDOW bytes, each with OVERLAP bytes of the one before, and a window's
// cheap gates (views-gate.ts) say which views to make of it. So one odd line in a megabyte of code costs one
// window, and no padding pushes an attack out of reach. Then come the islands of the raw text (base64, hex), in
// portions, only if some gate saw spaced letters the raw text again
// with its double spaces, because only they tell `i g n o r e  a l l` into words, only with backspaces in it once more as
// these leave it, and what invisible characters carried.
//
// Every view is normalised text in one arena, valid until the next call; no view is a view of a view.
// Bound: per input byte one gate pass, at most 9 window views (misspelt, leet, rot13, reversed twice, upside down,
// rendered, escapes, codes), one pass over the raw text for islands, two for spaced letters, two for backspaces: at most 15 bytes read
// and 14 written, each in O(1), times 1 + OVERLAP / WINDOW. Benign text pays the gate pass and the search for islands.
import { reserve } from "../memory";
import { endOf, lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import {
  backspaces,
  normalise,
  normaliseErasing,
  normaliseGapped,
  smuggled,
  turnedLetters,
} from "./normalise";
import { decodeCodes, decodeEscapes } from "./views-codes";
import {
  decodeLeet,
  decodeReversed,
  decodeReversedWords,
  decodeRot13,
  decodeSpaced,
  decodeTurned,
} from "./views-decode";
import { decodeMisspelt } from "./misspelt";
import { STRETCHES_MAX, stretchCount, stretchFrom, stretchTo } from "./traces";
import { gates } from "./views-gate";
import {
  GATE_CODES,
  GATE_ESCAPES,
  GATE_LEET,
  GATE_RENDERED,
  GATE_REVERSED,
  GATE_ROT13,
  GATE_SPACED,
  MARKS_MIN,
} from "./views-gate-marks";
import { decodeRendered, marksWithin } from "./views-rendered";
import { decodeIslands, islandEnd } from "./views-islands";

/** Bytes of text that become one view; also the most that a view holds, but for a sixth more where misspelt words grow. */
export const WINDOW: i32 = 1024;
/** Bytes at the end of a window that the next one begins with, so that no phrase is cut in both. */
export const OVERLAP: i32 = 160;

/** What a view was made by. */
export enum ViewKind {
  Leet = 1,
  Spaced = 2,
  Rot13 = 3,
  Reversed = 4,
  ReversedWords = 5,
  Escapes = 6,
  Codes = 7,
  Islands = 8,
  Smuggled = 9,
  Misspelt = 10,
  Turned = 11,
  Erased = 12,
  Rendered = 13,
}

/** Bytes that joining letters must save: less is a lone `u.s.a.` or a list of variables. */
const SPACED_MIN: i32 = 5;

/** So many letters on their heads are no transcription of one word. */
const TURNED_MIN: i32 = 5;
const BACKSPACES_MIN: i32 = 3;
/** A character, one more and a backspace are some eight bytes in JSON. */
const ERASED_OVERLAP: usize = WINDOW / 2;

/** Which views are being made, in their order. */
enum Phase {
  Misspelt = 0,
  Windows = 1,
  Islands = 2,
  Spaced = 3,
  Erased = 4,
  Smuggled = 5,
  End = 6,
}

/** A second bit for the second view of one gate, above all gates. */
const TWIN: u32 = 0x8000;
/** A window of a text with letters on their heads. */
const UPSIDE_DOWN: u32 = 0x4000;

/** Where the classifier found a trace. */
@unmanaged
class Place {
  from: usize;
  to: usize;
}

const pad: i32 = 64;
const decoded = reserve(WINDOW + OVERLAP + pad);
const arena = reserve(WINDOW + OVERLAP + pad);
const carried = reserve(WINDOW + pad);
const places = reserve(STRETCHES_MAX * offsetof<Place>());

/** The view in hand: normalised text, valid until the next call of `next` or `start`. */
export let view: Slice = NONE;
export let kind: ViewKind = ViewKind.Leet;
/** Bytes of views made since `start`. */
export let made: i32 = 0;

// The text in hand, and what it may hide as a whole.
let raw: Slice = NONE;
let rawEscaped: bool = false;
let normalText: Slice = NONE;
let anySpaced: bool = false;
let anyErased: bool = false;
let anyTurned: bool = false;
let carriedLen: i32 = 0;
let placeCount: i32 = 0;

let phase: Phase = Phase.End;
/** What this phase has still to read, of the place it is in. */
let at: usize = 0;
let end: usize = 0;
/** The place that comes next. */
let place: i32 = 0;
let window: Slice = NONE;
/** The window's gates whose views have not been made. */
let pending: u32 = 0;

/**
 * Begins the views of `source` (as given to `normalise` last, with the same `escaped`) and its normal form. `doubtful`: the classifier
 * read that last, and misspelt words may make it an attack.
 */
export function start(source: Slice, escaped: bool, normal: Slice, doubtful: bool): void {
  raw = source;
  rawEscaped = escaped;
  normalText = normal;
  phase = Phase.Misspelt;
  place = 0;
  placeCount = doubtful ? stretchCount : 0;
  keepPlaces(normal);
  at = 0;
  end = 0;
  pending = 0;
  anySpaced = false;
  anyErased = backspaces >= BACKSPACES_MIN;
  anyTurned = turnedLetters >= TURNED_MIN;
  made = 0;
  view = NONE;
  // Kept now: normalising a decoded view overwrites the normaliser's own.
  carriedLen = min(lenOf(smuggled()), WINDOW);
  if (carriedLen) memory.copy(carried, ptrOf(smuggled()), carriedLen);
}

/**
 * Kept, as the classifier has other traces once it has read a view. A place has whole words: the rest of one that a block ends
 * in would be another word, for a rule as well.
 */
function keepPlaces(normal: Slice): void {
  const begin = ptrOf(normal);
  const stop = endOf(normal);
  for (let i = 0; i < placeCount; i++) {
    const from = begin + stretchFrom(i);
    const to = begin + stretchTo(i);
    placeAt(i).from = from > begin ? wordStart(from, stop) : begin;
    placeAt(i).to = to < stop ? wordEnd(to) : stop;
  }
}

function placeAt(i: i32): Place {
  return changetype<Place>(places + <usize>i * offsetof<Place>());
}

/** Makes the next view; false when there are no more. */
export function next(): bool {
  while (phase < Phase.End) {
    let len = 0;
    if (phase == Phase.Misspelt) len = misspeltView();
    else if (pending) len = windowView();
    else if (phase == Phase.Windows) nextWindow();
    else if (phase == Phase.Islands) len = islandView();
    else if (phase == Phase.Spaced) len = spacedView();
    else if (phase == Phase.Erased) len = erasedView();
    else len = smuggledView();
    if (len > 0) {
      view = slice(arena, len);
      made += len;
      return true;
    }
  }
  view = NONE;
  return false;
}

function misspeltView(): i32 {
  if (at >= end && place == placeCount) {
    phase = Phase.Windows;
    at = ptrOf(normalText);
    end = endOf(normalText);
    return 0;
  }
  if (at >= end) {
    at = placeAt(place).from;
    end = placeAt(place).to;
    place++;
  }
  kind = ViewKind.Misspelt;
  const stop = cut(at, end);
  const len = decodeMisspelt(slice(at, <i32>(stop - at)), arena);
  at = stop >= end ? end : wordStart(stop - <usize>OVERLAP, stop);
  return len;
}

function nextWindow(): void {
  if (at >= end) {
    phase = Phase.Islands;
    at = ptrOf(raw);
    end = endOf(raw);
    return;
  }
  const stop = cut(at, end);
  window = slice(at, <i32>(stop - at));
  pending = gates(at, <i32>(stop - at));
  if (pending & GATE_SPACED) {
    anySpaced = true;
    pending &= ~GATE_SPACED;
  }
  // The reversed window is followed by its twin with the words left in place.
  if (pending & GATE_REVERSED) pending |= TWIN;
  if (anyTurned) pending |= UPSIDE_DOWN;
  at = stop >= end ? end : wordStart(stop - <usize>OVERLAP, stop);
}

/** Where a window that begins at `from` ends: at most WINDOW bytes on, after a space or else a character. */
function cut(from: usize, to: usize): usize {
  if (to - from <= <usize>WINDOW) return to;
  return wordEnd(from + WINDOW);
}

function wordEnd(to: usize): usize {
  for (let back: usize = 0; back < 64; back++) if (load<u8>(to - back - 1) == 32) return to - back;
  return characterStart(to);
}

function wordStart(from: usize, to: usize): usize {
  for (let on: usize = 0; on < 64 && from + on < to; on++)
    if (load<u8>(from + on - 1) == 32) return from + on;
  return characterStart(from);
}

/** `ptr` moved back over at most three continuation bytes. */
function characterStart(ptr: usize): usize {
  let start = ptr;
  for (let i = 0; i < 3 && (load<u8>(start) & 0xc0) == 0x80; i++) start--;
  return start;
}

function windowView(): i32 {
  const bit = pending & -(<i32>pending);
  pending ^= bit;
  switch (bit) {
    case GATE_LEET:
      kind = ViewKind.Leet;
      return decodeLeet(window, arena);
    case GATE_ROT13:
      kind = ViewKind.Rot13;
      return decodeRot13(window, arena);
    case GATE_REVERSED:
      kind = ViewKind.Reversed;
      return decodeReversed(window, arena);
    case TWIN:
      kind = ViewKind.ReversedWords;
      return decodeReversedWords(window, arena);
    case UPSIDE_DOWN:
      kind = ViewKind.Turned;
      return decodeTurned(window, arena);
    case GATE_RENDERED:
      kind = ViewKind.Rendered;
      return renderedView();
    case GATE_ESCAPES:
      kind = ViewKind.Escapes;
      return escapesView();
    case GATE_CODES:
      kind = ViewKind.Codes;
      return normalise(slice(decoded, decodeCodes(window, decoded)), false, arena, WINDOW + OVERLAP);
    default:
      return 0;
  }
}

function renderedView(): i32 {
  const len = decodeRendered(window, arena);
  return marksWithin < MARKS_MIN ? 0 : len;
}

function escapesView(): i32 {
  const len = decodeEscapes(window, decoded);
  // Nothing decoded: plain text with many ampersands.
  return len == lenOf(window) ? 0 : normalise(slice(decoded, len), false, arena, WINDOW + OVERLAP);
}

function islandView(): i32 {
  if (at >= end) {
    phase = Phase.Spaced;
    at = anySpaced ? ptrOf(raw) : end;
    return 0;
  }
  kind = ViewKind.Islands;
  const len = decodeIslands(at, end, rawEscaped, decoded, WINDOW);
  at = islandEnd;
  return normalise(slice(decoded, len), false, arena, WINDOW);
}

function spacedView(): i32 {
  if (at >= end) {
    phase = Phase.Erased;
    at = anyErased ? ptrOf(raw) : end;
    return 0;
  }
  kind = ViewKind.Spaced;
  const len = normaliseGapped(rawWindow(<usize>OVERLAP), rawEscaped, decoded, WINDOW);
  if ((gates(decoded, len) & GATE_SPACED) == 0) return 0;
  const joined = decodeSpaced(slice(decoded, len), arena);
  return len - joined < SPACED_MIN ? 0 : joined;
}

function erasedView(): i32 {
  if (at >= end) {
    phase = Phase.Smuggled;
    return 0;
  }
  kind = ViewKind.Erased;
  return normaliseErasing(rawWindow(ERASED_OVERLAP), rawEscaped, arena, WINDOW);
}

/** The next window of raw text; the one after it begins with `overlap` bytes of it. */
function rawWindow(overlap: usize): Slice {
  const from = at;
  const stop = rawCut(from, end);
  at = stop >= end ? end : rawBoundary(stop - overlap);
  return slice(from, <i32>(stop - from));
}

/** Where a window of raw text ends, not inside an escape or a character. */
function rawCut(from: usize, to: usize): usize {
  return to - from <= <usize>WINDOW ? to : rawBoundary(from + WINDOW);
}

/** `ptr`, or a place up to 12 bytes before it, that is outside any escape and character. */
function rawBoundary(ptr: usize): usize {
  let place = ptr;
  if (rawEscaped) {
    for (let back: usize = 1; back <= 12; back++) {
      if (load<u8>(ptr - back) == 0x5c) place = ptr - back;
    }
  }
  return characterStart(place);
}

function smuggledView(): i32 {
  phase = Phase.End;
  if (carriedLen == 0) return 0;
  kind = ViewKind.Smuggled;
  return normalise(slice(carried, carriedLen), false, arena, WINDOW);
}
