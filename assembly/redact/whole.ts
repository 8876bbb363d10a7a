// Redacts the texts of a prompt, each of which is there whole, on their way into a new body. What is not replaced
// keeps its bytes, escapes included.
//
// Numbers of placeholders begin after those that the prompt itself has, as the history of a chat may, so that one
// placeholder never stands for two values.
//
//   body  ┌──────────┬───────┬───────────────┬───────┬─────┐
//         │ as it is │ match │ as it is      │ match │ …   │     `copiedTo`: everything before it is out
//         └──────────┴───────┴───────────────┴───────┴─────┘
import { escapeEnd, findBackslash, unescape } from "../json/escape";
import { endOf, ptrOf, Slice, slice } from "../slice";
import { actionOf, blockedBy, note, startAfter } from "./answer";
import { isPlain, itemSize, itemSlack, itemTo, putItem, readItem, SLACK, Written } from "./decoded";
import { matchEnd, next } from "./detect";
import { outFrom, outTo, overflow, put, setOutput } from "./output";
import { findOpen, OPEN, PLACEHOLDER_MAX, placeholderEnd, readNumber, readType } from "./placeholder";
import { putReplacement } from "./replace";
import { SIP_BYTES, sipBegin, sipEnd, sipUpdate } from "./sip";
import { FLAG, IGNORE, NUMBERS_MAX, REVERSIBLE } from "./types";
import { findUnseen } from "./unseen";
import { matchFrom, matchType, setView } from "./view";

const hashing: usize = memory.data(SIP_BYTES, 8);
/** What begins like a placeholder, without escapes. */
const plain: usize = memory.data(PLACEHOLDER_MAX);

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
  const from = decodeWhole(raw, escaped, work);
  setView(from, wholeTo, true);
  let p = from;
  while (next(p, answer)) {
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
  skipNumbers();
  sipBegin(hashing);
  sipUpdate(hashing, from, to);
  put(copiedTo, rawOf(from, true));
  const last = to - from >= 4 ? load<u32>(to - 4) : 0;
  const known = putReplacement(answer, action, type, sipEnd(hashing), from, to, last);
  if (action == REVERSIBLE && !known) unkept = true;
  copiedTo = rawOf(to, false);
}

/** Placeholders that stand in the body, as they are or in escapes, keep their numbers to themselves. Once is enough. */
export function skipNumbers(): void {
  if (numbered) return;
  numbered = true;
  const end = endOf(body);
  for (let p = findOpen(ptrOf(body), end); p < end; p = findOpen(p + 1, end)) skipNumber(p, end);
  for (let p = findBackslash(ptrOf(body), end); p < end; p = findBackslash(escapeEnd(), end)) {
    if (unescape(p, end) != OPEN) continue;
    skipNumber(p, end);
    unescape(p, end);
  }
}

/** The same of the one that begins at `p`, if one does. */
function skipNumber(p: usize, end: usize): void {
  let n: usize = 0;
  while (p < end && n < <usize>PLACEHOLDER_MAX) {
    const b = <u32>load<u8>(p);
    const point = b == 92 ? unescape(p, end) : b;
    p = b == 92 ? escapeEnd() : p + 1;
    if (point >= 128) break;
    store<u8>(plain + n++, <u8>point);
  }
  if (placeholderEnd(plain, plain + n) && readNumber <= NUMBERS_MAX) startAfter(answer, readType, readNumber);
}

// The way back from decoded to raw addresses, which only go up: what is between them is read once more.
let rawAt: usize = 0;
let rawEnd: usize = 0;
let decodedAt: usize = 0;
let slack: i32 = 0;
let item: usize = 0;
let escapes: bool = false;

/** Where the text that `decodeWhole` decoded ends. */
export let wholeTo: usize = 0;

/** The text that `raw` stands for: itself, or at `work`, where there is room for as many bytes. */
export function decodeWhole(raw: Slice, escaped: bool, work: usize): usize {
  escapes = escaped;
  rawEnd = endOf(raw);
  let p = ptrOf(raw);
  let o = p;
  wholeTo = rawEnd;
  if (!isPlain(p, rawEnd, true, escaped ? Written.Once : Written.Plain)) {
    o = work;
    begin(p, o);
    while (item < rawEnd) {
      memory.copy(o, p, item - p);
      o += item - p;
      if (item > p) slack = SLACK;
      p = item;
      readItem(p, rawEnd, true, Written.Once, slack);
      putItem(o, p);
      o += itemSize;
      pass();
      p = rawAt;
    }
    memory.copy(o, p, rawEnd - p);
    wholeTo = o + (rawEnd - p);
    o = work;
  }
  begin(ptrOf(raw), o);
  return o;
}

function begin(raw: usize, decoded: usize): void {
  rawAt = raw;
  decodedAt = decoded;
  slack = SLACK;
  item = findUnseen(raw, rawEnd, true, escapes);
}

/** The item that was read is behind. */
function pass(): void {
  rawAt = itemTo;
  decodedAt += itemSize;
  slack = itemSlack;
  item = findUnseen(rawAt, rawEnd, true, escapes);
}

/** The raw address of `decoded`, behind or before what was left out there. */
export function rawOf(decoded: usize, behind: bool): usize {
  while (decodedAt <= decoded) {
    const run = min(item - rawAt, decoded - decodedAt);
    rawAt += run;
    decodedAt += run;
    if (run > 0) slack = SLACK;
    if (rawAt < item || rawAt == rawEnd || (!behind && decodedAt == decoded)) return rawAt;
    readItem(rawAt, rawEnd, true, Written.Once, slack);
    if (decodedAt == decoded && itemSize != 0) return rawAt;
    pass();
  }
  return rawAt;
}
