// Compiles what must not pass, on the way in or back: an action for each type, and the policy's own texts.
import { Kind, Tape } from "../json/tape";
import { decode } from "../json/text";
import { addPhrase, phraseTableBytes } from "../redact/phrases";
import {
  API_KEY,
  BLOCK,
  CANARY,
  CREDIT_CARD,
  CUSTOM,
  EMAIL,
  FLAG,
  HASH,
  IBAN,
  IGNORE,
  IP,
  JWT,
  MASK,
  PHONE,
  PRIVATE_KEY,
  REDACT,
  REVERSIBLE,
  TYPE_COUNT,
  US_SSN,
} from "../redact/types";
import { is, lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import { take } from "./block";
import { choice, count, first, member } from "./read";
import { problem } from "./problems";

const OPENING: u8 = 40;
const QUESTION: u8 = 63;
const CARET: u8 = 94;

/** The table of phrases (redact/phrases.ts) that `compileRedaction` made last; 0: there are none. */
export let phrases: usize = 0;

/** The actions (one byte for each type) that the members `redact`, `patterns` and `canaries` of `node` ask for. */
export function compileRedaction(tape: Tape, node: i32): usize {
  const actions = take(TYPE_COUNT);
  const patterns = member(tape, node, "patterns");
  const canaries = member(tape, node, "canaries");
  compileActions(tape, member(tape, node, "redact"), patterns, canaries, actions);
  byDefault(actions, CUSTOM, patterns, REDACT);
  byDefault(actions, CANARY, canaries, BLOCK);
  compilePhrases(tape, patterns, canaries, actions);
  return actions;
}

/** Whether one of the actions is `action`. */
export function hasAction(actions: usize, action: u8): bool {
  for (let type = 0; type < TYPE_COUNT; type++) if (load<u8>(actions + type) == action) return true;
  return false;
}

/** Whether one of the actions is to do anything. */
export function hasActions(actions: usize): bool {
  for (let type = 0; type < TYPE_COUNT; type++) if (load<u8>(actions + type) != IGNORE) return true;
  return false;
}

function byDefault(actions: usize, type: i32, texts: i32, action: u8): void {
  if (texts >= 0 && load<u8>(actions + type) == IGNORE) store<u8>(actions + type, action);
}

/** A list of types, or an action for each. One whose texts are missing would never find anything. */
function compileActions(tape: Tape, node: i32, patterns: i32, canaries: i32, actions: usize): void {
  if (node < 0) return;
  const listed = tape.kind(node) == Kind.Array;
  for (let n = first(tape, node); n >= 0; n = tape.next(n)) {
    const type = typeOf(listed ? tape.raw(n) : tape.key(n));
    if (type == CUSTOM && patterns < 0)
      problem(tape, n, "`patterns` beside `redact`, as they are what `custom` finds");
    if (type == CANARY && canaries < 0)
      problem(tape, n, "`canaries` beside `redact`, as they are what `canary` finds");
    store<u8>(actions + type, listed ? REDACT : actionOf(tape, n));
  }
}

/** The schema has let only these pass. */
function typeOf(name: Slice): i32 {
  if (is(name, "email")) return EMAIL;
  if (is(name, "phone")) return PHONE;
  if (is(name, "credit_card")) return CREDIT_CARD;
  if (is(name, "iban")) return IBAN;
  if (is(name, "us_ssn")) return US_SSN;
  if (is(name, "ip")) return IP;
  if (is(name, "api_key")) return API_KEY;
  if (is(name, "private_key")) return PRIVATE_KEY;
  if (is(name, "jwt")) return JWT;
  return is(name, "custom") ? CUSTOM : CANARY;
}

function actionOf(tape: Tape, node: i32): u8 {
  if (choice(tape, node, "mask")) return MASK;
  if (choice(tape, node, "hash")) return HASH;
  if (choice(tape, node, "flag")) return FLAG;
  if (choice(tape, node, "reversible")) return REVERSIBLE;
  return choice(tape, node, "block") ? BLOCK : REDACT;
}

function compilePhrases(tape: Tape, patterns: i32, canaries: i32, actions: usize): void {
  phrases = 0;
  const total = count(tape, patterns) + count(tape, canaries);
  if (total == 0) return;
  phrases = take(phraseTableBytes(total));
  for (let n = first(tape, patterns); n >= 0; n = tape.next(n)) addText(tape, n, CUSTOM, actions);
  for (let n = first(tape, canaries); n >= 0; n = tape.next(n)) addText(tape, n, CANARY, actions);
}

function addText(tape: Tape, node: i32, type: i32, actions: usize): void {
  const raw = tape.raw(node);
  const to = take(<usize>lenOf(raw));
  let text = slice(to, decode(raw, to, lenOf(raw)));
  if (type == CUSTOM) {
    text = withClasses(text);
    if (text == NONE) {
      problem(
        tape,
        node,
        "a text in which \\d is a digit, \\a a letter, \\w either, and \\\\ \\[ \\] \\{ \\} \\+ \\* \\| \\^ \\(? are the signs themselves: no regular expression",
      );
      return;
    }
  }
  // Collapsed in place: it never grows.
  if (!addPhrase(phrases, text, type, load<u8>(actions + type), to))
    problem(tape, node, "at least 4 characters without leading space, the first of them not a class");
}

/**
 * Turns `\d`, `\a` and `\w` into the class bytes of phrases.ts, in place, and `\[` into the sign. NONE when another escape
 * or a bare sign stands there, `^` at the start or `(?`: whoever wrote it means a regular expression, which would never match
 * as a text. Other parentheses, dots, question marks and dollars are in ordinary texts too, and stand for themselves.
 */
function withClasses(text: Slice): Slice {
  const from = ptrOf(text);
  let length = 0;
  let opened = false;
  for (let i = 0; i < lenOf(text); i++) {
    let b = load<u8>(from + i);
    const opens = b == OPENING;
    if (b == 92) {
      i++;
      b = i < lenOf(text) ? escaped(load<u8>(from + i)) : 0;
      if (b == 0) return NONE;
    } else if (isSign(b) || (i == 0 && b == CARET) || (opened && b == QUESTION)) return NONE;
    opened = opens;
    store<u8>(from + length, b);
    length++;
  }
  return slice(from, length);
}

/** What stands for `b` after a backslash; 0: nothing. */
function escaped(b: u8): u8 {
  if (b == 100) return 1;
  if (b == 97) return 2;
  if (b == 119) return 3;
  const plain = b == OPENING || b == 41 || b == 46 || b == QUESTION || b == CARET || b == 36;
  return b == 92 || plain || isSign(b) ? b : 0;
}

/** `[ ] { } + * |` */
function isSign(b: u8): bool {
  return b == 91 || b == 93 || b == 123 || b == 125 || b == 43 || b == 42 || b == 124;
}
