// Closed lists of words, written as one text with a space between them: `list("not never cannot")`. None is so long that a table
// would be worth its memory; they stand by their first bytes, so that a word is compared with those alone that begin like it.
//
//   │ 33 × where a group begins, u16 │ length u8 │ word │ length u8 │ word │ …
//                                    └ the slice
//
// Bound: each word of one group is compared once, or of the whole list where words end the text; most differ in length.
import { reserve } from "./memory";
import { same } from "./same";
import { endOf, lenOf, ptrOf, slice, Slice } from "./slice";

const SPACE: u32 = 0x20;
/** Words are grouped by the low bits of their first byte, which tell letters apart. */
const GROUPS: u32 = 32;
const HEAD_BYTES: usize = (GROUPS + 1) << 1;
/** UTF-16 units of the longest list. */
const UNITS_MAX: i32 = 1023;
const written = reserve(3 * UNITS_MAX + 1);

/** The words of a literal as UTF-8, each of at most 255 bytes. Reserves memory: for module-level constants only. */
export function list(words: string): Slice {
  if (words.length > UNITS_MAX) unreachable();
  const bytes = <usize>String.UTF8.encodeUnsafe(changetype<usize>(words), words.length, written);
  const ptr = reserve(HEAD_BYTES + bytes + 1) + HEAD_BYTES;
  let to = ptr;
  for (let group: u32 = 0; group < GROUPS; group++) {
    setGroup(ptr, group, to);
    to = copyGroup(group, written + bytes, to);
  }
  setGroup(ptr, GROUPS, to);
  return slice(ptr, <i32>(to - ptr));
}

/** Copies the words of `group`, in the order in which they are written up to `end`, to `to`; where they end. */
function copyGroup(group: u32, end: usize, to: usize): usize {
  for (let word = written; word < end; ) {
    let next = word;
    while (next < end && load<u8>(next) != SPACE) next++;
    if (groupOf(load<u8>(word)) == group) {
      store<u8>(to, <u8>(next - word));
      memory.copy(to + 1, word, next - word);
      to += 1 + next - word;
    }
    word = next + 1;
  }
  return to;
}

function groupOf(byte: u32): u32 {
  return byte % GROUPS;
}

function setGroup(list: usize, group: u32, at: usize): void {
  store<u16>(list - HEAD_BYTES + ((<usize>group) << 1), <u16>(at - list));
}

/** Where `group` of the list at `list` begins, and the one before it ends. */
function groupAt(list: usize, group: u32): usize {
  return list + load<u16>(list - HEAD_BYTES + ((<usize>group) << 1));
}

/** Whether `word` is one of the words of `list`. */
export function isOneOf(list: Slice, word: Slice): bool {
  return matches(list, word, true);
}

/** Whether `word` begins with one of the words of `list`. */
export function begins(list: Slice, word: Slice): bool {
  return matches(list, word, false);
}

function matches(list: Slice, word: Slice, whole: bool): bool {
  const len = lenOf(word);
  if (len == 0) return false;
  const group = groupOf(load<u8>(ptrOf(word)));
  const end = groupAt(ptrOf(list), group + 1);
  let size: i32 = 0;
  for (let at = groupAt(ptrOf(list), group) + 1; at < end; at += size + 1) {
    size = load<u8>(at - 1);
    if (whole ? size != len : size > len) continue;
    if (same(ptrOf(word), at, size)) return true;
  }
  return false;
}

/** Whether `text` ends with one of the words of `list`. */
export function endsWith(list: Slice, text: Slice): bool {
  let size: i32 = 0;
  for (let at = ptrOf(list) + 1; at < endOf(list); at += size + 1) {
    size = load<u8>(at - 1);
    if (size <= lenOf(text) && same(endOf(text) - size, at, size)) return true;
  }
  return false;
}
