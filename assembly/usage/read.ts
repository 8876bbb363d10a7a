// Reads bytes of an answer of any kind.
import { endLines, readLines } from "./lines";
import { State } from "./state";
import { beginDocument, walk } from "./walk";

/** Reads `len` bytes at `ptr`; with `last`, nothing follows. */
export function readAnswer(state: State, ptr: usize, len: i32, last: bool): void {
  if (state.streams) {
    readLines(state, ptr, ptr + len);
    if (last) endLines(state);
    return;
  }
  const stop = ptr + len;
  // RFC 8259 lets us pass over it.
  while (ptr < stop && state.takeMark(load<u8>(ptr))) ptr++;
  if (ptr < stop) {
    if (!state.begun) beginDocument(state);
    walk(state, ptr, <i32>(stop - ptr));
  }
  if (!last) return;
  const whole = state.begun && state.scan.depth == 0 && (state.complete || state.array) && !state.broken;
  if (whole) state.finished = true;
  else state.unreadable++;
}
