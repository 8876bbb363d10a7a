// Words of attacks that are misspelt so that no filter knows them, and a model still does: `ignroe all prevoius instuctions`.
// In a window of normalised text every word that is nearly one of a closed list is replaced by it. What is looked at are
// places that the classifier does not find plainly harmless, as far as it knew the misspelt words (traces.ts).
//
// Nearly: the first letter is right, and
//   the others are the same in another order;                                         ignroe
//   or one letter is missing, too much or another one;                                instuctions, systtem, passwprd
//   or, from LOOSE letters on with the last one right, both                           isntuctions
//   or all that with letters drawn out                                                ignooore, passssword
//   or with signs, one at a place, between letters                                    ig.no,re, pass-word
// What is on the list, or is another word so much like one of these that people write it (`revel`, `roles`), stays.
//
// Bound: a word of up to LETTERS_MAX letters is compared with the words of its first letter (39 at most), its letters counted
// once and, where the sets of letters fit, once more for each. A corrected window has at most a sixth more bytes.
import { reserve } from "../memory";
import { endOf, eq, lenOf, lit, NONE, ptrOf, Slice, slice, sub } from "../slice";
import { bitsFrom, copyFew, eq as eqBytes, padded } from "../vectors";
import { wordMask, wordRun } from "./classifier";
import { isWordByte } from "./views-decode";

/** Shorter words have too many neighbours. */
const LETTERS_MIN: u64 = 5;
const LETTERS_MAX: i32 = 16;
/** From so many letters on two words that differ by both order and a letter are still the same. */
const LOOSE: i32 = 8;
const LETTER_A: u32 = 97;
const LETTERS: u32 = 26;
const MINUS: u8 = 45;
const SPACE: u8 = 32;
/** Bytes of one mask of words. */
const BLOCK: usize = 64;

/** `-` before a word: it is known, and nothing is replaced by it. */
const WORDS = lit(
  "above acknowledge administrator answer answers assistant -abode -about -abuse -acknowledged " +
    "-acknowledges -administrador -administrators -alone -answered -assistants " +
    "bypass bypassed bypassing -bypasses " +
    "chatbot command commands confidential configuration constraint constraints context conversation " +
    "conversations credentials -centralised -centralized -chandeliers -chatbots -coincidental -comandos " +
    "-commande -commander -commandes -commando -commandos -commend -commended -commends -configuracion " +
    "-configurations -conservation -constrain -constrains -content -contents -contest -contests -contexte " +
    "-contexto -contextos -contexts -credential " +
    "developer developers directions directive directives disclose display disregard disregarding " +
    "-depictions -developed -direction -disagreed -disclosed -discretion -disgraced -displays -dissolve " +
    "-doctrines " +
    "earlier ethical everything execute executed -earliest -easier -excreted -executer -executes -executor " +
    "-expected " +
    "filter filters following forget forgetting -falter -falters -filer -filler -fillers -filtered -filtre " +
    "-fitter -fitters -followings -forge -forged -forger -forgets -forgot " +
    "guardrail guardrails guideline guidelines " +
    "hidden hypothetical " +
    "ignore ignored ignores ignoring initial instead instructed instruction instructions internal -ignora " +
    "-ignorer -inertial -infernal -ingering -inicial -initials -instant -instante -instruccion -integral " +
    "-internals -interval -ironing " +
    "jailbreak jailbroken -jailbreaks " +
    "limitation limitations -litigation " +
    "message messages moderation -massage -massages -messaged " +
    "original output override overriding -originals -outputs -overdrive -overrides -overrode " +
    "password passwords policies policy pretend previous previously programming prompt prompts -passwort " +
    "-perilous -perilously -polemics -police -politics -precious -preciously -prepend -pretends -previews " +
    "-programing -promoted -prompted -prompto -promptu -provides " +
    "regulation regulations repeat restricted restriction restrictions reveal revealing roleplay rules " +
    "-reheat -releasing -relegation -relieving -repeal -repealing -repeats -repent -reseal -restrictive " +
    "-reveals -revel -revela -reveling -revelling -roles -rubles -ruled -ruler -rulers -runes -ruses " +
    "safety secret secrets security system systems -safely -scrutiny -secreta -secrete -secreto -securite " +
    "-sistem -systemd -systeme -systemes " +
    "uncensored unfiltered unrestricted -unenforced " +
    "verbatim " +
    "without",
);

