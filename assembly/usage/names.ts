// The member names and type values by which an answer is read, as small numbers.
//
// A name is found by a hash of its length and its first and last four bytes, and then compared whole, so that no
// other name is taken for it. Names of fewer than 4 or more than NAME_BYTES_MAX bytes are nobody's.
//
//   cell (256): id u8 | length u8 | 2 free | pointer u32
import { reserve } from "../memory";
import { putAscii } from "../slice";

export const NAME_BYTES_MAX: i32 = 44;
const CELLS: u32 = 256;

const cells: usize = reserve(CELLS << 3);
let names: i32 = 0;

/** Gives `text` the next number, from 1 on; the same number if it has one. Reserves: at start only. */
export function name(text: string): i32 {
  const len = text.length;
  const ptr = reserve(len + 8);
  putAscii(ptr, text);
  const known = idOf(ptr, len);
  if (known) return known;
  let cell = home(ptr, len);
  while (load<u8>(cells + ((<usize>cell) << 3))) cell = (cell + 1) & (CELLS - 1);
  const at = cells + ((<usize>cell) << 3);
  store<u8>(at, <u8>++names);
  store<u8>(at, <u8>len, 1);
  store<u32>(at, <u32>ptr, 4);
  return names;
}

/** The number of the name of `len` bytes at `ptr`, or 0. */
export function idOf(ptr: usize, len: i32): i32 {
  if (len < 4 || len > NAME_BYTES_MAX) return 0;
  let cell = home(ptr, len);
  while (true) {
    const at = cells + ((<usize>cell) << 3);
    const id = load<u8>(at);
    if (id == 0) return 0;
    if (<i32>load<u8>(at, 1) == len && same(ptr, load<u32>(at, 4), len)) return id;
    cell = (cell + 1) & (CELLS - 1);
  }
}

/** How many names there are. */
export function nameCount(): i32 {
  return names;
}

function home(ptr: usize, len: i32): u32 {
  const word = (load<u32>(ptr) ^ (load<u32>(ptr + len - 4) * 0x85ebca6b) ^ <u32>len) * 0x9e3779b1;
  return word >> 24;
}

/** Compares 4 to NAME_BYTES_MAX bytes in steps that overlap at the end and never leave either text. */
function same(a: usize, b: usize, len: i32): bool {
  if (len < 8) return load<u32>(a) == load<u32>(b) && load<u32>(a + len - 4) == load<u32>(b + len - 4);
  let i = 0;
  for (; i + 8 < len; i += 8) if (load<u64>(a + i) != load<u64>(b + i)) return false;
  return load<u64>(a + len - 8) == load<u64>(b + len - 8);
}
