// The detectors as a small module of their own, for `weir redact`: the same code as the edge's, without the filter.
import { reserve } from "../memory";
import { slice } from "../slice";
import { usePhrases } from "./phrases";
import { matchEnd, next } from "./detect";
import { matchFrom, matchType, setView } from "./view";
import { decodeWhole, rawOf, wholeTo } from "./whole";

/** Bytes of one text, and spans listed in one call. */
export const TEXT_MAX: i32 = 1 << 20;
export const SPANS_MAX: i32 = 4096;

// Loads of 16 bytes may look past the end of a text.
const text = reserve(TEXT_MAX + 64);
const work = reserve(TEXT_MAX + 64);
const spans = reserve(12 * SPANS_MAX);

/** Where a text is to be put, up to TEXT_MAX bytes. */
export function textAt(): usize {
  return text;
}

/** Where `find` lists spans: | start u32 | end u32 | type u32 |, byte offsets. */
export function spansAt(): usize {
  return spans;
}

/** Lists the spans of the text of `len` bytes that begin at or after `from`; returns how many, at most SPANS_MAX. */
export function find(len: i32, from: i32): i32 {
  usePhrases(0);
  const view = decodeWhole(slice(text, len), false, work);
  setView(view, wholeTo, true);
  let n = 0;
  let p = view;
  while (n < SPANS_MAX && next(p, 0)) {
    p = matchEnd();
    const start = <i32>(rawOf(matchFrom, true) - text);
    const end = <i32>(rawOf(p, false) - text);
    if (start < from) continue;
    const at = spans + 12 * <usize>n;
    store<u32>(at, start);
    store<u32>(at, end, 4);
    store<u32>(at, <u32>matchType, 8);
    n++;
  }
  return n;
}
