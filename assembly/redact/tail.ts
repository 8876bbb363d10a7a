// What a match may go on with: keys, tokens and armoured private keys have no useful upper length, so a match
// is decided by its beginning and the rest is swallowed byte by byte, holding nothing back.
//
//   TAIL_TOKEN  letters, digits, `_ -`; by `left` also base64's `+ / =` (1) and dots inside (2)
//   TAIL_JWT    base64url and up to `left` more dots
//   TAIL_PEM    until the dashes after END; `left` = dash state << 24 | bytes so far
import { ALNUM, BASE64, DASHES, has, SPACE } from "./chars";
import { PEM_MAX } from "./types";
import { at, end, whole } from "./view";

export const TAIL_NONE: i32 = 0;
export const TAIL_TOKEN: i32 = 1;
export const TAIL_JWT: i32 = 2;
export const TAIL_PEM: i32 = 3;

/** The state after the last `swallow`: what is left of it, and whether the end was reached. */
export let tailLeft: u32 = 0;
export let tailDone: bool = false;

/** Where the tail `kind` ends or the view does; bytes before the answer belong to the match. */
export function swallow(p: usize, kind: i32, left: u32): usize {
  tailLeft = left;
  tailDone = false;
  if (kind == TAIL_PEM) p = pem(p);
  else if (kind == TAIL_JWT || kind == TAIL_TOKEN) p = token(p, kind == TAIL_JWT);
  else tailDone = true;
  if (p >= end && whole) tailDone = true;
  return p;
}

function token(p: usize, isJwt: bool): usize {
  for (;;) {
    if (p >= end) return p;
    const b = <u32>load<u8>(p);
    if (has(b, ALNUM | DASHES)) {
      p++;
      continue;
    }
    if (b == 46 && (isJwt ? tailLeft > 0 : (tailLeft & 2) != 0)) {
      if (p + 1 >= end && !whole) return p;
      if (has(at(p + 1), ALNUM | DASHES)) {
        if (isJwt) tailLeft--;
        p += 2;
        continue;
      }
    } else if (!isJwt && (tailLeft & 1) != 0 && (has(b, BASE64) || b == 61)) {
      p++;
      continue;
    }
    tailDone = true;
    return p;
  }
}

// Dash states: 0–4 dashes seen before END, 5 in the label, 6–10 dashes seen after it.
function pem(p: usize): usize {
  let dashes = tailLeft >> 24;
  let length = tailLeft & 0xffffff;
  while (p < end) {
    const b = <u32>load<u8>(p);
    if (length++ >= PEM_MAX || !mayStandIn(b)) {
      tailDone = true;
      return p;
    }
    p++;
    if (b == 45) {
      dashes++;
      if (dashes == 10) {
        tailDone = true;
        return p;
      }
    } else dashes = dashes < 5 ? 0 : 5;
  }
  tailLeft = (dashes << 24) | length;
  return p;
}

function mayStandIn(b: u32): bool {
  return (
    has(b, ALNUM | BASE64 | DASHES | SPACE) ||
    b == 61 ||
    b == 58 ||
    b == 44 ||
    b == 46 ||
    b == 92 ||
    b == 34 ||
    b == 39
  );
}