/** A word of the list. */
@unmanaged
class Entry {
  word: Slice;
  /** Its letters, a bit for each. */
  letters: u32;
  /** Nothing is replaced by it. */
  known: bool;
}

/** Bytes of an Entry. */
const ENTRY: usize = 16;
const ENTRIES_MAX: i32 = 255;
/** In the order of groups. */
const entries = reserve(<usize>ENTRIES_MAX * ENTRY);
/** A group has the words of one first letter and length; where each begins, and behind the last one its end. */
const LENGTHS: u32 = LETTERS_MAX + 2;
const GROUPS: u32 = LETTERS * LENGTHS;
const groups = reserve(GROUPS + 1);
/** How often each letter is in the word in hand. */
const counts = reserve(LETTERS);
/** A word without its repeated letters, or without the signs in it. */
const drawn = reserve(BLOCK);
/** The end of a text, and zeros. */
const tail = reserve(BLOCK);

listWords();

function listWords(): void {
  let count: i32 = 0;
  for (let from = 0; from < lenOf(WORDS); ) {
    const known = load<u8>(ptrOf(WORDS) + from) == MINUS;
    if (known) from++;
    let to = from;
    while (to < lenOf(WORDS) && load<u8>(ptrOf(WORDS) + to) != SPACE) to++;
    if (count == ENTRIES_MAX) abort("misspelt: too many words");
    insert(sub(WORDS, from, to), known, count++);
    from = to + 1;
  }
  let group: u32 = 0;
  for (let i = 0; i < count; i++) {
    const own = groupOf(entryAt(i).word);
    for (; group <= own; group++) store<u8>(groups + group, <u8>i);
  }
  for (; group <= GROUPS; group++) store<u8>(groups + group, <u8>count);
}

/** Puts a word behind those of the groups up to its own, of `count` words. */
function insert(word: Slice, known: bool, count: i32): void {
  let i = count;
  for (; i > 0 && groupOf(entryAt(i - 1).word) > groupOf(word); i--)
    memory.copy(changetype<usize>(entryAt(i)), changetype<usize>(entryAt(i - 1)), ENTRY);
  const entry = entryAt(i);
  entry.word = word;
  entry.letters = setOf(word);
  entry.known = known;
}

function entryAt(i: i32): Entry {
  return changetype<Entry>(entries + <usize>i * ENTRY);
}

function groupOf(word: Slice): u32 {
  return (<u32>load<u8>(ptrOf(word)) - LETTER_A) * LENGTHS + <u32>lenOf(word);
}

