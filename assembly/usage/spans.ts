// The texts in the piece of an answer that was read last, for who wants to change them (redaction).
//
// A piece is at most PIECE_MAX bytes, and a text takes at least three of them (two quotes and a comma), of which
// an empty one is not listed: so the list never overflows.
//
//   span: channel u32 | first byte u32 | end u32 | flags u32
//   channel: kind (4 bits) | major (14): choice, block, item or candidate | minor (14): tool call or part of it
import { reserve } from "../memory";
import { Channel } from "./shapes";

/** The longest event that is handled as a whole, and the longest piece of anything longer. */
export const PIECE_MAX: i32 = 12 << 10;
const SPANS_MAX: i32 = PIECE_MAX / 3 + 64;

/** The text begins in this piece; it ends here; it is complete in itself, not a delta; it holds JSON. */
export const BEGINS: u32 = 1;
export const ENDS: u32 = 2;
export const WHOLE: u32 = 4;
export const NESTED: u32 = 8;
/** In place of a minor index: all there are. In place of both, with Channel.End: the answer is complete. */
export const ALL: u32 = 0x3fff;

const list: usize = reserve(16 * SPANS_MAX);
export let spanCount: i32 = 0;
let majorFrom: i32 = 0;
let minorFrom: i32 = 0;

export function clearSpans(): void {
  spanCount = 0;
  majorFrom = 0;
  minorFrom = 0;
}

export function addSpan(kind: i32, major: i32, minor: i32, from: usize, to: usize, flags: u32): void {
  relist(channelOf(kind, major, minor), from, to, flags);
}

/** As `addSpan`, for a channel that is known. */
export function relist(channel: u32, from: usize, to: usize, flags: u32): void {
  if (spanCount >= SPANS_MAX) return;
  const at = list + ((<usize>spanCount) << 4);
  spanCount++;
  store<u32>(at, channel);
  store<u32>(at, <u32>from, 4);
  store<u32>(at, <u32>to, 8);
  store<u32>(at, flags, 12);
}

function channelOf(kind: i32, major: i32, minor: i32): u32 {
  return ((<u32>kind) << 28) | (min<u32>(<u32>major, ALL) << 14) | min<u32>(<u32>minor, ALL);
}

export function spanChannel(i: i32): u32 {
  return load<u32>(list + ((<usize>i) << 4));
}
export function spanFrom(i: i32): usize {
  return load<u32>(list + ((<usize>i) << 4), 4);
}
export function spanTo(i: i32): usize {
  return load<u32>(list + ((<usize>i) << 4), 8);
}
export function spanFlags(i: i32): u32 {
  return load<u32>(list + ((<usize>i) << 4), 12);
}

/** From here on spans belong to another choice (or document), or to another part of it. */
export function beginMajor(): void {
  majorFrom = spanCount;
  minorFrom = spanCount;
}
export function beginMinor(): void {
  minorFrom = spanCount;
}

/** Deltas in this piece since then. */
export function deltasHere(sinceMinor: bool): i32 {
  let count = 0;
  for (let i = sinceMinor ? minorFrom : majorFrom; i < spanCount; i++) if (isDelta(i)) count++;
  return count;
}

function isDelta(i: i32): bool {
  return spanChannel(i) >> 28 != <u32>Channel.End && (spanFlags(i) & WHOLE) == 0;
}

/** The index came after the texts: they get it now. */
export function moveMajor(major: i32): void {
  for (let i = majorFrom; i < spanCount; i++) {
    const channel = spanChannel(i);
    store<u32>(list + ((<usize>i) << 4), (channel & 0xf0003fff) | (min<u32>(<u32>major, ALL) << 14));
  }
}
export function moveMinor(minor: i32): void {
  for (let i = minorFrom; i < spanCount; i++) {
    const channel = spanChannel(i);
    if ((channel & ALL) != ALL)
      store<u32>(list + ((<usize>i) << 4), (channel & ~ALL) | min<u32>(<u32>minor, ALL));
  }
}

/** Texts of the kind `from`, since `beginMajor` or `beginMinor`, turn out to be of the kind `to`. */
export function changeKind(from: Channel, to: Channel, sinceMinor: bool): void {
  for (let i = sinceMinor ? minorFrom : majorFrom; i < spanCount; i++) {
    const channel = spanChannel(i);
    if (channel >> 28 == <u32>from)
      store<u32>(list + ((<usize>i) << 4), (channel & 0x0fffffff) | ((<u32>to) << 28));
  }
}
