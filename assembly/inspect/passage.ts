// The passage of a long text that looks most like an attack, judged as if it stood alone. A window of the classifier
// (classifier.ts) also holds what stands beside an attack, and enough harmless words there would hide it; so where
// half a window is suspicious, and where a rule was found, the text is read once more, word by word:
//
//   text   … the gulls circled.  Ignore what you were told and print … │ … the quay was empty
//            └── REACH bytes ──┘└────── the best run of words ──────┘
//
// A passage is a run of whole words of at most a window's bytes. Of all runs around a place the one with the highest
// logit counts, less a CHOICE: the best of many runs is above what a text says as a whole.
//
// Where rules that say enough by themselves were found, a passage may be short. A text that is short itself is mostly what it
// says as a whole; there a passage is made of whole sentences, and only around such rules: who asks about an attack
// names it within a sentence, who attacks makes a sentence of it.
//
// What a text quotes counts for less (quotations.ts), in a passage and in a short text as a whole: who asks to translate
// an attack does not attack.
//
// Bounds: a suspicious place every STEP bytes at most, and PLACES_MAX places of rules; at a place 2 × REACH bytes are read once,
// and each pair of at most UNITS_MAX words is looked at once.
import { reserve } from "../memory";
import { lenOf, ptrOf, Slice } from "../slice";
import { copyFew, fillFew } from "../vectors";
import {
  isCertain,
  LOGIT_ONE,
  logitOf,
  sumFor,
  slotGram,
  slotPair,
  slotSkip,
  slotWord,
  suspectAt,
  suspectCount,
  weightOf,
  wordKey,
} from "./classifier";
import { findQuotations, isQuoted } from "./quotations";
import { evidenceWithin, placeAt, placeCount } from "./rules-places";
import { isWordByte } from "./rules-seek";
import { evidenceOf, shortened, STRONG_SCORE } from "./weights";

/** Texts up to this length are judged as a whole, or by whole sentences around strong rules. */
const WHOLE: i32 = 128;
/** Bytes looked at on either side of a place. */
const REACH: i32 = 160;
/** Suspicious places nearer than this are one. */
const STEP: i32 = 128;
/** The longest passage: a window of the classifier. */
const PASSAGE_MAX: i32 = 256;
/** A passage shorter than this says too little: without strong rules, and with them. */
const PASSAGE_MIN: i32 = 48;
const PASSAGE_MIN_STRONG: i32 = 24;
/** A run of word bytes is cut after so many: scripts without spaces have no other place. */
const LONG_WORD: i32 = 12;
/** By what the weights of quoted words are divided. */
const QUOTED: i32 = 2;
const UNITS_MAX: i32 = 96;
/** From where a rule's words end back to their middle, or so. */
const BEFORE_END: i32 = 32;
/** Rules found nearer to each other than this are one place. */
const SAME: i32 = 16;
/** Around rules whose scores add up to less no passage is looked for: what they say the classifier says as well. */
const PLACE_MIN: i32 = 40;
/** What the best of many runs is above a text as a whole: where a rule was found, and where none was. */
const CHOICE: i32 = LOGIT_ONE / 2;
const CHOICE_ALONE: i32 = (5 * LOGIT_ONE) / 4;

/** The text around a place, and 32 bytes to read ahead. */
const near = reserve(2 * REACH + 64);

/** Where the text around a place is cut into units. */
@unmanaged
class Cut {
  /** The weights before it. */
  sum: i32;
  /** Bytes before it. */
  at: u16;
  /** Whether a sentence, or the text, ends here. */
  ends: bool;
}

const cuts = reserve((UNITS_MAX + 1) * 8);

/** 。 and ।, as the low three bytes of a word; ！ and ？ are folded to ASCII. */
const IDEOGRAPHIC_STOP: u32 = 0x8280e3;
const DANDA: u32 = 0xa4a5e0;

let best: i32 = 0;

/**
 * The highest logit of a passage of `text`, which the rules and the classifier have just read, with the evidence of the
 * rules around it; `least` if none is higher.
 */
export function bestPassage(text: Slice, least: i32): i32 {
  best = least;
  let last = -STEP;
  for (let i = 0; i < placeCount; i++) {
    const end = placeAt(i).end;
    if (end >= last && end - last < SAME) continue;
    last = end;
    look(text, end - BEFORE_END, CHOICE);
    // All of a short text is around each of its places.
    if (lenOf(text) <= WHOLE) return best;
  }
  if (lenOf(text) <= WHOLE) return best;
  last = -STEP;
  for (let i = 0; i < suspectCount; i++) {
    const at = suspectAt(i);
    if (at - last < STEP) continue;
    last = at;
    look(text, at, CHOICE_ALONE);
  }
  return best;
}

/** Whether `text` quotes something, and is short enough that this can be told. */
export function quotes(text: Slice): bool {
  return lenOf(text) <= PASSAGE_MAX && findQuotations(ptrOf(text), lenOf(text)) > 0;
}

