// Characters written in parts, put together as NFC does (Unicode Standard Annex #15): か and its mark, a vowel sign of two halves,
// and Korean syllables of conjoining letters (U+1100 …), which is how some systems write file names. Syllables of the letters that a
// keyboard sends (U+3131 …, or of half width) are put together as the keyboard's program does: a consonant closes the syllable
// before it, until a vowel follows that begins the next one with it. Only what was put together here takes a consonant on that may
// begin a syllable: `하ㅋㅋ` stays. Source of the arithmetic: The Unicode Standard, 3.12.
//
// Bound: each part looks at one character before it, and at most 8 pairs; what is whole is no longer than its parts.
import { PAIR_COUNT, PAIR_KEYS, PAIR_WHOLES } from "./normalise-table.gen";

const SYLLABLES: u32 = 0xac00;
const TAILS: u32 = 28;
const VOWELS: u32 = 21;
const LEADS: u32 = 19;

const CONJOINING: u32 = 0x1100;
const CONJOINING_VOWELS: u32 = 0x1161;
/** The one before the first tail, as 0 is no tail. */
const CONJOINING_TAILS: u32 = 0x11a7;
/** Two of them, for a syllable without a lead or a vowel. */
const FILLERS: u32 = 0x115f;
/** Consonants of the keyboard, 30 of them, and then its vowels. */
const KEYS: u32 = 0x3131;
const KEY_VOWELS: u32 = 0x314f;
const HALF_WIDTH: u32 = 0xffa1;
/** From here on they stand in sixes, two places apart. */
const HALF_WIDTH_VOWELS: u32 = 0xffc2;

const NONE: u32 = 255;
/** What each consonant of the keyboard is before a vowel, and behind it. */
const LEAD_OF_KEY = memory.data<u8>([
  0, 1, 255, 2, 255, 255, 3, 4, 5, 255, 255, 255, 255, 255, 255, 255, 6, 7, 8, 255, 9, 10, 11, 12, 13, 14, 15,
  16, 17, 18,
]);
const TAIL_OF_KEY = memory.data<u8>([
  1, 2, 3, 4, 5, 6, 7, 255, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 255, 18, 19, 20, 21, 22, 255, 23, 24, 25,
  26, 27,
]);

/** Where the last syllable that was put together ends, which may take more on; and the consonant that closes it, if a vowel may take that. */
let open: usize = 0;
let closing: u32 = NONE;

/** Joins the second part of a pair to the text from `start` to `end`; false if it makes none with the character before it. */
export function joinPart(second: u32, start: usize, end: usize): bool {
  if (end - start < 3) return false;
  const key = (second << 16) | characterAt(end - 3);
  let from = 0;
  let to = PAIR_COUNT;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (load<u32>(PAIR_KEYS + ((<usize>middle) << 2)) < key) from = middle + 1;
    else to = middle;
  }
  if (from == PAIR_COUNT || load<u32>(PAIR_KEYS + ((<usize>from) << 2)) != key) return false;
  put(end - 3, load<u16>(PAIR_WHOLES + ((<usize>from) << 1)));
  return true;
}

/** A new text begins: nothing is open. */
export function forgetSyllable(): void {
  open = 0;
}

/** Whether `code` may be a letter that joins; fillers are none, they are invisible. */
export function isHangulLetter(code: u32): bool {
  return (code - CONJOINING < 0x100 && code - FILLERS > 1) || code - KEYS < 51 || code - HALF_WIDTH < 60;
}

/**
 * Joins the letter `code` to the text from `start` to `end`, where three bytes are free, and returns its new end: `end` or three
 * bytes on; 0 if it stands for itself.
 */
export function joinLetter(code: u32, start: usize, end: usize): usize {
  if (end - start < 3) return 0;
  const isOpen = open == end;
  const before = characterAt(end - 3);
  const vowel = vowelOf(code);
  if (vowel != NONE) {
    let at = end - 3;
    let lead = leadOf(before);
    if (lead == NONE) {
      if (!isOpen || closing == NONE) return 0;
      lead = load<u8>(LEAD_OF_KEY + closing);
      put(at, before - tailOf(closing + KEYS));
      at = end;
    }
    put(at, SYLLABLES + (lead * VOWELS + vowel) * TAILS);
    closing = NONE;
    return (open = at + 3);
  }
  const tail = tailOf(code);
  // What is a tail and nothing else closes any syllable.
  const mayLead = leadOf(code) != NONE;
  if (tail == NONE || (mayLead && !isOpen) || !isOpenSyllable(before)) return 0;
  put(end - 3, before + tail);
  closing = mayLead ? keyOf(code) : NONE;
  return end;
}

function isOpenSyllable(code: u32): bool {
  const i = code - SYLLABLES;
  return i < LEADS * VOWELS * TAILS && i % TAILS == 0;
}

function vowelOf(code: u32): u32 {
  if (code - CONJOINING_VOWELS < VOWELS) return code - CONJOINING_VOWELS;
  const key = keyOf(code) - (KEY_VOWELS - KEYS);
  return key < VOWELS ? key : NONE;
}

function leadOf(code: u32): u32 {
  if (code - CONJOINING < LEADS) return code - CONJOINING;
  const key = keyOf(code);
  return key < 30 ? <u32>load<u8>(LEAD_OF_KEY + key) : NONE;
}

function tailOf(code: u32): u32 {
  if (code - CONJOINING_TAILS - 1 < TAILS - 1) return code - CONJOINING_TAILS;
  const key = keyOf(code);
  return key < 30 ? <u32>load<u8>(TAIL_OF_KEY + key) : NONE;
}

/** Which letter of the keyboard, from 0; a large number for none. */
function keyOf(code: u32): u32 {
  if (code - HALF_WIDTH < 30) return code - HALF_WIDTH;
  const i = code - HALF_WIDTH_VOWELS;
  if (i < 27) return (i & 7) < 6 ? KEY_VOWELS - KEYS + (i >> 3) * 6 + (i & 7) : <u32>-1;
  return code - KEYS;
}

/** The character of three bytes at `at`; 0 if another is there. */
export function characterAt(at: usize): u32 {
  if ((load<u8>(at) & 0xf0) != 0xe0) return 0;
  return ((load<u8>(at) & 15) << 12) | ((load<u8>(at + 1) & 63) << 6) | (load<u8>(at + 2) & 63);
}

function put(at: usize, code: u32): void {
  store<u8>(at, <u8>(0xe0 | (code >> 12)));
  store<u8>(at + 1, <u8>(0x80 | ((code >> 6) & 63)));
  store<u8>(at + 2, <u8>(0x80 | (code & 63)));
}
