// Where rules were found in the text in hand: what they say counts there, not a page further on (passage.ts).
// A rule found again within NEAR bytes is one place.
//
// Bounds: the last PLACES_MAX places are kept; a question looks at each once.
import { reserve } from "../memory";
import { isQuoted } from "./quotations";

export const PLACES_MAX: i32 = 64;
const NEAR: i32 = 64;

@unmanaged
export class Place {
  /** Where what was found ends, as an offset. */
  end: i32;
  rule: u16;
  score: u16;
}

const places = reserve(PLACES_MAX * offsetof<Place>());
/** The rules that `evidenceWithin` has met. */
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
    if (<i32>last.rule == rule && end - last.end < NEAR) return;
  }
  const place = placeAt(added % PLACES_MAX);
  place.end = end;
  place.rule = <u16>rule;
  place.score = <u16>score;
  added++;
  placeCount = min(added, PLACES_MAX);
}

/** Place `i` (0 … placeCount), in no order once there were more than PLACES_MAX. */
export function placeAt(i: i32): Place {
  return changetype<Place>(places + <usize>i * offsetof<Place>());
}

/** The sum of the scores of the rules found from offset `from` to `to`, each rule once; `unquoted`: outside quotations. */
export function evidenceWithin(from: i32, to: i32, unquoted: bool = false): i32 {
  let sum = 0;
  let rules = 0;
  for (let i = 0; i < placeCount; i++) {
    const place = placeAt(i);
    if (place.end < from || place.end > to || (unquoted && isQuoted(place.end - 1))) continue;
    let known = false;
    for (let n = 0; n < rules; n++) if (load<u16>(seen + ((<usize>n) << 1)) == place.rule) known = true;
    if (known) continue;
    store<u16>(seen + ((<usize>rules) << 1), place.rule);
    rules++;
    sum += <i32>place.score;
  }
  return sum;
}