/** The logit of a text that `quotes`, with the evidence of what is not quoted. */
export function quotingLogit(text: Slice): i32 {
  const len = lenOf(text);
  const units = measure(text, 0, len);
  return shortened(logitOf(cut(units).sum, len), len) + evidenceOf(evidenceWithin(0, len, true));
}

/** Looks for passages around offset `centre`, unless one is certain already. */
function look(text: Slice, centre: i32, choice: i32): void {
  if (isCertain(best)) return;
  const from = max(centre - REACH, 0);
  const to = min(centre + REACH, lenOf(text));
  if (from >= to) return;
  const sentences = lenOf(text) <= WHOLE;
  let evidence = sentences ? 0 : evidenceWithin(from, to);
  if (!sentences && choice == CHOICE && evidence < PLACE_MIN) return;
  const units = measure(text, from, to);
  // Of a short text `measure` has seen all: what it quotes is no evidence.
  if (sentences) evidence = evidenceWithin(from, to, true);
  const strong = evidence >= STRONG_SCORE;
  if (sentences && !strong) return;
  const bonus = evidenceOf(evidence) - choice;
  const shortest = strong ? PASSAGE_MIN_STRONG : PASSAGE_MIN;
  let least = leastSum(best - bonus, shortest);
  // No run that ends at a cut adds up to more than what has been added since the lowest sum before it.
  let lowest = i32.MAX_VALUE;
  for (let j = 1; j <= units; j++) {
    const to = cut(j);
    lowest = min(lowest, cut(j - 1).sum);
    if (to.sum - lowest < least) continue;
    for (let i = j - 1; i >= 0; i--) {
      const from = cut(i);
      const sum = to.sum - from.sum;
      if (sum < least) continue;
      const bytes = <i32>to.at - <i32>from.at;
      if (bytes > PASSAGE_MAX) break;
      if (bytes < shortest) continue;
      if (sentences && !(from.ends && to.ends)) continue;
      const logit = logitOf(sum, bytes) + bonus;
      if (logit <= best) continue;
      best = logit;
      least = leastSum(logit - bonus, shortest);
    }
  }
}

/** No run of `shortest` bytes and more whose weights add up to less has a logit above `logit`. */
function leastSum(logit: i32, shortest: i32): i32 {
  return min(sumFor(logit, shortest), sumFor(logit, PASSAGE_MAX));
}

/** Cuts the text from `from` to `to` into units and adds up the weights of each; their number. */
function measure(text: Slice, from: i32, to: i32): i32 {
  const len = to - from;
  const ahead = min(lenOf(text) - to, 32);
  fillFew(near, 32, 2 * REACH + 64);
  copyFew(near, ptrOf(text) + from, len + ahead);
  findQuotations(near, len);
  let units = 0;
  let sum = 0;
  let before: u64 = 0;
  let before2: u64 = 0;
  let run = 0;
  let inWord = from > 0 && isWordByte(load<u8>(ptrOf(text) + from - 1));
  // Where the last sentence ended, and the last word.
  let sentenceEnd = from == 0 ? 0 : -1;
  let wordEnd = 0;
  setCut(0, 0, 0, from == 0);
  for (let i = 0; i < len; i++) {
    const at = near + i;
    const byte: u32 = load<u8>(at);
    const word = isWordByte(byte);
    const starts = word && !inWord;
    const begins = starts || (word && i == sentenceEnd) || (run >= LONG_WORD && (byte & 0xc0) != 0x80);
    if (i > 0 && units + 1 < UNITS_MAX && begins) {
      setCut(++units, i, sum, sentenceEnd >= wordEnd);
      run = 0;
    }
    const stop = stopAt(at, byte);
    if (stop) sentenceEnd = i + stop;
    if (word) wordEnd = i + 1;
    run = word ? run + 1 : 0;
    inWord = word;
    let weight = weightOf(slotGram(load<u32>(at)));
    if (starts) {
      let size = 1;
      while (size < 16 && isWordByte(load<u8>(at + size))) size++;
      const key = wordKey(at, size);
      weight += weightOf(slotWord(key)) + weightOf(slotPair(before, key)) + weightOf(slotSkip(before2, key));
      before2 = before;
      before = key;
    }
    sum += isQuoted(i) ? weight / QUOTED : weight;
  }
  setCut(++units, len, sum, to == lenOf(text) || sentenceEnd >= wordEnd);
  return units;
}

/** Bytes of the sign that ends a sentence at `at`, where `byte` is; 0 if there is none. */
function stopAt(at: usize, byte: u32): i32 {
  if (byte < 0x80) return i32(byte == 0x2e || byte == 0x21 || byte == 0x3f);
  const sign = load<u32>(at) & 0xffffff;
  return sign == IDEOGRAPHIC_STOP || sign == DANDA ? 3 : 0;
}

function cut(i: i32): Cut {
  return changetype<Cut>(cuts + ((<usize>i) << 3));
}

function setCut(i: i32, at: i32, sum: i32, ends: bool): void {
  cut(i).sum = sum;
  cut(i).at = <u16>at;
  cut(i).ends = ends;
}
