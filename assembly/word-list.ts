// Closed lists of words, written as one text with a space between them: `list("not never cannot")`. None is so long that a table
// would be worth its memory.
//
//   │ length u8 │ word │ length u8 │ word │ …
//
// Bound: each word of the list is compared once; most differ in length or first byte.
import { reserve } from "./memory";
import { same } from "./same";
import { endOf, lenOf, ptrOf, slice, Slice } from "./slice";

const SPACE: u32 = 0x20;

/** The words of a literal as UTF-8, each of at most 255 bytes. Reserves memory: for module-level constants only. */
export function list(words: string): Slice {
  const ptr = reserve(3 * words.length + 1);
  const end = ptr + 1 + <usize>String.UTF8.encodeUnsafe(changetype<usize>(words), words.length, ptr + 1);
  // A word's length takes the place of the space before it.
  for (let before = ptr, at = ptr + 1; at <= end; at++) {
    if (at < end && load<u8>(at) != SPACE) continue;
    store<u8>(before, <u8>(at - before - 1));
    before = at;
  }
  return slice(ptr, <i32>(end - ptr));
}

/** Whether `word` is one of the words of `list`. */
export function isOneOf(list: Slice, word: Slice): bool {
  return matches(list, word, Match.Whole);
}

/** Whether `word` begins with one of the words of `list`. */
export function begins(list: Slice, word: Slice): bool {
  return matches(list, word, Match.Beginning);
}

/** Whether `text` ends with one of the words of `list`. */
export function endsWith(list: Slice, text: Slice): bool {
  return matches(list, text, Match.End);
}

enum Match {
  Whole = 0,
  Beginning = 1,
  End = 2,
}

function matches(list: Slice, word: Slice, how: Match): bool {
  const len = lenOf(word);
  if (len == 0) return false;
  const first: u32 = load<u8>(ptrOf(word));
  const listEnd = endOf(list);
  let size: i32 = 0;
  for (let at = ptrOf(list) + 1; at < listEnd; at += size + 1) {
    size = load<u8>(at - 1);
    if (size > len || (size < len && how == Match.Whole)) continue;
    if (how != Match.End && <u32>load<u8>(at) != first) continue;
    if (same(ptrOf(word) + <usize>(how == Match.End ? len - size : 0), at, size)) return true;
  }
  return false;
}