/** Writes `from` (normalised) with its misspelt words replaced to `to`, a sixth more at most; 0 when it has none. */
export function decodeMisspelt(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let copied = ptrOf(from);
  let o = to;
  let mask = wordsOf(copied, end);
  let ahead = wordsOf(copied + BLOCK, end);
  let carry: u64 = 0;
  // With the lone signs within words.
  let joined = mask | signsWithin(copied, end, mask, ahead, 0);
  let joinedCarry: u64 = 0;
  for (let at = copied; at < end; at += BLOCK) {
    const beyond = wordsOf(at + 2 * BLOCK, end);
    const joinedAhead = ahead | signsWithin(at + BLOCK, end, ahead, beyond, mask >> 63);
    const long = longFrom(mask, ahead, carry);
    const longJoined = longFrom(joined, joinedAhead, joinedCarry);
    for (let starts = long | longJoined; starts; starts &= starts - 1) {
      const bit = ctz(starts);
      const from = at + <usize>bit;
      if (from < copied) continue;
      const width = wordRun(mask, ahead, bit);
      const widthJoined = wordRun(joined, joinedAhead, bit);
      let meant: Slice = NONE;
      let upTo = from;
      if ((longJoined >> bit) & 1 && widthJoined > width) {
        meant = meantWithout(slice(from, widthJoined));
        upTo = from + widthJoined;
      }
      if (meant == NONE && (long >> bit) & 1) {
        meant = meantBy(slice(from, width));
        upTo = from + width;
      }
      if (meant == NONE) continue;
      o = append(o, copied, from);
      o = append(o, ptrOf(meant), endOf(meant));
      copied = upTo;
    }
    carry = mask >> 63;
    joinedCarry = joined >> 63;
    mask = ahead;
    ahead = beyond;
    joined = joinedAhead;
  }
  if (o == to) return 0;
  return <i32>(append(o, copied, end) - to);
}

/** Where words of at least LETTERS_MIN bytes begin. */
function longFrom(mask: u64, ahead: u64, carry: u64): u64 {
  let long = mask & ~((mask << 1) | carry);
  for (let more: u64 = 1; more < LETTERS_MIN; more++) long &= bitsFrom(mask, ahead, more);
  return long;
}

/** Of the 64 bytes at `at`, whose bytes of words are `mask`, those that stand alone between two such and are no space. */
function signsWithin(at: usize, end: usize, mask: u64, ahead: u64, carry: u64): u64 {
  let gaps = ~mask & ((mask << 1) | carry) & bitsFrom(mask, ahead, 1);
  if (ASC_FEATURE_SIMD && at + BLOCK <= end) return gaps & ~spacesIn(at);
  let signs: u64 = 0;
  for (; gaps; gaps &= gaps - 1) {
    const bit = ctz(gaps);
    if (load<u8>(at + <usize>bit) != SPACE) signs |= (<u64>1) << bit;
  }
  return signs;
}

function spacesIn(at: usize): u64 {
  return spaceBits(at) | (spaceBits(at + 16) << 16) | (spaceBits(at + 32) << 32) | (spaceBits(at + 48) << 48);
}

function spaceBits(at: usize): u64 {
  return <u64>(0xffff & i8x16.bitmask(eqBytes(v128.load(at), SPACE)));
}

/** Of the 64 bytes at `at` those of words, none from `end` on. */
function wordsOf(at: usize, end: usize): u64 {
  if (at >= end) return 0;
  return wordMask(end - at < BLOCK ? padded(tail, at, end - at, BLOCK) : at);
}

function append(to: usize, from: usize, end: usize): usize {
  copyFew(to, from, end - from);
  return to + (end - from);
}

/** The word of the list that `word` nearly is, also where letters of it are drawn out; NONE when it is one, or none. */
function meantBy(word: Slice): Slice {
  if (!isLetter(load<u8>(ptrOf(word)))) return NONE;
  const meant = lenOf(word) <= LETTERS_MAX ? nearest(word, false) : NONE;
  if (meant != NONE || !isDrawnOut(word)) return meant;
  const short = drawnIn(word);
  return lenOf(short) >= <i32>LETTERS_MIN && lenOf(short) <= LETTERS_MAX ? nearest(short, true) : NONE;
}

/** The word of the list that `word` is or nearly is without the signs in it; NONE when it is none. */
function meantWithout(word: Slice): Slice {
  let o = drawn;
  for (let p = ptrOf(word); p < endOf(word); p++) {
    const byte: u32 = load<u8>(p);
    if (isWordByte(byte)) store<u8>(o++, <u8>byte);
  }
  const len = <i32>(o - drawn);
  return len >= <i32>LETTERS_MIN && len <= LETTERS_MAX ? nearest(slice(drawn, len), true) : NONE;
}

