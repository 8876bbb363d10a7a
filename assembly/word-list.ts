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
  const group = groupOf(first);
  const from = how == Match.End ? ptrOf(list) : groupAt(ptrOf(list), group);
  const to = how == Match.End ? endOf(list) : groupAt(ptrOf(list), group + 1);
  let size: i32 = 0;
  for (let at = from + 1; at < to; at += size + 1) {
    size = load<u8>(at - 1);
    if (size > len || (size < len && how == Match.Whole)) continue;
    if (how != Match.End && <u32>load<u8>(at) != first) continue;
    if (same(ptrOf(word) + <usize>(how == Match.End ? len - size : 0), at, size)) return true;
  }
  return false;
}
