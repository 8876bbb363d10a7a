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
  // A byte order mark, which RFC 8259 lets us pass over.
  while (state.mark < 3 && ptr < stop) {
    if (load<u8>(ptr) == (state.mark == 0 ? 0xef : state.mark == 1 ? 0xbb : 0xbf)) {
      state.mark++;
      ptr++;
    } else state.mark = 3;
  }
  if (ptr < stop) {
    if (!state.begun) beginDocument(state);
    walk(state, ptr, <i32>(stop - ptr));
  }
  if (!last) return;
  const whole = state.begun && state.scan.depth == 0 && (state.complete || state.array) && !state.broken;
  if (whole) state.finished = true;
  else state.unreadable++;
}
