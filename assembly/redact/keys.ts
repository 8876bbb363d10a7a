// Credentials: keys with a known prefix (keyformats.ts), the few shapes known by their middle or by an address,
// JSON web tokens, and private keys in PEM or PGP armour.
//
// A shape alone also fits examples in documentation: a value must use enough different characters, and
// must not spell "example", "your" or a run of x.
import { reserve } from "../memory";
import { ALNUM, ALPHA, BASE64, DASHES, DIGIT, has, HEX, isDigit, LOCAL, LOWER, SPACE, UPPER } from "./chars";
import { DOTS, firstRow, INSIDE, Row, VALUE_ONLY } from "./keyformats";
import { TAIL_JWT, TAIL_PEM, TAIL_TOKEN } from "./tail";
import { API_KEY, JWT, PRIVATE_KEY } from "./types";
import { at, back, floorOf, found, here, joined } from "./view";

const seen: usize = reserve(128);

/** Whether the bytes look drawn at random: many different ones, and no word of an example. */
function isRandom(from: usize, to: usize, capitals: bool = false): bool {
  memory.fill(seen, 0, 128);
  let different = 0;
  let digits = 0;
  let kinds: u32 = 0;
  let run = 0;
  for (let p = from; p < to; p++) {
    const b = <u32>load<u8>(p) & 127;
    if (load<u8>(seen + b) == 0) {
      different++;
      store<u8>(seen + b, 1);
    }
    if (isDigit(b)) {
      digits++;
      kinds |= 1;
    } else if (has(b, UPPER)) kinds |= 2;
    else if (has(b, LOWER)) kinds |= 4;
    run = p > from && load<u8>(p - 1) == b ? run + 1 : 0;
    if (run >= 5) return false;
    const low = b | 32;
    if (low == 101 && <usize>(to - p) >= 7 && spells(p, "example")) return false;
    if (low == 121 && <usize>(to - p) >= 4 && spells(p, "your")) return false;
  }
  if (different < 7 || (to - from >= 30 && different < 9)) return false;
  return capitals || popcnt(kinds) >= 2 || digits >= 8;
}

function spells(p: usize, lower: string): bool {
  for (let i = 0; i < lower.length; i++) {
    if (<i32>(load<u8>(p + i) | 32) != lower.charCodeAt(i)) return false;
  }
  return true;
}

/** Any key whose prefix has its trigger byte at `p`. */
export function key(p: usize): bool {
  let row: Row | null = firstRow(back(p, 1), load<u8>(p));
  while (row != null) {
    if (tryRow(row, p)) return true;
    row = row.next;
  }
  return false;
}

function tryRow(row: Row, p: usize): bool {
  const from = p - row.offset;
  if (p < floorOf(p) + row.offset) return false;
  for (let i = 0; i < row.prefixLength; i++) if (at(from + i) != load<u8>(row.prefix + i)) return false;
  if ((row.flags & INSIDE) == 0 && joined(from)) return false;
  let value = from + row.prefixLength;
  const valueOnly = (row.flags & VALUE_ONLY) != 0;
  if (valueOnly) {
    const name = value;
    while (value < name + 8 && isAssignment(at(value))) value++;
    if (value == name && load<u8>(value - 1) != 61) return false;
  }
  const isOpen = row.most == 0;
  const alphabet = row.alphabet;
  const dots = (row.flags & DOTS) != 0;
  const limit = isOpen ? row.least : row.most + 1;
  let to = value;
  while (<i32>(to - value) < limit) {
    const b = at(to);
    if (!has(b, alphabet) && !(dots && b == 46 && has(at(to + 1), alphabet))) break;
    to++;
  }
  const run = <i32>(to - value);
  if (run < row.least || (!isOpen && run > row.most)) return false;
  const base64 = (alphabet & BASE64) != 0;
  if (valueOnly && base64) while (at(to) == 61 && to - value < 88) to++;
  if (!isOpen && has(at(to), ALNUM)) return false;
  if (!isRandom(value, to, (alphabet & LOWER) == 0)) return false;
  if (!isOpen) return found(valueOnly ? value : from, to, API_KEY);
  return found(from, to, API_KEY, TAIL_TOKEN, (base64 ? 1 : 0) | (dots ? 2 : 0));
}

