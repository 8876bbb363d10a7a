// Closed lists of words, written as one text with a space between them: `list("not never cannot")`. Most are asked seldom, and none is
// so long that a table would be worth its memory.
//
// Bound: each word of the list is compared once.
import { reserve } from "./memory";
import { same } from "./same";
import { lenOf, ptrOf, slice, Slice } from "./slice";

const SPACE: u32 = 0x20;

/** The words of a literal as UTF-8. Reserves memory: for module-level constants only. */
export function list(words: string): Slice {
  const ptr = reserve(3 * words.length);
  return slice(ptr, <i32>String.UTF8.encodeUnsafe(changetype<usize>(words), words.length, ptr));
}

/** Where the word of a list that begins at `word` ends. */
export function listedEnd(word: usize, listEnd: usize): usize {
  while (word < listEnd && load<u8>(word) != SPACE) word++;
  return word;
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
  const listEnd = ptrOf(list) + <usize>lenOf(list);
  const len = lenOf(word);
  for (let at = ptrOf(list); at < listEnd; at++) {
    const next = listedEnd(at, listEnd);
    const size = <i32>(next - at);
    if (size == len || (size < len && how != Match.Whole)) {
      const from = how == Match.End ? ptrOf(word) + <usize>(len - size) : ptrOf(word);
      if (same(from, at, size)) return true;
    }
    at = next;
  }
  return false;
}
