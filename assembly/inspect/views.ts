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

/** What a view was made by; 0 is no view: the normalised text itself. */
export const VIEW_MAIN: i32 = 0;
export const VIEW_LEET: i32 = 1;
export const VIEW_SPACED: i32 = 2;
export const VIEW_ROT13: i32 = 3;
export const VIEW_REVERSED: i32 = 4;
export const VIEW_REVERSED_WORDS: i32 = 5;
export const VIEW_ESCAPES: i32 = 6;
export const VIEW_CODES: i32 = 7;
export const VIEW_ISLANDS: i32 = 8;
export const VIEW_SMUGGLED: i32 = 9;
export const VIEW_MISSPELT: i32 = 10;
export const VIEW_TURNED: i32 = 11;
export const VIEW_ERASED: i32 = 12;
export const VIEW_RENDERED: i32 = 13;

/** Bytes that joining letters must save: less is a lone `u.s.a.` or a list of variables. */
const SPACED_MIN: i32 = 5;

/** So many letters on their heads are no transcription of one word. */
const TURNED_MIN: i32 = 5;
const BACKSPACES_MIN: i32 = 3;
/** A character, one more and a backspace are some eight bytes in JSON. */
const ERASED_OVERLAP: usize = WINDOW / 2;

const PHASE_MISSPELT: i32 = 0;
const PHASE_WINDOWS: i32 = 1;
const PHASE_ISLANDS: i32 = 2;
const PHASE_SPACED: i32 = 3;
const PHASE_ERASED: i32 = 4;
const PHASE_SMUGGLED: i32 = 5;
const PHASE_END: i32 = 6;

const pad: i32 = 64;
const decoded = reserve(WINDOW + OVERLAP + pad);
const arena = reserve(WINDOW + OVERLAP + pad);
const carried = reserve(WINDOW + pad);
/** The places of the classifier's traces, as pointers: | from u32 | to u32 | … */
const places = reserve(STRETCHES_MAX << 3);

/** The view in hand: normalised text, valid until the next call of `next` or `start`. */
export let view: Slice = NONE;
/** What made it: VIEW_*. */
export let kind: i32 = 0;
/** Bytes of views made since `start`. */
export let made: i32 = 0;

let raw: Slice = NONE;
let rawEscaped: bool = false;
let phase: i32 = PHASE_END;
let at: usize = 0;
let end: usize = 0;
let window: Slice = NONE;
let pending: u32 = 0;
let anySpaced: bool = false;
let anyErased: bool = false;
let anyTurned: bool = false;
let carriedLen: i32 = 0;
let normalText: Slice = NONE;
let placeCount: i32 = 0;
let place: i32 = 0;

/**
 * Begins the views of `source` (as given to `normalise` last, with the same `escaped`) and its normal form. `doubtful`: the classifier
 * read that last, and misspelt words may make it an attack.
 */
export function start(source: Slice, escaped: bool, normal: Slice, doubtful: bool): void {
  raw = source;
  rawEscaped = escaped;
  normalText = normal;
  phase = PHASE_MISSPELT;
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
    store<u32>(places + ((<usize>i) << 3), <u32>(from > begin ? wordStart(from, stop) : begin));
    store<u32>(places + ((<usize>i) << 3), <u32>(to < stop ? wordEnd(to) : stop), 4);
  }
}

/** Makes the next view; false when there are no more. */
export function next(): bool {
  while (phase < PHASE_END) {
    let len = 0;
    if (phase == PHASE_MISSPELT) len = misspeltView();
    else if (pending) len = windowView();
    else if (phase == PHASE_WINDOWS) nextWindow();
    else if (phase == PHASE_ISLANDS) len = islandView();
    else if (phase == PHASE_SPACED) len = spacedView();
    else if (phase == PHASE_ERASED) len = erasedView();
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
    phase = PHASE_WINDOWS;
    at = ptrOf(normalText);
    end = endOf(normalText);
    return 0;
  }
  if (at >= end) {
    at = load<u32>(places + ((<usize>place) << 3));
    end = load<u32>(places + ((<usize>place) << 3), 4);
    place++;
  }
  kind = VIEW_MISSPELT;
  const stop = cut(at, end);
  const len = decodeMisspelt(slice(at, <i32>(stop - at)), arena);
  at = stop >= end ? end : wordStart(stop - <usize>OVERLAP, stop);
  return len;
}

function nextWindow(): void {
  if (at >= end) {
    phase = PHASE_ISLANDS;
    at = ptrOf(raw);
    end = endOf(raw);
    return;
  }
  let stop = cut(at, end);
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

/** A second bit for the second view of one gate, above all gates. */
const TWIN: u32 = 0x8000;
/** A window of a text with letters on their heads. */
const UPSIDE_DOWN: u32 = 0x4000;

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
  if (bit == GATE_LEET) {
    kind = VIEW_LEET;
    return decodeLeet(window, arena);
  }
  if (bit == GATE_ROT13) {
    kind = VIEW_ROT13;
    return decodeRot13(window, arena);
  }
  if (bit == GATE_REVERSED) {
    kind = VIEW_REVERSED;
    return decodeReversed(window, arena);
  }
  if (bit == TWIN) {
    kind = VIEW_REVERSED_WORDS;
    return decodeReversedWords(window, arena);
  }
  if (bit == UPSIDE_DOWN) {
    kind = VIEW_TURNED;
    return decodeTurned(window, arena);
  }
  if (bit == GATE_RENDERED) {
    kind = VIEW_RENDERED;
    const len = decodeRendered(window, arena);
    return marksWithin < MARKS_MIN ? 0 : len;
  }
  if (bit == GATE_ESCAPES) {
    kind = VIEW_ESCAPES;
    const len = decodeEscapes(window, decoded);
    // Nothing decoded: plain text with many ampersands.
    return len == lenOf(window) ? 0 : normalise(slice(decoded, len), false, arena, WINDOW + OVERLAP);
  }
  if (bit == GATE_CODES) {
    kind = VIEW_CODES;
    return normalise(slice(decoded, decodeCodes(window, decoded)), false, arena, WINDOW + OVERLAP);
  }
  return 0;
}

function islandView(): i32 {
  if (at >= end) {
    phase = PHASE_SPACED;
    at = anySpaced ? ptrOf(raw) : end;
    return 0;
  }
  kind = VIEW_ISLANDS;
  const len = decodeIslands(at, end, rawEscaped, decoded, WINDOW);
  at = islandEnd;
  return normalise(slice(decoded, len), false, arena, WINDOW);
}

function spacedView(): i32 {
  if (at >= end) {
    phase = PHASE_ERASED;
    at = anyErased ? ptrOf(raw) : end;
    return 0;
  }
  kind = VIEW_SPACED;
  const len = normaliseGapped(rawWindow(<usize>OVERLAP), rawEscaped, decoded, WINDOW);
  if ((gates(decoded, len) & GATE_SPACED) == 0) return 0;
  const joined = decodeSpaced(slice(decoded, len), arena);
  return len - joined < SPACED_MIN ? 0 : joined;
}

function erasedView(): i32 {
  if (at >= end) {
    phase = PHASE_SMUGGLED;
    return 0;
  }
  kind = VIEW_ERASED;
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
  phase = PHASE_END;
  if (carriedLen == 0) return 0;
  kind = VIEW_SMUGGLED;
  return normalise(slice(carried, carriedLen), false, arena, WINDOW);
}
