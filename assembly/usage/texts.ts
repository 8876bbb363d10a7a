// Measures and lists the texts of an answer. A text may come in pieces that end anywhere, even inside an escape.
import { findBackslash } from "../json/escape";
import { hexValue } from "../json/chars";
import { addSpan, BEGINS, ENDS, NESTED, WHOLE } from "./spans";
import { AGAIN, Channel, detailOf, Mark, markOf } from "./shapes";
import { State } from "./state";
import { deltaKind } from "./types";

/**
 * The bytes [from, to) of the inside of a string at `node` (the members of a tool's input have ANY). `begins`,
 * `ends`: whether they are its first and its last.
 */
export function takeText(state: State, node: i32, from: usize, to: usize, begins: bool, ends: bool): void {
  let kind = detailOf(node);
  const atRoot = state.scan.depth == (state.array ? 2 : 1);
  const whole =
    state.wholeDepth != 0 ||
    state.anyDepth != 0 ||
    (!state.streams && !state.array) ||
    (atRoot && markOf(node) != Mark.Delta);
  if (kind == Channel.Unknown && state.typeId) kind = deltaKind(state.typeId);
  if (kind == Channel.Text && state.thoughts) kind = Channel.Reasoning;
  if (begins) {
    state.escapeLeft = 0;
    state.deltaCounted = false;
    state.textBefore = state.textBytes;
    if (ends && from == to) return;
  }
  let flags: u32 = 0;
  if (begins) flags |= BEGINS;
  if (ends) flags |= ENDS;
  if (whole) flags |= WHOLE;
  // The arguments of a tool are text that holds JSON, but for those that are JSON in place.
  if (kind == Channel.Arguments && state.anyDepth == 0) flags |= NESTED;
  addSpan(kind, state.major, state.minor, from, to, flags);
  if (!whole) {
    state.majorDeltas++;
    state.minorDeltas++;
  }
  // In a stream, whole texts repeat what came as deltas.
  if (kind == Channel.Data || (whole && state.streams)) return;
  const again = kind == Channel.Refusal && state.minor >= AGAIN;
  state.again = again;
  if (kind == Channel.Reasoning) state.reasoningHere = true;
  if (from < to && !state.deltaCounted) {
    if (again) state.againDeltas++;
    else state.deltas++;
    state.deltaCounted = true;
  }
  const bytes = decodedBytes(state, from, to);
  if (again) state.againBytes += bytes;
  else state.textBytes += bytes;
}

/** The text at hand turns out to be broken: it counts as little as if it had come in one piece. */
export function forgetText(state: State): void {
  state.textBytes = state.textBefore;
  if (state.deltaCounted && !state.again) state.deltas--;
}

/** The bytes of UTF-8 that [from, to) stands for; an escape counts where it ends. */
function decodedBytes(state: State, from: usize, to: usize): u64 {
  let bytes: u64 = 0;
  let p = from;
  while (p < to) {
    if (state.escapeLeft == 0) {
      const stop = findBackslash(p, to);
      bytes += stop - p;
      if (stop >= to) break;
      state.escapeLeft = 1;
      state.escapeUnit = 0;
      p = stop + 1;
      continue;
    }
    bytes += inEscape(state, load<u8>(p++));
  }
  return bytes;
}

// `escapeLeft`: 1 after the backslash, then 5 … 2 before each of four hexadecimal digits.
function inEscape(state: State, c: u32): i32 {
  if (state.escapeLeft == 1) {
    state.escapeLeft = c == 117 ? 5 : 0;
    return c == 117 ? 0 : 1;
  }
  state.escapeUnit = <u16>(((<u32>state.escapeUnit) << 4) | (hexValue(c) & 15));
  if (--state.escapeLeft > 1) return 0;
  state.escapeLeft = 0;
  const unit = <u32>state.escapeUnit;
  // Half of a surrogate pair is half of four bytes.
  return unit < 0x80 ? 1 : unit < 0x800 || (unit & 0xf800) == 0xd800 ? 2 : 3;
}
