// What can be said about a text's tokens without counting them: proven bounds for both vocabularies, and an
// estimate for models whose vocabulary is not public. One pass over the bytes, 16 at a time, counts what all of
// them need; no table is read, so this works in a build without vocabularies.
//
// Lower bound. Every piece has a token, and in both split patterns a piece ends wherever an ASCII letter is followed
// by an ASCII character that is no letter and no apostrophe (a word's letters are followed only by letters, marks
// and a contraction), and wherever an ASCII digit is followed by an ASCII character that is no digit. With E such
// places, tokens ≥ E + 1. Also no token has more than 128 bytes, or more than 61 when one of them is not ASCII.
//
// Upper bound. A token has at least one byte: tokens = n − S, where S counts the neighbouring bytes that share a
// token. Take the pairs of neighbours that are (a) two lower-case letters, at least one of them a, e or i, or (b) a
// space and an ASCII letter. All these pairs are tokens of both vocabularies, so merging never stops with both
// halves as one-byte tokens in one piece; and both lie in one piece, but where a contraction ends between them,
// at most once for each apostrophe. So of A = pairs − apostrophes pairs, each is inside a token, which adds to S,
// or has a token of two or more bytes beside it. A token has two ends, so at most 2·S are of the second kind:
// A ≤ 3·S, and tokens ≤ n − ⌈A / 3⌉.
//
// Both hold for well-formed UTF-8, which is all that the JSON scanner lets through. The facts about the
// vocabularies (lengths, pairs) are checked against the packs by test/assembly/tokens/bounds.test.ts.
import { endOf, lenOf, ptrOf, Slice } from "../slice";
import { within } from "../vectors";

const TOKEN_BYTES_MAX = 128;
const WIDE_TOKEN_BYTES_MAX = 61;

/** Counts of the last text that `scan` saw. */
let letters: i32 = 0;
let capitals: i32 = 0;
let digits: i32 = 0;
let wide: i32 = 0;
let symbols: i32 = 0;
let ends: i32 = 0;
let easyPairs: i32 = 0;
let spacePairs: i32 = 0;
let apostrophes: i32 = 0;

/** What `countTokens` never goes below, and never exceeds, in either encoding, for the text that `boundTokens` saw last. */
export let tokensLower: i32 = 0;
export let tokensUpper: i32 = 0;

export function boundTokens(text: Slice): void {
  const bytes = lenOf(text);
  tokensLower = tokensUpper = 0;
  if (bytes <= 0) return;
  scan(text);
  const byLength = ceilDivide(bytes, TOKEN_BYTES_MAX);
  tokensLower = max(ends + 1, max(byLength, ceilDivide(wide, WIDE_TOKEN_BYTES_MAX)));
  tokensUpper = bytes - ceilDivide(max(0, easyPairs + spacePairs - apostrophes), 3);
}

/** Model families without a public vocabulary; `familyPercent` says how they differ. */
export const FAMILY_OTHER: i32 = 0;
export const FAMILY_CLAUDE: i32 = 1;
export const FAMILY_GEMINI: i32 = 2;
export const FAMILY_LLAMA: i32 = 3;
export const FAMILY_MISTRAL: i32 = 4;

/**
 * Tokens of a family per 100 of cl100k_base on the same text, rounded up. Assumptions from what the makers publish
 * (Anthropic: 3.5 characters of English a token; Gemini: 4; Llama 3: the cl100k vocabulary extended; Mistral: 32k
 * words), not measurements of ours; a family that we do not know gets the largest.
 */
function familyPercent(family: i32): i32 {
  if (family == FAMILY_CLAUDE) return 125;
  if (family == FAMILY_GEMINI || family == FAMILY_LLAMA) return 105;
  return family == FAMILY_MISTRAL ? 120 : 130;
}

/** An estimate is by so much too high, on purpose: dense text (base64, circled letters) has about twice as many tokens. */
const CAUTION: i64 = 2;

/**
 * An ESTIMATE of the tokens of `text`, for limits and reservations: twice the weights that are least squares (relative error) of
 * cl100k_base counts on a quarter of a corpus of prompts in many languages, where true count ÷ half of the estimate is 0.99 in the
 * median, 0.90 to 1.37 from the 10th to the 90th percentile. At least the true count on 99.5 % of these prompts, and a
 * bound where it reaches one token for each byte (tokens are made of bytes in all families).
 */