/** What may stand between a name and its value. */
function isAssignment(b: u32): bool {
  return has(b, SPACE) || b == 58 || b == 61 || b == 34 || b == 39 || b == 62 || b == 92;
}

/** The run of `alphabet` from `p`, at most `most` bytes. */
function runOf(p: usize, alphabet: u8, most: i32): i32 {
  let n = 0;
  while (n < most && has(at(p + n), alphabet)) n++;
  return n;
}

/** The run of `alphabet` that ends at `p`, at most `most` (≤ 60) bytes. */
function runBack(p: usize, alphabet: u8, most: usize): usize {
  const floor = max(floorOf(p), p > most ? p - most : 0);
  let from = p;
  while (from > floor && has(load<u8>(from - 1), alphabet)) from--;
  // The letter of a spelled-out line end is not of the run.
  if (from < p && back(from, 1) == 92 && !joined(from + 1)) from++;
  return p - from;
}

/** At a ':' — Telegram's bot tokens, and incoming web hooks, whose whole address is the secret. */
export function keyAtColon(p: usize): bool {
  if (at(p + 1) == 65 && isDigit(back(p, 1))) {
    const digits = runBack(p, DIGIT, 11);
    if (digits >= 8 && digits <= 10 && !joined(p - digits)) {
      const run = runOf(p + 1, ALNUM | DASHES, 36);
      if (run == 35 && isRandom(p + 1, p + 36)) return found(p - digits, p + 36, API_KEY);
    }
    return false;
  }
  if (at(p + 1) != 47 || !(back(p, 1) == 115 && back(p, 2) == 112 && back(p, 5) == 104)) return false;
  const path = p + 3;
  if (here(path, "hooks.slack.com/")) {
    const first = path + 16;
    const run = pathRun(first, 80);
    return run >= 40 && isRandom(first, first + run) && found(p - 5, first + run, API_KEY);
  }
  if (here(path, "discord.com/api/webhooks/")) {
    const first = path + 25;
    const run = pathRun(first, 110);
    return run >= 70 && isRandom(first, first + run) && found(p - 5, first + run, API_KEY);
  }
  return false;
}

function pathRun(p: usize, most: i32): i32 {
  let n = 0;
  while (n < most && (has(at(p + n), ALNUM | DASHES) || at(p + n) == 47)) n++;
  return n;
}

/** At a '.': Airtable's personal tokens and Discord's bot tokens. */
export function keyAtDot(p: usize): bool {
  const b = back(p, 1);
  if (!has(b, ALNUM | DASHES)) return false;
  const run = runBack(p, ALNUM | DASHES, 30);
  if (run == 17 && back(p, 17) == 112 && back(p, 16) == 97 && back(p, 15) == 116) {
    return runOf(p + 1, HEX, 65) == 64 && isRandom(p + 1, p + 65) && found(p - 17, p + 65, API_KEY);
  }
  const lead = back(p, run);
  if (run < 24 || run > 28 || lead < 77 || lead > 79 || at(p + 7) != 46) return false;
  if (runOf(p + 1, ALNUM | DASHES, 7) != 6) return false;
  const last = runOf(p + 8, ALNUM | DASHES, 40);
  return last >= 27 && last < 40 && isRandom(p - run, p + 8 + last) && found(p - run, p + 8 + last, API_KEY);
}

