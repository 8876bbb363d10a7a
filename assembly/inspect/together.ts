// Texts that stand in several parts of one message, or in several messages in a row of one speaker, put together: a model reads them as
// one text, so no attack may pass because it is cut up. Of each part its first and last EDGE bytes are taken, since what is inside one is judged with it.
//
// A run is read in pieces of at most ROOM bytes, each of which begins with the last KEPT bytes of the one before.
//
// Bounds: twice 2 × EDGE bytes of each part, so a body of short parts is read three times; ROOM × 2 bytes of memory.
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import { Prompt } from "./prompt-spans";

const EDGE: i32 = 256;
const ROOM: i32 = 8192;
const KEPT: i32 = 1024;
/** What a text reads on in blocks. */
const PAD: usize = 256;
const SPACE: u32 = 32;

const text = reserve(<usize>ROOM + PAD);
/** Room for the normal form of a piece. */
export const togetherWork = reserve(<usize>ROOM + PAD);

let runFrom: i32 = 0;
/** The span behind the run that was found last. */
export let runTo: i32 = 0;
let at: i32 = 0;
let filled: i32 = 0;

/** Finds the next speaker, from span `from` on, who says something in more than one part. */
export function findRun(prompt: Prompt, from: i32): bool {
  let first = -1;
  let parts = 0;
  for (let i = from; i < prompt.count; i++) {
    if (!prompt.isPart(i)) continue;
    if (first < 0 || !prompt.goesOn(i)) {
      if (parts > 1) break;
      first = i;
      parts = 0;
    }
    parts++;
    runTo = i + 1;
  }
  runFrom = first;
  return parts > 1;
}

/** Before the run's first piece. */
export function beginRun(): void {
  at = runFrom;
  filled = 0;
}

/** The next piece of the run, or NONE: its parts with a space between each two, or as they are. It is the inside of a JSON string. */
export function nextPiece(prompt: Prompt, spaced: bool): Slice {
  if (at >= runTo) return NONE;
  const kept = min(filled, KEPT);
  memory.copy(text, text + <usize>(filled - kept), <usize>kept);
  filled = kept;
  for (; at < runTo && filled + 2 * EDGE + 3 <= ROOM; at++) {
    if (!prompt.isPart(at)) continue;
    if (spaced && filled > 0) {
      store<u8>(text + <usize>filled, SPACE);
      filled++;
    }
    put(prompt.raw(at));
  }
  return slice(text, filled);
}

function put(raw: Slice): void {
  const len = lenOf(raw);
  if (len <= 2 * EDGE) {
    append(ptrOf(raw), len);
    return;
  }
  append(ptrOf(raw), EDGE);
  store<u16>(text + <usize>filled, (SPACE << 8) | SPACE);
  filled += 2;
  append(ptrOf(raw) + <usize>(len - EDGE), EDGE);
}

function append(from: usize, len: i32): void {
  memory.copy(text + <usize>filled, from, <usize>len);
  filled += len;
}