export function estimateTokensUpper(text: Slice, family: i32): i32 {
  if (lenOf(text) <= 0) return 0;
  scan(text);
  const plain = <i64>max(0, letters - capitals - easyPairs);
  // Thousandths of a token.
  const milli =
    777 * (<i64>ends + 1) +
    99 * plain +
    23 * <i64>easyPairs +
    452 * <i64>capitals +
    646 * <i64>digits +
    540 * <i64>symbols +
    388 * <i64>wide;
  const tokens = (milli * CAUTION * familyPercent(family) + 99_999) / 100_000;
  // One more for the mark that some vocabularies put at the start of a text.
  return <i32>min(tokens, <i64>lenOf(text) + 1);
}

function ceilDivide(a: i32, b: i32): i32 {
  return a / b + (a % b > 0 ? 1 : 0);
}

function scan(text: Slice): void {
  letters = capitals = digits = wide = symbols = ends = easyPairs = spacePairs = apostrophes = 0;
  const end = endOf(text);
  let p = ptrOf(text);
  if (ASC_FEATURE_SIMD) p = scanWide(p, end);
  for (; p < end; p++) scanByte(load<u8>(p), p + 1 < end ? load<u8>(p, 1) : 0x80);
}

function scanByte(byte: u8, next: u8): void {
  if (isLetter(byte)) {
    letters++;
    if (byte < 97) capitals++;
    if (next < 0x80 && !isLetter(next) && next != 39) ends++;
    if (byte >= 97 && isLower(next) && (isEasy(byte) || isEasy(next))) easyPairs++;
  } else if (isDigit(byte)) {
    digits++;
    if (next < 0x80 && !isDigit(next)) ends++;
  } else if (byte >= 0x80) wide++;
  else if (byte > 32) symbols++;
  if (byte == 32 && isLetter(next)) spacePairs++;
  if (byte == 39) apostrophes++;
}

function isLetter(byte: u8): bool {
  return (byte | 32) - 97 < 26;
}

function isLower(byte: u8): bool {
  return byte - 97 < 26;
}

function isDigit(byte: u8): bool {
  return byte - 48 < 10;
}

/** a, e or i. */
function isEasy(byte: u8): bool {
  return byte == 97 || byte == 101 || byte == 105;
}

/** `scanByte` over 16 bytes at a time, while the byte behind them is in the text too. */
function scanWide(p: usize, end: usize): usize {
  for (; p + 17 <= end; p += 16) {
    const v = v128.load(p);
    const w = v128.load(p, 1);
    const vWide = bits(i8x16.lt_s(v, i8x16.splat(0)));
    const wWide = bits(i8x16.lt_s(w, i8x16.splat(0)));
    const vLower = bits(within(v, 97, 26));
    const wLower = bits(within(w, 97, 26));
    const vUpper = bits(within(v, 65, 26));
    const wLetter = wLower | bits(within(w, 65, 26));
    const vDigit = bits(within(v, 48, 10));
    const wDigit = bits(within(w, 48, 10));
    const easy = easyBits(v) | easyBits(w);
    const vLetter = vLower | vUpper;
    const vQuote = bits(i8x16.eq(v, i8x16.splat(39)));
    const wQuote = bits(i8x16.eq(w, i8x16.splat(39)));
    const blank = bits(i8x16.eq(v, i8x16.splat(32)));
    const visible = bits(i8x16.gt_s(v, i8x16.splat(32)));
    letters += popcnt(vLetter);
    capitals += popcnt(vUpper);
    digits += popcnt(vDigit);
    wide += popcnt(vWide);
    symbols += popcnt(visible & ~(vLetter | vDigit));
    ends += popcnt(~wWide & ((vLetter & ~(wLetter | wQuote)) | (vDigit & ~wDigit)));
    easyPairs += popcnt(vLower & wLower & easy);
    spacePairs += popcnt(blank & wLetter);
    apostrophes += popcnt(vQuote);
  }
  return p;
}

function easyBits(v: v128): i32 {
  const ae = v128.or(i8x16.eq(v, i8x16.splat(97)), i8x16.eq(v, i8x16.splat(101)));
  return bits(v128.or(ae, i8x16.eq(v, i8x16.splat(105))));
}

function bits(mask: v128): i32 {
  return i8x16.bitmask(mask);
}
