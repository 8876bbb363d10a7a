// Where rules were found in the text in hand: what they say counts there, not a page further on (passage.ts).
// A rule found again within NEAR bytes is one place.
//
// Bounds: the last PLACES_MAX places are kept; a question looks at each once.
import { reserve } from "../memory";
import { isQuoted } from "./quotations";

export const PLACES_MAX: i32 = 64;
const NEAR: i32 = 64;

//  a place: | end of what was found, u32 | rule u16 | score u16 |
const places = reserve(PLACES_MAX << 3);
const seen = reserve(PLACES_MAX << 1);

/** Places kept: 0 … PLACES_MAX. */
export let placeCount: i32 = 0;
let added: i32 = 0;

export function clearPlaces(): void {
  placeCount = 0;
  added = 0;
}

/** Rule `rule`, which adds `score`, was found; what it found ends at offset `end`. */
export function addPlace(end: i32, rule: i32, score: i32): void {
  if (added) {
    const last = placeAt((added - 1) % PLACES_MAX);
    if (<i32>load<u16>(last, 4) == rule && end - <i32>load<u32>(last) < NEAR) return;
  }
  const at = placeAt(added % PLACES_MAX);
  store<u32>(at, end);
  store<u16>(at, <u16>rule, 4);
  store<u16>(at, <u16>score, 6);
  added++;
  placeCount = min(added, PLACES_MAX);
}

/** Where what was found at place `i` ends. */
export function placeEnd(i: i32): i32 {
  return <i32>load<u32>(placeAt(i));
}

/** The sum of the scores of the rules found from offset `from` to `to`, each rule once. */
export function evidenceWithin(from: i32, to: i32, unquoted: bool = false): i32 {
  let sum = 0;
  let rules = 0;
  for (let i = 0; i < placeCount; i++) {
    const end = placeEnd(i);
    if (end < from || end > to || (unquoted && isQuoted(end - 1))) continue;
    const rule = load<u16>(placeAt(i), 4);
    let known = false;
    for (let n = 0; n < rules; n++) if (load<u16>(seen + ((<usize>n) << 1)) == rule) known = true;
    if (known) continue;
    store<u16>(seen + ((<usize>rules) << 1), rule);
    rules++;
    sum += <i32>load<u16>(placeAt(i), 6);
  }
  return sum;
}

function placeAt(i: i32): usize {
  return places + ((<usize>i) << 3);
}
