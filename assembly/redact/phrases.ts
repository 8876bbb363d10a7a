// The policy's own phrases and simple patterns, and canaries: fragments that an answer must never contain.
//
// A phrase is compared in lower case (ASCII, and letters.ts), each run of white space (any that Unicode has) as one space and without
// characters that are not seen (blanks.ts). What is spelled out, as in JSON that is only text, is what it means: `\n` is
// white space, `\"` a quote. Three bytes stand for a class, so that a compiler of patterns outside can
// target this table: 0x01 a digit, 0x02 a letter, 0x03 either. A phrase begins and ends at a word boundary when its own
// ends are word characters. At most PHRASE_MAX bytes are compared (a longer canary is known by its beginning), over at
// most LOOK_AHEAD bytes of text: one that is drawn out beyond them is known by its first KNOWN_BY bytes.
//
// Of several that begin at one place one that blocks counts before one that is replaced, and that before one that is only flagged,
// then a canary before a pattern, then the longest: what is found is replaced to its end, and where the policy lists what does not matter.
//
// Each tier of a policy has a table of its own, in the policy's memory; the bytes that phrases begin with become
// triggers for all of them, which costs a look and changes nothing.
//
//   table: heads 256 × u16 (entry + 1 by the first byte, folded) | 512 count u32 | 528 entries
//   entry (16 bytes): text ptr u32 | length u16 | type u8 | 2: it blocks, 1: it is replaced | next entry u16, by first byte | …
import { endOf, fold, ptrOf, Slice } from "../slice";
import { blank } from "./blanks";
import { ALNUM, ALPHA, DIGIT, has } from "./chars";
import { addTrigger } from "./filter";
import { beginsLetter, foldLetter } from "./letters";
import { BLOCK, CANARY, CUSTOM, FLAG, LOOK_AHEAD, PHRASE_COUNT_MAX, PHRASE_MAX } from "./types";
import { at, back, found, isLineOrTab, isSpelled } from "./view";

const COUNT_AT: usize = 512;
const ENTRIES_AT: usize = 528;
/** Bytes of text that one look may read, but for the rest of a character. */
const REACH: usize = <usize>LOOK_AHEAD - 4;
const KNOWN_BY: i32 = 24;
const BACKSLASH: u32 = 92;
const QUOTE: u32 = 34;
/** The table that is searched; 0: none. */
let heads: usize = 0;

/** The zeroed memory that a table of `count` phrases needs. */
export function phraseTableBytes(count: i32): usize {
  return ENTRIES_AT + ((<usize>count) << 4);
}

/** Searches for the phrases of `table` (0: none) from now on. */
export function usePhrases(table: usize): void {
  heads = table;
}

/** Whether there are any to search for. */
export function hasPhrases(): bool {
  return heads != 0;
}

/**
 * Adds `text` (UTF-8, or with class bytes) as `type` (CUSTOM or CANARY), with which `action` is done, to a table with room for it; `to` is
 * memory for as many bytes as the text has, for the life of the table. False when it is shorter than 4 bytes once blanks are
 * collapsed, or begins with a class byte. At configuration.
 */
export function addPhrase(table: usize, text: Slice, type: i32, action: u8, to: usize): bool {
  const count = load<i32>(table, COUNT_AT);
  if (count == PHRASE_COUNT_MAX || (type != CUSTOM && type != CANARY)) return false;
  let n = 0;
  const end = endOf(text);
  let p = ptrOf(text);
  while (p < end && n < PHRASE_MAX) {
    const b = load<u8>(p);
    const gap = blank(b, p + 1 < end ? load<u8>(p, 1) : 0, p + 2 < end ? load<u8>(p, 2) : 0);
    if (gap == 0) store<u8>(to + n++, fold(b));
    else if (gap > 0 && n > 0 && load<u8>(to + n - 1) != 32) store<u8>(to + n++, 32);
    p += max(abs(gap), 1);
  }
  // No part of a character: its rest would stay.
  if (p < end && load<u8>(p) >> 6 == 2) while (load<u8>(to + --n) >> 6 == 2);
  if (n > 0 && load<u8>(to + n - 1) == 32) n--;
  if (n < 4 || load<u8>(to) <= 3) return false;
  foldLetters(to, to + n);
  const entry = table + ENTRIES_AT + <usize>(count << 4);
  store<u32>(entry, <u32>to);
  store<u16>(entry, <u16>n, 4);
  store<u8>(entry, <u8>type, 6);
  store<u8>(entry, <u8>(action == BLOCK ? 2 : action > FLAG ? 1 : 0), 7);
  store<i32>(table, count + 1, COUNT_AT);
  chain(table, entry, load<u8>(to), count + 1);
  return true;
}

