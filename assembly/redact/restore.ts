// Puts the originals of a prompt back into its answer: `[EMAIL_1]` becomes what the vault holds for it. A
// placeholder may be cut anywhere between pieces; at most PLACEHOLDER_MAX bytes are held back.
//
//   record: vault u32 | escaped u32 | held u32 | held bytes (24)
import { reserve } from "../memory";
import { endOf, lenOf, NONE, ptrOf, Slice } from "../slice";
import { put, putByte, putText, room } from "./output";
import { LOOK_AHEAD, LOOK_BACK, TYPE_COUNT, typeName } from "./types";
import { original } from "./vault";

const PLACEHOLDER_MAX: i32 = 24;
export const RESTORER_BYTES: i32 = 12 + PLACEHOLDER_MAX;
/** The most that one placeholder becomes: an original whose every byte is escaped. */
const ORIGINAL_MAX: usize = <usize>(LOOK_AHEAD + LOOK_BACK) * 6;
const PIECE_MAX: i32 = 4096;
const window: usize = reserve(PIECE_MAX + PLACEHOLDER_MAX);

/** Starts restoring from `vault`. `escaped`: text is the inside of a JSON string. */
export function openRestorer(record: usize, vault: usize, escaped: bool): void {
  memory.fill(record, 0, RESTORER_BYTES);
  store<u32>(record, <u32>vault);
  store<u32>(record, escaped ? 1 : 0, 4);
}

/**
 * Feeds `len` bytes at `ptr`; returns how many were taken, fewer only for want of room in the output. With `last`,
 * call again with the rest until all is taken.
 */
export function restore(record: usize, ptr: usize, len: i32, last: bool): i32 {
  let taken = 0;
  do {
    const chunk = min(len - taken, PIECE_MAX);
    const held = load<i32>(record, 8);
    memory.copy(window, record + 12, held);
    memory.copy(window + held, ptr + taken, chunk);
    const end = window + held + chunk;
    const stop = restoreBlock(record, end, last && taken + chunk == len);
    // Without room, what was not reached goes back to the caller as far as it came in this call.
    const rest = <i32>(end - stop);
    const returned = isFull ? min(rest, chunk) : 0;
    memory.copy(record + 12, stop, rest - returned);
    store<i32>(record, rest - returned, 8);
    taken += chunk - returned;
    if (isFull) return taken;
  } while (taken < len);
  return taken;
}

let isFull: bool = false;

/** Restores the window up to `end`; returns where it stopped: an unfinished placeholder, or no room. */
function restoreBlock(record: usize, end: usize, whole: bool): usize {
  isFull = false;
  let p = window;
  while (p < end) {
    let open = p;
    while (open < end && load<u8>(open) != 91) open++;
    if (room() < ORIGINAL_MAX + (open - p)) {
      isFull = true;
      return p;
    }
    put(p, open);
    if (open >= end) return end;
    const to = placeholderEnd(<usize>load<u32>(record), open, end);
    if (to == 0 && cut && !whole) return open;
    if (to == 0) {
      putByte(91);
      p = open + 1;
    } else {
      putOriginal(value, load<u32>(record, 4) != 0);
      p = to;
    }
  }
  return end;
}

let cut: bool = false;
let value: Slice = NONE;

/** The end of the placeholder at `p` whose original is known (in `value`), or 0; `cut` when it may go on. */
function placeholderEnd(vault: usize, p: usize, end: usize): usize {
  cut = false;
  for (let type = 0; type < TYPE_COUNT; type++) {
    const name = typeName(type);
    let i = p + 1;
    let n = 0;
    while (n < name.length && i < end && <i32>load<u8>(i) == name.charCodeAt(n)) {
      i++;
      n++;
    }
    if (i == end) cut = true;
    if (n < name.length || i == end || load<u8>(i) != 95) continue;
    i++;
    let number: u32 = 0;
    const digits = i;
    while (i < end && i - digits < 5 && load<u8>(i) - 48 < 10) number = number * 10 + (load<u8>(i++) - 48);
    if (i == end) {
      cut = true;
      return 0;
    }
    if (i == digits || load<u8>(i) != 93) return 0;
    value = original(vault, type, number);
    return value == NONE ? 0 : i + 1;
  }
  return 0;
}

function putOriginal(text: Slice, escaped: bool): void {
  if (!escaped) {
    put(ptrOf(text), endOf(text));
    return;
  }
  for (let i = 0; i < lenOf(text); i++) {
    const b = <u32>load<u8>(ptrOf(text) + i);
    if (b == 34 || b == 92) {
      putByte(92);
      putByte(b);
    } else if (b < 32) {
      putText("\\u00");
      putByte(48 + (b >> 4));
      putByte((b & 15) < 10 ? 48 + (b & 15) : 87 + (b & 15));
    } else putByte(b);
  }
}