/** Whether a letter stands there three times in a row, or three times a letter twice. No English word of the list does. */
function isDrawnOut(word: Slice): bool {
  let run = 1;
  let pairs = 0;
  for (let p = ptrOf(word) + 1; p < endOf(word); p++) {
    if (load<u8>(p) != load<u8>(p - 1)) {
      run = 1;
      continue;
    }
    pairs++;
    if (++run == 3) return true;
  }
  return pairs >= 3;
}

/** `word` with each letter once where it is repeated. */
function drawnIn(word: Slice): Slice {
  let o = drawn;
  for (let p = ptrOf(word); p < endOf(word); p++) {
    if (o > drawn && load<u8>(o - 1) == load<u8>(p)) continue;
    store<u8>(o++, load<u8>(p));
  }
  return slice(drawn, <i32>(o - drawn));
}

/** The word of the list that `word` nearly is, or, with `exactly`, is; NONE when it is one without, or none. */
function nearest(word: Slice, exactly: bool): Slice {
  const len = lenOf(word);
  const group = groups + groupOf(word);
  // Also those with one letter less, and one more.
  const first: i32 = load<u8>(group - 1);
  const end: i32 = load<u8>(group, 2);
  if (first == end) return NONE;
  const set = setOf(word);
  // A digit, or a letter beyond ASCII.
  if (set == 0) return NONE;
  let found: Slice = NONE;
  for (let i = first; i < end; i++) {
    const entry = entryAt(i);
    const differ = popcnt(set ^ entry.letters);
    if (differ > 2) continue;
    if (differ == 0 && eq(word, entry.word)) return exactly && !entry.known ? entry.word : NONE;
    if (found == NONE && !entry.known && isNearly(word, entry.word)) found = entry.word;
  }
  return found;
}

function isNearly(word: Slice, other: Slice): bool {
  const differ = lettersBetween(word, other);
  if (differ == 0) return true;
  if (differ > 2) return false;
  const loose = lenOf(other) >= LOOSE && load<u8>(endOf(word) - 1) == load<u8>(endOf(other) - 1);
  return loose || isOneApart(word, other);
}

/** How many letters one word has and the other has not, both ways. */
function lettersBetween(word: Slice, other: Slice): i32 {
  memory.fill(counts, 0, LETTERS);
  for (let p = ptrOf(word); p < endOf(word); p++) {
    const cell = counts + (<usize>load<u8>(p) - LETTER_A);
    store<u8>(cell, load<u8>(cell) + 1);
  }
  let shared = 0;
  for (let p = ptrOf(other); p < endOf(other); p++) {
    const cell = counts + (<usize>load<u8>(p) - LETTER_A);
    if (load<u8>(cell) == 0) continue;
    store<u8>(cell, load<u8>(cell) - 1);
    shared++;
  }
  return lenOf(word) + lenOf(other) - 2 * shared;
}

/** Whether one letter is missing, too much or another one, and the others stand in order. */
function isOneApart(word: Slice, other: Slice): bool {
  const least = min(lenOf(word), lenOf(other));
  const most = max(lenOf(word), lenOf(other));
  let before = 0;
  while (before < least && load<u8>(ptrOf(word) + before) == load<u8>(ptrOf(other) + before)) before++;
  let behind = 0;
  while (behind < least - before && load<u8>(endOf(word) - behind - 1) == load<u8>(endOf(other) - behind - 1))
    behind++;
  return before + behind >= most - 1;
}

function isLetter(byte: u32): bool {
  return byte - LETTER_A < LETTERS;
}

/** The letters of a word, a bit for each; 0 when it has something else. */
function setOf(word: Slice): u32 {
  let set: u32 = 0;
  for (let p = ptrOf(word); p < endOf(word); p++) {
    const byte: u32 = load<u8>(p);
    if (!isLetter(byte)) return 0;
    set |= (<u32>1) << (byte - LETTER_A);
  }
  return set;
}
