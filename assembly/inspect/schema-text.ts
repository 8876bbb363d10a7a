// What a schema expects, in words: `one of "block", "shadow", "off"`, `an integer ≥ 1`, and for a key that no
// property names the nearest one that exists.
//
// Bounds: NAMES_MAX names or values of a list are shown; names up to NAME_MAX bytes are compared for likeness.
import { Kind } from "../json/tape";
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice } from "../slice";
import { Writer } from "../writer";
import { writeCut, writeShort } from "./schema-report";
import { INTEGER, Rules, Slot } from "./schema-rules";

const NAMES_MAX: i32 = 24;
const NAME_MAX: i32 = 48;
/** References and alternatives inside alternatives that are still spelt out. */
const LEVELS_MAX: i32 = 4;

const row: usize = reserve(NAME_MAX + 1);

/** What the schema object `r` expects. */
export function describe(rules: Rules, r: i32, to: Writer, level: i32 = 0): void {
  if (level > LEVELS_MAX) {
    to.text("another value");
    return;
  }
  const tape = rules.tape;
  const ref = rules.get(r, Slot.Ref);
  const anyOf = rules.get(r, Slot.AnyOf);
  const choices = rules.get(r, Slot.Enum);
  const only = rules.get(r, Slot.Const);
  const format = rules.get(r, Slot.Format);
  if (only >= 0) writeShort(tape, only, to);
  else if (choices >= 0) {
    if (tape.count(choices) > 1) to.text("one of ");
    let shown = 0;
    for (let n = tape.first(choices); n >= 0; n = tape.next(n)) {
      if (shown > 0) to.text(", ");
      if (shown++ == NAMES_MAX) {
        to.text("...");
        break;
      }
      writeShort(tape, n, to);
    }
  } else if (format >= 0) {
    const text = rules.format(tape.raw(format), NONE, false);
    if (text) to.text(text);
  } else if (anyOf >= 0) {
    for (let n = tape.first(anyOf); n >= 0; n = tape.next(n)) {
      if (n != tape.first(anyOf)) to.text(" or ");
      describe(rules, rules.recordOf(n), to, level + 1);
    }
  } else if (ref >= 0) describe(rules, ref, to, level + 1);
  else {
    types(rules, r, to);
    const required = rules.get(r, Slot.Required);
    const name = level > 0 && required >= 0 ? tape.first(required) : -1;
    if (name >= 0) to.text(' with "').bytes(tape.raw(name)).text('"');
  }
}

function types(rules: Rules, r: i32, to: Writer): void {
  const mask = rules.get(r, Slot.Types) || bounded(rules, r);
  const start = to.length;
  if (mask & (1 << Kind.Object)) to.text("an object");
  if (mask & (1 << Kind.Array)) {
    or(to, start).text("a list");
    range(to, rules.get(r, Slot.MinItems), rules.get(r, Slot.MaxItems), " items");
  }
  if (mask & (1 << Kind.String)) {
    const least = rules.get(r, Slot.MinLength);
    or(to, start).text(least == 1 ? "a non-empty string" : "a string");
    range(to, least == 1 ? -1 : least, rules.get(r, Slot.MaxLength), " characters");
  }
  if (mask & (INTEGER | (1 << Kind.Number))) {
    or(to, start).text(mask & (1 << Kind.Number) ? "a number" : "an integer");
    const least = rules.get(r, Slot.Minimum);
    const most = rules.get(r, Slot.Maximum);
    if (least >= 0 && most >= 0) {
      to.text(" from ").bytes(rules.tape.raw(least)).text(" to ").bytes(rules.tape.raw(most));
    } else if (least >= 0) to.byte(32).byte(0xe2).byte(0x89).byte(0xa5).byte(32).bytes(rules.tape.raw(least));
    else if (most >= 0) to.byte(32).byte(0xe2).byte(0x89).byte(0xa4).byte(32).bytes(rules.tape.raw(most));
  }
  if (mask & (1 << Kind.True)) or(to, start).text("true or false");
  if (mask & (1 << Kind.Null)) or(to, start).text("null");
  if (to.length == start) to.text("another value");
}

/** The types that a schema which names none has bounds for: of the others it takes any value. */
function bounded(rules: Rules, r: i32): i32 {
  let mask = 0;
  if (rules.get(r, Slot.MinItems) >= 0 || rules.get(r, Slot.MaxItems) >= 0) mask |= 1 << Kind.Array;
  if (rules.get(r, Slot.MinLength) >= 0 || rules.get(r, Slot.MaxLength) >= 0) mask |= 1 << Kind.String;
  if (rules.get(r, Slot.Minimum) >= 0 || rules.get(r, Slot.Maximum) >= 0) mask |= 1 << Kind.Number;
  return mask;
}

function or(to: Writer, start: i32): Writer {
  return to.length > start ? to.text(" or ") : to;
}

function range(to: Writer, least: i32, most: i32, unit: string): void {
  if (least < 0 && most < 0) return;
  to.text(" of ");
  if (least >= 0 && most >= 0) to.u64(least).text(" to ").u64(most);
  else if (least >= 0) to.text("at least ").u64(least);
  else to.text("at most ").u64(most);
  to.text(unit);
}

/** `a known key (did you mean "requests"? known: requests, tokens)` */
export function describeKeys(rules: Rules, r: i32, key: Slice, to: Writer): void {
  const tape = rules.tape;
  const properties = rules.get(r, Slot.Properties);
  if (properties < 0 || !tape.count(properties)) {
    to.text("no key here");
    return;
  }
  to.text("a known key (");
  let nearest = -1;
  let best = 3;
  for (let n = tape.first(properties); n >= 0; n = tape.next(n)) {
    const d = distance(key, tape.key(n));
    if (d < best) {
      best = d;
      nearest = n;
    }
  }
  if (nearest >= 0) to.text('did you mean "').bytes(tape.key(nearest)).text('"? ');
  to.text("known: ");
  let shown = 0;
  for (let n = tape.first(properties); n >= 0; n = tape.next(n)) {
    if (shown > 0) to.text(", ");
    if (shown++ == NAMES_MAX) {
      to.text("...");
      break;
    }
    writeCut(tape.key(n), to);
  }
  to.text(")");
}

/** Edits between two names (Levenshtein), in bytes; 100 if either is too long to matter. */
function distance(a: Slice, b: Slice): i32 {
  const rows = lenOf(a);
  const columns = lenOf(b);
  if (rows > NAME_MAX || columns > NAME_MAX) return 100;
  for (let j = 0; j <= columns; j++) store<u8>(row + j, <u8>j);
  for (let i = 1; i <= rows; i++) {
    let diagonal: i32 = load<u8>(row);
    store<u8>(row, <u8>i);
    for (let j = 1; j <= columns; j++) {
      const above: i32 = load<u8>(row + j);
      const same = load<u8>(ptrOf(a) + i - 1) == load<u8>(ptrOf(b) + j - 1);
      const left: i32 = load<u8>(row + j - 1);
      store<u8>(row + j, <u8>min(min(above, left) + 1, diagonal + (same ? 0 : 1)));
      diagonal = above;
    }
  }
  return load<u8>(row + columns);
}
