// The events of a stream are mostly alike: `data: {"id":…,"choices":[{"delta":{"content":"` text `"}}]}`. Of an event
// with one delta the bytes around its text are kept; the next that has the same bytes there says the same but for its
// text, so it is taken without a walk through its JSON.
//
// Kept for each answer (state.ts): ENVELOPE_MAX bytes. Only plain ASCII without escapes is taken so; all else is read.
import { same } from "../same";
import { ALL, ENDS, relist, spanChannel, spanCount, spanFlags, spanFrom, spanTo, WHOLE } from "./spans";
import { Channel } from "./shapes";
import { ENVELOPE_MAX, State } from "./state";

/** Two line feeds. */
const EMPTY_LINE: u16 = 0x0a0a;

/** Keeps the bytes around the text of the event [from, to), which was read whole, if it is one of those. */
export function keepEnvelope(state: State, from: usize, to: usize, firstSpan: i32): void {
  // What usage means depends on the events before.
  if (spanCount != firstSpan + 1 || state.broken || !state.complete || state.usageHere) return;
  const channel = spanChannel(firstSpan);
  const kind = channel >> 28;
  if (kind == <u32>Channel.End || kind == <u32>Channel.Data || kind == <u32>Channel.Unknown) return;
  if ((spanFlags(firstSpan) & (ENDS | WHOLE)) != ENDS || (channel & ALL) == ALL) return;
  const start = spanFrom(firstSpan);
  const end = spanTo(firstSpan);
  const length = <i32>(start - from + (to - end));
  if (length > ENVELOPE_MAX || load<u16>(to - 2) != EMPTY_LINE) return;
  const before = <i32>(start - from);
  if (state.envelopeLength == length && state.envelopeSplit == before) {
    if (same(state.envelope, from, before) && same(state.envelope + before, end, length - before)) return;
  }
  memory.copy(state.envelope, from, start - from);
  memory.copy(state.envelope + before, end, to - end);
  state.envelopeLength = length;
  state.envelopeSplit = before;
  state.envelopeChannel = channel;
  state.envelopeFlags = spanFlags(firstSpan);
}

/** The end of the event that begins at `p` if it is like the one that was kept, and then its text is taken; else 0. */
export function repeated(state: State, p: usize, stop: usize): usize {
  const length = state.envelopeLength;
  const before = state.envelopeSplit;
  if (length == 0 || stop - p <= <usize>length) return 0;
  const text = p + before;
  if (!same(state.envelope, p, before)) return 0;
  const end = plainEnd(text, stop);
  const rest = length - before;
  if (end == text || stop - end < <usize>rest || !same(state.envelope + before, end, rest)) return 0;
  state.textBytes += end - text;
  state.deltas++;
  relist(state.envelopeChannel, text, end, state.envelopeFlags);
  return end + rest;
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
