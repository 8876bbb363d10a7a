// Redacts the texts of a prompt, each of which is there whole, on their way into a new body. What is not replaced
// keeps its bytes, escapes included.
//
// Numbers of placeholders begin after those that the prompt itself has, as the history of a chat may, so that one
// placeholder never stands for two values.
//
//   body  ┌──────────┬───────┬───────────────┬───────┬─────┐
//         │ as it is │ match │ as it is      │ match │ …   │     `copiedTo`: everything before it is out
//         └──────────┴───────┴───────────────┴───────┴─────┘
import { decode, escapeEnd, findBackslash, unescape, utf8Size } from "../json/escape";
import { endOf, lenOf, ptrOf, Slice, slice } from "../slice";
import { actionOf, blockedBy, note, startAfter } from "./answer";
import { matchEnd, next } from "./detect";
import { outFrom, outTo, overflow, put, setOutput } from "./output";
import { findOpen, placeholderEnd, readNumber, readType } from "./placeholder";
import { putReplacement } from "./replace";
import { SIP_BYTES, sipBegin, sipEnd, sipUpdate } from "./sip";
import { FLAG, IGNORE, NUMBERS_MAX, REVERSIBLE } from "./types";
import { matchFrom, matchType, setView } from "./view";

const hashing: usize = memory.data(SIP_BYTES, 8);

let answer: usize = 0;
let body: Slice = 0;
let copiedTo: usize = 0;
let numbered: bool = false;
/** A value was to be put back later, and there was no room to remember it. */
export let unkept: bool = false;

/** Begins with the texts of `text`; what it becomes is written to `to`, at most `capacity` bytes. */
export function beginWhole(forAnswer: usize, text: Slice, to: usize, capacity: i32): void {
  answer = forAnswer;
  body = text;
  copiedTo = ptrOf(text);
  numbered = false;
  unkept = false;
  setOutput(to, capacity);
}

/** Redacts the text `raw` of the body, which lies after those before; `work` is room for it decoded. */
export function redactWhole(raw: Slice, escaped: bool, work: usize): void {
  let from = ptrOf(raw);
  let to = endOf(raw);
  if (escaped) {
    from = work;
    to = work + decode(raw, work, lenOf(raw));
  }
  seek(raw, from, escaped);
  setView(from, to, true);
  let p = from;
  while (next(p)) {
    p = matchEnd();
    take(matchFrom, p, matchType);
    if (blockedBy(answer) >= 0) return;
  }
}

/** Ends the body; returns it, as it was if nothing was replaced. Not to be used when `overflow` is set. */
export function endWhole(): Slice {
  if (copiedTo == ptrOf(body)) return body;
  put(copiedTo, endOf(body));
  return slice(outFrom, <i32>(outTo - outFrom));
}

/** Whether the new body did not fit. */
export function isTooLong(): bool {
  return overflow;
}

function take(from: usize, to: usize, type: i32): void {
  const action = actionOf(answer, type);
  if (action == IGNORE) return;
  note(answer, type);
  if (action == FLAG || blockedBy(answer) >= 0) return;
  if (!numbered) skipNumbers();
  sipBegin(hashing);
  sipUpdate(hashing, from, to);
  put(copiedTo, rawOf(from));
  const last = to - from >= 4 ? load<u32>(to - 4) : 0;
  const known = putReplacement(answer, action, type, sipEnd(hashing), from, to, last);
  if (action == REVERSIBLE && !known) unkept = true;
  copiedTo = rawOf(to);
}

/** Placeholders that stand in the body keep their numbers to themselves. */
function skipNumbers(): void {
  numbered = true;
  const end = endOf(body);
  for (let p = findOpen(ptrOf(body), end); p < end; p = findOpen(p + 1, end)) {
    if (placeholderEnd(p, end) && readNumber <= NUMBERS_MAX) startAfter(answer, readType, readNumber);
  }
}

// The way back from decoded to raw addresses, which only go up.
let rawAt: usize = 0;
let rawEnd: usize = 0;
let decodedAt: usize = 0;
let backslash: usize = 0;

function seek(raw: Slice, decoded: usize, escaped: bool): void {
  rawAt = ptrOf(raw);
  rawEnd = endOf(raw);
  decodedAt = decoded;
  backslash = escaped ? findBackslash(rawAt, rawEnd) : rawEnd;
}

function rawOf(decoded: usize): usize {
  while (decodedAt < decoded) {
    const run = min(backslash - rawAt, decoded - decodedAt);
    rawAt += run;
    decodedAt += run;
    if (decodedAt == decoded) break;
    decodedAt += utf8Size(unescape(rawAt, rawEnd));
    rawAt = escapeEnd();
    backslash = findBackslash(rawAt, rawEnd);
  }
  return rawAt;
}