/** At a '~': Azure application secrets, `xxxdQ~` and 31 to 34 characters. */
export function keyAtTilde(p: usize): bool {
  if (back(p, 1) != 81 || !isDigit(back(p, 2)) || joined(p - 5)) return false;
  for (let n: usize = 3; n <= 5; n++) if (!has(back(p, n), LOCAL)) return false;
  let n = 0;
  while (n < 36 && (has(at(p + 1 + n), ALNUM | DASHES) || at(p + 1 + n) == 126 || at(p + 1 + n) == 46)) n++;
  if (at(p + n) == 46) n--;
  return n >= 31 && n <= 34 && isRandom(p + 1, p + 1 + n) && found(p - 5, p + 1 + n, API_KEY);
}

/** At a '-': Mailchimp's `…-us12` after 32 hexadecimal digits. */
export function keyAtDash(p: usize): bool {
  if (at(p + 1) != 117 || at(p + 2) != 115 || !isDigit(at(p + 3))) return false;
  if (runBack(p, HEX, 33) != 32 || !isRandom(p - 32, p)) return false;
  const to = isDigit(at(p + 4)) ? p + 5 : p + 4;
  return !has(at(to), ALNUM) && found(p - 32, to, API_KEY);
}

/** Databricks' `dapi` and 32 hexadecimal digits, at its first digit at `p`. */
export function keyAtDigit(p: usize): bool {
  const run = runBack(p, ALPHA, 24);
  for (let n: usize = 4; n <= run; n++) {
    const from = p - n;
    if (load<u8>(from) != 100 || !here(from, "dapi") || joined(from)) continue;
    if (runOf(from + 4, HEX, 33) != 32 || !isRandom(from + 4, from + 36)) return false;
    return found(from, from + 36, API_KEY);
  }
  return false;
}

/** At the 'J' of "eyJ": base64url of `{"`. A token is known by its second "eyJ" or by the name of a header field. */
export function jwt(p: usize): bool {
  const from = p - 2;
  if (back(p, 1) != 121 || back(p, 2) != 101) return false;
  const before = back(from, 1);
  if (joined(from) || (has(before, DASHES | BASE64) && before != 47)) return false;
  const URL: u8 = ALNUM | DASHES;
  const run = runOf(from, URL, 200);
  if (run < 16) return false;
  const isHeader =
    here(from + 3, "hbGci") || here(from + 3, "0eXAi") || here(from + 3, "raWQi") || here(from + 3, "lbmMi");
  if (run == 200) return isHeader && found(from, from + 200, JWT, TAIL_JWT, 2);
  if (at(from + run) != 46) return false;
  const next = from + run + 1;
  if (here(next, "eyJ")) return runOf(next, URL, 12) == 12 && found(from, next + 12, JWT, TAIL_JWT, 1);
  return isHeader && runOf(next, URL, 24) == 24 && found(from, next + 24, JWT, TAIL_JWT, 3);
}

/** At the first '-' of "-----BEGIN … PRIVATE KEY-----". */
export function privateKey(p: usize): bool {
  if (at(p + 1) != 45 || at(p + 2) != 45 || !here(p, "-----BEGIN ")) return false;
  const label = p + 11;
  let i = label;
  while (i - label < 48 && (has(at(i), UPPER | DIGIT) || at(i) == 32)) i++;
  const stop = i - label > 6 && here(i - 6, " BLOCK") ? i - 6 : i;
  if (stop - label < 11 || !here(stop - 11, "PRIVATE KEY") || !here(i, "-----")) return false;
  i += 5;
  // Line ends, also as the two characters \n, before the body or its header lines.
  const body = i;
  while (i - body < 16 && (has(at(i), SPACE) || at(i) == 92 || (at(i) == 110 && load<u8>(i - 1) == 92))) i++;
  const isLine = here(i, "Proc-Type:") || here(i, "Version:") || here(i, "Comment:") || here(i, "DEK-Info:");
  if (!isLine && runOf(i, ALNUM | BASE64, 24) < 24) return false;
  return found(p, i + 6, PRIVATE_KEY, TAIL_PEM);
}
