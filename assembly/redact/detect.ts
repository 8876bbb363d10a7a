// Finds what must not leave, from left to right: bytes that cannot begin or anchor a match are skipped by the
// filter, and each trigger is tried by the detectors that it may belong to. Matches never overlap; the first in
// order of triggers wins.
//
// What a match lets through it must not hide: one that passes as it is gives way to one that does not and covers it, as an address
// covers its local part, and a phrase that passes to any; in one that passes or is masked a phrase still counts, and so it does in any
// where it blocks.
//
// `next` works on the view of view.ts. When it stops because the text does not go on far enough, `holdFrom` is
// where the undecided part begins; nothing before it can still become part of a match.
import { actionOf, note } from "./answer";
import { addTrigger, isTrigger, triggers16 } from "./filter";
import { has, ALPHA, isDigit } from "./chars";
import { count, digitsOf, endOf, readChain } from "./digits";
import { email, encodedEmail, isLocal, localStart, referenceStart, referredEmail } from "./email";
import { ipv4, ipv6 } from "./ip";
import { key, keyAtColon, keyAtDash, keyAtDigit, keyAtDot, keyAtTilde, jwt, privateKey } from "./keys";
import { card, iban, ssn, ssnShaped, cardShaped } from "./numbers";
import { phone } from "./phone";
import { hasPhrases, phrase } from "./phrases";
import { swallow, TAIL_NONE, TAIL_PEM } from "./tail";
import { BLOCK, CANARY, CUSTOM, FLAG, HOLD_MAX, LOOK_AHEAD, LOOK_BACK, MASK } from "./types";
import {
  at,
  back,
  end,
  floorOf,
  found,
  joined,
  low,
  matchFrom,
  matchTo,
  matchTail,
  matchTailLeft,
  matchType,
  setStarved,
  setView,
  starved,
  whole,
} from "./view";
import { context, distance, W_PHONE } from "./words";

export let holdFrom: usize = 0;

/** Nothing before this belongs to a later match. */
let settled: usize = 0;
/** What was tried last, and the trigger of the match at hand: the same, or that of one which took its place. */
let tried: usize = 0;
let trigger: usize = 0;

const AT: u32 = 64;
const AMPERSAND: u32 = 38;
const COLON: u32 = 58;
const DASH: u32 = 45;
const DOT: u32 = 46;
const TILDE: u32 = 126;
const PERCENT: u32 = 37;
const HASH: u32 = 35;

function addTriggers(): void {
  for (let c: u32 = 48; c < 58; c++) addTrigger(c);
  addTrigger(AT);
  addTrigger(COLON);
  addTrigger(DASH);
  addTrigger(DOT);
  addTrigger(TILDE);
}

addTriggers();

/**
 * The next match at or after `p`: true, with its bounds in view.ts; or false, with `holdFrom` set. Between calls
 * on one view `p` is the end of the last match. `answer` (answer.ts) says what is done with it; 0: each match counts for itself.
 */
export function next(p: usize, answer: usize): bool {
  if (!find(p)) return false;
  if (answer == 0) return true;
  const type = matchType;
  const passes = actionOf(answer, type) <= FLAG;
  if (!passes && !mayHide()) return true;
  // What else is there is looked for as far as any decision at what was tried may read.
  const stop = end;
  const isWhole = whole;
  const isCut = tried + <usize>LOOK_AHEAD < stop;
  if (isCut) setView(low, tried + <usize>LOOK_AHEAD, false);
  const gaveWay = passes && giveWay(answer, isCut);
  if (!starved && mayHide()) uncover(answer, actionOf(answer, matchType), isCut);
  setView(low, stop, isWhole);
  if (starved) return hold(tried);
  if (gaveWay && actionOf(answer, type) == FLAG) note(answer, type);
  return true;
}

function find(p: usize): bool {
  settled = p;
  while (p < end) {
    if (p + 16 <= end) {
      let mask = triggers16(p);
      while (mask) {
        const t = p + ctz(mask);
        mask &= mask - 1;
        if (candidate(t)) return true;
        if (starved) return hold(t);
      }
      p += 16;
    } else {
      if (isTrigger(load<u8>(p))) {
        if (candidate(p)) return true;
        if (starved) return hold(p);
      }
      p++;
    }
  }
  return hold(end);
}

/** Tries the trigger at `t`. A match that starved is no match yet. */
function candidate(t: usize): bool {
  const b = <u32>load<u8>(t);
  setStarved(false);
  tried = t;
  trigger = t;
  const is = tryAt(t, b);
  return is && !starved && matchFrom >= settled;
}

/** Whether the match at hand may have something in it that counts. */
function mayHide(): bool {
  return hasPhrases() || matchTail == TAIL_PEM;
}

/**
 * Whether a match that does not pass takes the place of the one at hand, which passes: the first that covers it, or that has some of it
 * if it is a phrase. Behind it such a one is looked for only where an anchor could reach back to it. `isCut`: the text goes on behind
 * the view, and decides nothing here.
 */