function foldLetters(p: usize, end: usize): void {
  for (; p < end; p++) {
    if (!beginsLetter(load<u8>(p))) continue;
    store<u16>(p, <u16>foldLetter(load<u8>(p), load<u8>(p, 1)));
    p++;
  }
}

function entryOf(table: usize, number: u32): usize {
  return table + ENTRIES_AT + ((<usize>number - 1) << 4);
}

function chain(table: usize, entry: usize, first: u32, number: i32): void {
  let link = table + <usize>(first << 1);
  for (let n = load<u16>(link); n && rankOf(entryOf(table, n)) > rankOf(entry); n = load<u16>(link))
    link = entryOf(table, n) + 8;
  store<u16>(entry, load<u16>(link), 8);
  store<u16>(link, <u16>number);
  addTrigger(first);
  if (first - 97 < 26) addTrigger(first - 32);
  if (beginsLetter(first)) addTrigger(first - 1);
}

/** Higher is looked for first. */
function rankOf(entry: usize): u32 {
  return ((<u32>load<u16>(entry, 6)) << 16) | load<u16>(entry, 4);
}

function inClass(b: u32, cls: u32): bool {
  return has(b, cls == 1 ? DIGIT : cls == 2 ? ALPHA : ALNUM);
}

/** A phrase that begins at `p`, where there are any. */
export function phrase(p: usize): bool {
  let first = <u32>fold(load<u8>(p));
  if (beginsLetter(first)) first = foldLetter(first, at(p + 1)) & 255;
  let n = load<u16>(heads + <usize>(first << 1));
  while (n) {
    const entry = entryOf(heads, n);
    if (matches(entry, p)) return true;
    n = load<u16>(entry, 8);
  }
  return false;
}

function matches(entry: usize, p: usize): bool {
  const text = <usize>load<u32>(entry);
  const len = <i32>load<u16>(entry, 4);
  const type = <i32>load<u8>(entry, 6);
  if (has(load<u8>(p), ALNUM) && has(back(p, 1), ALNUM) && !isSpelled(p)) return false;
  let i = p;
  let n = 0;
  while (n < len) {
    const want = <u32>load<u8>(text + n);
    // Not inside a character, of which no part may stay.
    if (i - p >= REACH && want >> 6 != 2) return n >= KNOWN_BY && found(p, i, type);
    const have = at(i);
    const gap = blankAt(i, have);
    if (want == 32) {
      if (gap == 0) return false;
      let spaces = gap > 0;
      i += abs(gap);
      for (let more = blankAt(i, at(i)); more != 0 && i - p < REACH; more = blankAt(i, at(i))) {
        if (more > 0) spaces = true;
        i += abs(more);
      }
      if (!spaces) return false;
      n++;
    } else if (gap < 0) i -= gap;
    else if (beginsLetter(have)) {
      if (<u32>load<u16>(text + n) != foldLetter(have, at(i + 1))) return false;
      i += 2;
      n += 2;
    } else if (want == QUOTE && have == BACKSLASH && at(i + 1) == QUOTE) i++;
    else if (want <= 3 ? !inClass(have, want) : <u32>fold(<u8>have) != want) return false;
    else {
      i++;
      n++;
    }
  }
  if (len < PHRASE_MAX && has(load<u8>(i - 1), ALNUM) && has(at(i), ALNUM)) return false;
  return found(p, i, type);
}

/** `blank` for the character at `i`, which begins with `have`, or for white space that is spelled out there. */
function blankAt(i: usize, have: u32): i32 {
  if (have == BACKSLASH) return isLineOrTab(at(i + 1)) ? 2 : 0;
  if (have < 0x80) return blank(have, 0, 0);
  return have < 0xc2 ? 0 : blank(have, at(i + 1), at(i + 2));
}
