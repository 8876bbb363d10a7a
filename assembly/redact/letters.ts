// Lower case of letters that are two bytes in UTF-8: Latin with marks, Greek and Cyrillic. None of them gets longer or shorter.

/** First bytes of such letters. */
const FIRST: u32 = 0xc3;
const LAST: u32 = 0xd4;

/** Whether `b` begins a letter that may have a case; a letter in upper case begins with the byte of its lower case, or with the one before. */
export function beginsLetter(b: u32): bool {
  return b - FIRST <= LAST - FIRST;
}

/** The two bytes `a`, `b` in lower case, the first of them lowest; as they are if they are no letter. */
export function foldLetter(a: u32, b: u32): u32 {
  if (b >> 6 != 2) return a | (b << 8);
  const point = lower(((a & 31) << 6) | (b & 63));
  return 0xc0 | (point >> 6) | ((0x80 | (point & 63)) << 8);
}

function lower(c: u32): u32 {
  if (c < 0x100) return c - 0xc0 < 31 && c != 0xd7 ? c + 32 : c;
  // Dotted and dotless I are letters of their own.
  if (c < 0x178) return c == 0x130 || c == 0x131 ? c : paired(c, c - 0x139 < 16);
  if (c < 0x180) return c == 0x178 ? c : paired(c, true);
  if (c < 0x386) return c;
  if (c < 0x400) return greek(c);
  if (c < 0x430) return c < 0x410 ? c + 80 : c + 32;
  // Armenian begins where Cyrillic ends, and is left as it is.
  if (c < 0x460 || (c > 0x481 && c < 0x48a) || c == 0x4c0 || c == 0x4cf || c > 0x52f) return c;
  return paired(c, c > 0x4c0 && c < 0x4cf);
}

/** Upper and lower case take turns; `odd`: upper case is odd. */
function paired(c: u32, odd: bool): u32 {
  if (c == 0x138 || c == 0x149 || c == 0x17f) return c;
  return ((c & 1) != 0) == odd ? c + 1 : c;
}

function greek(c: u32): u32 {
  if (c - 0x391 < 27) return c + 32;
  if (c == 0x386) return 0x3ac;
  if (c - 0x388 < 3) return c + 37;
  if (c == 0x38c) return 0x3cc;
  if (c - 0x38e < 2) return c + 63;
  // A sigma at the end of a word.
  return c == 0x3c2 ? 0x3c3 : c;
}