function giveWay(answer: usize, isCut: bool): bool {
  const from = matchFrom;
  const to = matchTo;
  const type = matchType;
  const tail = matchTail;
  const tailLeft = matchTailLeft;
  const isPhrase = type == CUSTOM || type == CANARY;
  let takes = false;
  for (let p = isPhrase ? tried : to; p < min(to + <usize>LOOK_BACK, end) && !takes; p++) {
    const b = <u32>load<u8>(p);
    if (p >= to && !isReached(b)) break;
    if (!isTrigger(b)) continue;
    setStarved(false);
    let is = p > tried && tryAt(p, b);
    if (!starved && (p == tried || (is && actionOf(answer, matchType) <= FLAG))) is = detect(p, b);
    if (starved && !isCut) break;
    if (!is || starved || matchFrom < settled || actionOf(answer, matchType) <= FLAG) continue;
    if (matchFrom >= to) break;
    takes = isPhrase || (matchFrom <= from && matchTo > to);
    if (takes) trigger = p;
  }
  if (isCut || takes) setStarved(false);
  if (takes) return true;
  // What comes next may be such an anchor.
  if (!whole && !isCut && reach(end) < to) setStarved(true);
  found(from, to, type, tail, tailLeft);
  return false;
}

/** Whether an anchor behind `byte` may reach back over it. */
function isReached(byte: u32): bool {
  return isLocal(byte) || byte == AT || byte == AMPERSAND || byte == HASH || byte >= 0x80;
}

/**
 * Lets the match at hand, with which `action` is done, hide nothing: of what passes, what follows its beginning (a key's
 * or token's rest) is text like any other; and a phrase takes the place of what shows it, or of anything if it blocks. What passes ends
 * before one that may go on beyond the view where that `isCut`.
 */
function uncover(answer: usize, action: u8, isCut: bool): void {
  const from = matchFrom;
  const to = matchTo;
  const type = matchType;
  const passes = action <= FLAG;
  const tail = passes ? TAIL_NONE : matchTail;
  const tailLeft = matchTailLeft;
  const shows = passes || action == MASK;
  let until = to;
  let within = false;
  for (let p = action == BLOCK || !hasPhrases() ? to : trigger + 1; p < until && !within; p++) {
    if (!isTrigger(load<u8>(p))) continue;
    const is = phrase(p);
    if (starved && !isCut) break;
    const does = is && !starved ? actionOf(answer, matchType) : 0;
    within = does == BLOCK || (shows && does > FLAG);
    if (starved && passes) until = p;
    setStarved(false);
  }
  if (!within) found(from, until, type, tail, tailLeft);
  // A mask leaves some of what it covers.
  else if (!passes) found(from, max(to, matchTo), matchType);
}

function tryAt(t: usize, b: u32): bool {
  if (hasPhrases() && phrase(t)) return true;
  return !starved && detect(t, b);
}

/** Any but the policy's own at the trigger `t`. */
function detect(t: usize, b: u32): bool {
  if (isDigit(b)) return !isDigit(back(t, 1)) && number(t);
  switch (b) {
    case AT:
      return email(t, settled);
    case COLON:
      if (keyAtColon(t)) return true;
      return !starved && ipv6(t, settled);
    case TILDE:
      return keyAtTilde(t);
    case 74: // J
      if (jwt(t)) return true;
      break;
    case DASH:
      if (back(t, 1) != DASH && privateKey(t)) return true;
      if (!starved && keyAtDash(t)) return true;
      break;
    case DOT:
      if (keyAtDot(t)) return true;
      break;
  }
  return !starved && key(t);
}

/** What begins with the digit at `p`, after anything but a digit. */
function number(p: usize): bool {
  const before = back(p, 1);
  if (before == PERCENT && load<u8>(p) == 52 && at(p + 1) == 48 && encodedEmail(p, settled)) return true;
  if (starved) return false;
  if ((before == HASH || (before | 32) == 120) && referredEmail(p, settled)) return true;
  if (starved) return false;
  if (joined(p)) {
    if (!has(before, ALPHA)) return false;
    if (iban(p)) return true;
    return !starved && keyAtDigit(p);
  }
  if (ipv4(p)) return true;
  if (starved) return false;
  readChain(p);
  if (at(endOf(0)) == COLON && keyAtColon(endOf(0))) return true;
  if (starved) return false;
  // A telephone number has at least seven digits, everything else more.
  if (digitsOf(count) < 7) return false;
  const near = context(p);
  if (before != 43 && before != 46) {
    if (card(near)) return true;
    if (starved) return false;
    if (ssn(near)) return true;
    if (starved) return false;
    if (cardShaped || (ssnShaped && distance(near, W_PHONE) == 0)) return false;
  }
  return phone(near);
}

/** Holds the text from where it must be when `t` is undecided. */
function hold(t: usize): bool {
  if (whole) {
    holdFrom = end;
    return false;
  }
  let from = reach(t);
  if (end - from > <usize>HOLD_MAX) from = end - <usize>HOLD_MAX;
  holdFrom = max(from, settled);
  return false;
}

/** What a match at `t`, or one still to come, may reach back to. */
function reach(t: usize): usize {
  const floor = max(settled, floorOf(t));
  let from = localStart(max(floor, min(t, partialUtf8())), floor);
  const sign = referenceStart(from, floor);
  if (sign < from) from = localStart(sign, floor);
  // Brackets and a plus before a telephone number.
  while (from > floor && isLead(load<u8>(from - 1))) from--;
  return from;
}

function isLead(b: u32): bool {
  return b == 40 || b == 43;
}

/** The start of an unfinished UTF-8 sequence at the end of the view, or its end. */
function partialUtf8(): usize {
  for (let n: usize = 1; n <= 3 && end - n >= settled; n++) {
    const b = <u32>load<u8>(end - n);
    if (b >> 6 == 2) continue;
    if ((b >= 0xf0 && n < 4) || (b >= 0xe0 && n < 3) || (b >= 0xc0 && n < 2)) return end - n;
    break;
  }
  return end;
}

/** Where the whole match that `next` found ends; for a whole text in the view. */
export function matchEnd(): usize {
  return swallow(matchTo, matchTail, matchTailLeft);
}
