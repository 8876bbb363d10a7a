// Redacts what of an event is no text of a channel: its data is JSON (body.ts); any other line, a comment or a field, is a
// text by itself, or JSON that clients take for the answer. Fed in parts that are cut anywhere.
import { isLineEnd, lineEnd } from "../line-end";
import { lit, ptrOf } from "../slice";
import { Body, feedBody } from "./body";
import { ALPHA, has } from "./chars";
import { Written } from "./decoded";
import { put } from "./output";
import { feed, openRedactor } from "./redactor";

// What line it is: so many bytes of `data:`, or one of these.
const IN_DATA: i32 = 5;
const IN_OTHER: i32 = 6;
/** So many bytes of a byte order mark have come, or it was not there. */
const NO_MARK: i32 = 3;
const COLON: u8 = 58;

const DATA = ptrOf(lit("data:"));

/** Feeds `len` bytes of an event; there must be room for them in the output (`roomForBody`). */
export function feedEvent(body: Body, ptr: usize, len: i32): void {
  if (body.lines) {
    feedBody(body, ptr, len);
    return;
  }
  const end = ptr + len;
  let p = ptr;
  while (p < end) {
    if (body.line < IN_DATA) {
      p = beginLine(body, p, end);
      continue;
    }
    const stop = lineEnd(p, end);
    const after = min(stop + 1, end);
    if (body.line == IN_DATA) feedBody(body, p, <i32>(after - p));
    else feed(body.text.redactor, p, <i32>(after - p), stop < end);
    if (stop < end) body.line = 0;
    p = after;
  }
}

/** Reads at a line's beginning until it is known what line it is; what of `data:` has come is put out then. */
function beginLine(body: Body, p: usize, end: usize): usize {
  let seen = body.line;
  if (seen == 0 && body.mark < NO_MARK) {
    p = skipMark(body, p, end);
    if (p == end) return p;
  }
  while (seen < IN_DATA && p < end && load<u8>(p) == load<u8>(DATA + seen)) {
    seen++;
    p++;
  }
  body.line = seen;
  if (seen == IN_DATA) put(DATA, DATA + seen);
  else if (p < end) {
    if (seen == 0 && isLineEnd(load<u8>(p))) {
      put(p, p + 1);
      return p + 1;
    }
    body.line = IN_OTHER;
    const begin = load<u8>(p);
    // What begins as no field or comment does may be JSON that is called an event stream, in one line or several.
    const isField = seen != 0 || has(begin, ALPHA) || begin == COLON;
    openRedactor(body.text.redactor, body.answer, isField ? Written.Plain : Written.Quoted);
    if (seen != 0) feed(body.text.redactor, DATA, seen, false);
  }
  return p;
}

function skipMark(body: Body, p: usize, end: usize): usize {
  let mark = body.mark;
  while (p < end && mark < NO_MARK) {
    if (load<u8>(p) == (mark == 0 ? 0xef : mark == 1 ? 0xbb : 0xbf)) {
      put(p, p + 1);
      p++;
      mark++;
    } else mark = NO_MARK;
  }
  body.mark = mark;
  return p;
}
