// Puts the originals of a prompt back into its answer: `[EMAIL_1]` becomes what the vault holds for it. A
// placeholder may be cut anywhere between pieces; at most PLACEHOLDER_MAX bytes are held back.
//
//   record: level u32 | held u32 | held bytes (24)
import { reserve } from "../memory";
import { endOf, lenOf, NONE, ptrOf, Slice } from "../slice";
import { put, putByte, putText } from "./output";
import { cut, findOpen, PLACEHOLDER_MAX, placeholderEnd, readNumber, readType } from "./placeholder";
import { original } from "./vault";

export const RESTORER_BYTES: i32 = 8 + PLACEHOLDER_MAX;
const HELD_AT: usize = 8;

/** How a text is written, and so how an original must be. */
export const PLAIN: u32 = 0;
/** The inside of a JSON string. */
export const QUOTED: u32 = 1;
/** The inside of a JSON string that holds JSON, as the arguments of a tool: in there, too, it stands in a string. */
export const NESTED: u32 = 2;

/** Originals that were put back into all answers, modulo 2^32. */
export let restored: u32 = 0;

const joined: usize = reserve(2 * PLACEHOLDER_MAX);

/** Starts a text that is written as `level` says. */
export function openRestorer(record: usize, level: u32): void {
  memory.fill(record, 0, RESTORER_BYTES);
  store<u32>(record, level);
}

export function isRestorerHolding(record: usize): bool {
  return load<u32>(record, 4) != 0;
}

/** Puts out the `len` bytes at `ptr` with the placeholders that `vault` knows restored. `last`: hold nothing. */
export function restore(record: usize, vault: usize, ptr: usize, len: i32, last: bool): void {
  const end = ptr + len;
  let p = ptr;
  if (load<u32>(record, 4)) {
    p = goOn(record, vault, ptr, end, last);
    if (load<u32>(record, 4)) return;
  }
  while (p < end) {
    const open = findOpen(p, end);
    put(p, open);
    if (open == end) return;
    const to = placeholderEnd(open, end);
    if (to) putKnown(record, vault, open, to);
    else if (cut && !last) {
      hold(record, open, end);
      return;
    } else putByte(91);
    p = to ? to : open + 1;
  }
}

/** With the beginning of a placeholder held; returns where the text goes on. */
function goOn(record: usize, vault: usize, p: usize, end: usize, last: bool): usize {
  const held = <usize>load<u32>(record, 4);
  const more = min<usize>(end - p, PLACEHOLDER_MAX);
  memory.copy(joined, record + HELD_AT, held);
  memory.copy(joined + held, p, more);
  const to = placeholderEnd(joined, joined + held + more);
  if (to == 0 && cut && !last) {
    hold(record, joined, joined + held + more);
    return end;
  }
  store<u32>(record, 0, 4);
  if (to == 0) {
    // What begins like a placeholder has no other bracket in it.
    put(joined, joined + held);
    return p;
  }
  putKnown(record, vault, joined, to);
  return p + (to - joined - held);
}

/** What is cut is shorter than PLACEHOLDER_MAX. */
function hold(record: usize, from: usize, end: usize): void {
  memory.copy(record + HELD_AT, from, end - from);
  store<u32>(record, <u32>(end - from), 4);
}

/** The placeholder [from, to) that was read last: its original, or itself if it is none of the vault's. */
function putKnown(record: usize, vault: usize, from: usize, to: usize): void {
  const value = original(vault, readType, readNumber);
  if (value == NONE) put(from, to);
  else {
    restored++;
    putOriginal(value, load<u32>(record));
  }
}

function putOriginal(text: Slice, level: u32): void {
  if (level == PLAIN) {
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
    putText(level == NESTED ? "\\\\" : "\\");
    if (b < 32) {
      putText("u00");
      putByte(48 + (b >> 4));
      putByte((b & 15) < 10 ? 48 + (b & 15) : 87 + (b & 15));
    } else {
      if (level == NESTED) putByte(92);
      putByte(b);
    }
  }
}
