// Reading a policy document: the values of members, in the forms that the policy knows. The schema has accepted the
// document, so what is read here has the right type and form; only ranges are left to check.
import { Kind, Tape } from "../json/tape";
import { decode, equalsDecoded, toU64 } from "../json/text";
import { is, lenOf, NONE, slice, Slice } from "../slice";
import { take } from "./block";
import { problem } from "./problems";
import { parsedMs, parsedQuantity, parseDuration, parseQuantity, QUANTITY_MAX } from "./units";

export function flag(tape: Tape, node: i32, otherwise: bool): bool {
  return node < 0 ? otherwise : is(tape.raw(node), "true");
}

/** Whether the value at `node` (which may be absent) is `text`. */
export function choice(tape: Tape, node: i32, text: string): bool {
  return node >= 0 && equalsDecoded(tape.raw(node), tape.escaped(node), text);
}

/** A count written as a number or with a unit. */
export function quantity(tape: Tape, node: i32, otherwise: u64): u64 {
  if (node < 0) return otherwise;
  const raw = tape.raw(node);
  if (tape.kind(node) == Kind.String) return parseQuantity(raw) ? parsedQuantity : otherwise;
  const number = toU64(raw);
  if (number <= QUANTITY_MAX) return number;
  problem(tape, node, "a whole number from 0 to 2^53 - 1");
  return otherwise;
}

export function duration(tape: Tape, node: i32, otherwise: u32): u32 {
  if (node < 0) return otherwise;
  parseDuration(tape.raw(node));
  return <u32>parsedMs;
}

/** The decoded text of a raw JSON string, copied into the policy. */
export function textOf(raw: Slice): Slice {
  const to = take(<usize>lenOf(raw));
  return slice(to, decode(raw, to, lenOf(raw)));
}

/** An array of strings joined by commas; NONE for an absent one. */
export function list(tape: Tape, node: i32): Slice {
  if (node < 0) return NONE;
  let size = count(tape, node);
  for (let n = first(tape, node); n >= 0; n = tape.next(n)) size += lenOf(tape.raw(n));
  const start = take(<usize>size);
  let to = start;
  for (let n = first(tape, node); n >= 0; n = tape.next(n)) {
    if (to != start) store<u8>(to++, 44);
    to += decode(tape.raw(n), to, lenOf(tape.raw(n)));
  }
  return slice(start, <i32>(to - start));
}

// The walk over the document tells absent parts by -1; these carry that through.

export function member(tape: Tape, node: i32, name: string): i32 {
  return node < 0 ? -1 : tape.member(node, name);
}

export function first(tape: Tape, node: i32): i32 {
  return node < 0 || tape.kind(node) > Kind.Array ? -1 : tape.first(node);
}

export function count(tape: Tape, node: i32): i32 {
  return node < 0 || tape.kind(node) > Kind.Array ? 0 : tape.count(node);
}
