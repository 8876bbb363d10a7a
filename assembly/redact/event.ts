// Redacts what of an event is no text of a channel: its data is JSON (body.ts); any other line, a comment or a field, is a
// text by itself. Fed in parts that are cut anywhere; where it is in a line is kept with the body:
//
//   body + 14: bytes of `data:` so far u8, or IN_DATA, or IN_OTHER
//        + 15: bytes of the stream's byte order mark u8, or ALL_DATA: its events are lines of JSON
import { isLineEnd, lineEnd } from "../line-end";
import { feedBody, textOf } from "./body";
import { Written } from "./decoded";
import { put } from "./output";
import { feed, openRedactor } from "./redactor";

const IN_DATA: u32 = 5;
const IN_OTHER: u32 = 6;
/** A byte order mark that is over, or was not there. */
const NO_MARK: u32 = 3;
const ALL_DATA: u32 = 4;

const DATA: usize = memory.data<u8>([100, 97, 116, 97, 58]);
const COLON_AT: u32 = 4;

/** Takes every line of the stream for an event's data. */
export function expectLines(body: usize): void {
  store<u8>(body, <u8>ALL_DATA, 15);
}

/** Feeds `len` bytes of an event; there must be room for them in the output (`roomForBody`). */
export function feedEvent(body: usize, ptr: usize, len: i32): void {
  if (<u32>load<u8>(body, 15) == ALL_DATA) {
    feedBody(body, ptr, len);
    return;
  }
  const end = ptr + len;
  let p = ptr;
  while (p < end) {
    if (<u32>load<u8>(body, 14) < IN_DATA) {
      p = beginLine(body, p, end);
      continue;
    }
    const stop = lineEnd(p, end);
    const after = min(stop + 1, end);
    if (<u32>load<u8>(body, 14) == IN_DATA) feedBody(body, p, <i32>(after - p));
    else feed(textOf(body).redactor, p, <i32>(after - p), stop < end);
    if (stop < end) store<u8>(body, 0, 14);
    p = after;
  }
}

/** Reads at a line's beginning until it is known what line it is; what of `data:` has come is put out then. */
function beginLine(body: usize, p: usize, end: usize): usize {
  let seen = <u32>load<u8>(body, 14);
  if (seen == 0 && <u32>load<u8>(body, 15) < NO_MARK) {
    p = skipMark(body, p, end);
    if (p == end) return p;
  }
  while (seen <= COLON_AT && p < end && load<u8>(p) == load<u8>(DATA + seen)) {
    seen++;
    p++;
  }
  store<u8>(body, <u8>seen, 14);
  if (seen == IN_DATA) put(DATA, DATA + seen);
  else if (p < end) {
    if (seen == 0 && isLineEnd(load<u8>(p))) {
      put(p, p + 1);
      return p + 1;
    }
    store<u8>(body, <u8>IN_OTHER, 14);
    openRedactor(textOf(body).redactor, <usize>load<u32>(body), Written.Plain);
    if (seen != 0) feed(textOf(body).redactor, DATA, <i32>seen, false);
  }
  return p;
}

function skipMark(body: usize, p: usize, end: usize): usize {
  let mark = <u32>load<u8>(body, 15);
  while (p < end && mark < NO_MARK) {
    if (load<u8>(p) == (mark == 0 ? 0xef : mark == 1 ? 0xbb : 0xbf)) {
      put(p, p + 1);
      p++;
      mark++;
    } else mark = NO_MARK;
  }
  store<u8>(body, <u8>mark, 15);
  return p;
}
