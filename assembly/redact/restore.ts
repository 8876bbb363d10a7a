// Puts the originals of a prompt back into its answer: `[EMAIL_1]` becomes what the vault holds for it. A
// placeholder may be cut anywhere between pieces; at most PLACEHOLDER_MAX bytes are held back.
import { reserve } from "../memory";
import { endOf, lenOf, NONE, ptrOf, Slice } from "../slice";
import { Written } from "./decoded";
import { put, putByte, putHex, putText } from "./output";
import { cut, findOpen, PLACEHOLDER_MAX, placeholderEnd, readNumber, readType } from "./placeholder";
import { original } from "./vault";

@unmanaged
export class Restorer {
  written: Written;
  heldLength: i32;

  /** The beginning of a placeholder. */
  get held(): usize {
    return changetype<usize>(this) + offsetof<Restorer>();
  }
}

export const RESTORER_BYTES: i32 = <i32>offsetof<Restorer>() + PLACEHOLDER_MAX;

/** Originals that were put back into all answers, modulo 2^32. */
export let restored: u32 = 0;

const joined: usize = reserve(2 * PLACEHOLDER_MAX);

/** Starts a text that is `written` so. */
export function openRestorer(restorer: Restorer, written: Written): void {
  memory.fill(changetype<usize>(restorer), 0, RESTORER_BYTES);
  restorer.written = written;
}

/** Puts out the `len` bytes at `ptr` with the placeholders that `vault` knows restored. `last`: hold nothing. */
export function restore(restorer: Restorer, vault: usize, ptr: usize, len: i32, last: bool): void {
  const end = ptr + len;
  let p = ptr;
  if (restorer.heldLength) {
    p = goOn(restorer, vault, ptr, end, last);
    if (restorer.heldLength) return;
  }
  while (p < end) {
    const open = findOpen(p, end);
    put(p, open);
    if (open == end) return;
    const to = placeholderEnd(open, end);
    if (to) putKnown(restorer, vault, open, to);
    else if (cut && !last) {
      hold(restorer, open, end);
      return;
    } else putByte(91);
    p = to ? to : open + 1;
  }
}

/** With the beginning of a placeholder held; returns where the text goes on. */
function goOn(restorer: Restorer, vault: usize, p: usize, end: usize, last: bool): usize {
  const held = <usize>restorer.heldLength;
  const more = min<usize>(end - p, PLACEHOLDER_MAX);
  memory.copy(joined, restorer.held, held);
  memory.copy(joined + held, p, more);
  const to = placeholderEnd(joined, joined + held + more);
  if (to == 0 && cut && !last) {
    hold(restorer, joined, joined + held + more);
    return end;
  }
  restorer.heldLength = 0;
  if (to == 0) {
    // What begins like a placeholder has no other bracket in it.
    put(joined, joined + held);
    return p;
  }
  putKnown(restorer, vault, joined, to);
  return p + (to - joined - held);
}

/** What is cut is shorter than PLACEHOLDER_MAX. */
function hold(restorer: Restorer, from: usize, end: usize): void {
  memory.copy(restorer.held, from, end - from);
  restorer.heldLength = <i32>(end - from);
}

/** The placeholder [from, to) that was read last: its original, or itself if it is none of the vault's. */
function putKnown(restorer: Restorer, vault: usize, from: usize, to: usize): void {
  const value = original(vault, readType, readNumber);
  if (value == NONE) put(from, to);
  else {
    restored++;
    putOriginal(value, restorer.written);
  }
}

function putOriginal(text: Slice, written: Written): void {
  if (written == Written.Plain) {
    put(ptrOf(text), endOf(text));
    return;
  }
  for (let i = 0; i < lenOf(text); i++) {
    const b = <u32>load<u8>(ptrOf(text) + i);
    if (b != 34 && b != 92 && b >= 32) {
      putByte(b);
      continue;
    }
    // The inner string's backslash is one character more of the outer one.
    putText(written == Written.Nested ? "\\\\" : "\\");
    if (b < 32) {
      putText("u");
      putHex(b, 4);
    } else {
      if (written == Written.Nested) putByte(92);
      putByte(b);
    }
  }
}
