import { errorText } from "../../../assembly/json/errors";
import { seedKeys } from "../../../assembly/json/keys";
import { Event, Scanner } from "../../../assembly/json/scanner";
import { Tape } from "../../../assembly/json/tape";
import {
  codePoints,
  decode,
  equalsDecoded,
  isWhole,
  pointer,
  toF64,
  toU64,
} from "../../../assembly/json/text";
import { reserve } from "../../../assembly/memory";
import { Slice, slice } from "../../../assembly/slice";
import { Writer } from "../../../assembly/writer";

export { reserve };

const scanner = new Scanner();
const other = new Scanner();
const tape = new Tape(200000);
const small = new Tape(16);
const out = new Writer(1 << 16);

function pick(second: bool): Scanner {
  return second ? other : scanner;
}

export function begin(depthMax: i32, second: bool): void {
  pick(second).begin(depthMax);
}
export function feed(ptr: usize, len: i32, last: bool, second: bool): void {
  pick(second).feed(ptr, len, last);
}
export function next(second: bool): i32 {
  return pick(second).next();
}
export function start(second: bool): i32 {
  return pick(second).start;
}
export function end(second: bool): i32 {
  return pick(second).end;
}
export function escaped(second: bool): bool {
  return pick(second).escaped;
}
export function depth(second: bool): i32 {
  return pick(second).depth;
}
export function error(second: bool): i32 {
  return pick(second).error;
}
export function errorAt(second: bool): i32 {
  return pick(second).errorAt;
}

/** Scans a whole document and answers its number of events, or minus the error. */
export function scanAll(ptr: usize, len: i32, depthMax: i32): i32 {
  scanner.begin(depthMax);
  scanner.feed(ptr, len, true);
  let events = 0;
  while (true) {
    const event = scanner.next();
    if (event == Event.Error) return -scanner.error;
    events++;
    if (event == Event.End) return events;
  }
}

export function tapeScan(ptr: usize, len: i32, depthMax: i32): i32 {
  return tape.scan(ptr, len, depthMax);
}
export function tapeErrorAt(): i32 {
  return tape.errorAt;
}
export function tapeLength(): i32 {
  return tape.length;
}
export function smallScan(ptr: usize, len: i32): i32 {
  return small.scan(ptr, len, 8);
}
export function kind(n: i32): i32 {
  return tape.kind(n);
}
export function raw(n: i32): Slice {
  return tape.raw(n);
}
export function nodeEscaped(n: i32): bool {
  return tape.escaped(n);
}
export function first(n: i32): i32 {
  return tape.first(n);
}
export function nextOf(n: i32): i32 {
  return tape.next(n);
}
export function key(n: i32): Slice {
  return tape.key(n);
}
export function keyEscaped(n: i32): bool {
  return tape.keyEscaped(n);
}
export function count(n: i32): i32 {
  return tape.count(n);
}
export function parent(n: i32): i32 {
  return tape.parent(n);
}
export function memberRole(n: i32): i32 {
  return tape.member(n, "role");
}
export function memberBytes(n: i32, ptr: usize, len: i32): i32 {
  return tape.memberBytes(n, slice(ptr, len));
}
export function pointerOf(n: i32): Slice {
  out.reset();
  pointer(tape, n, out);
  return out.written;
}
export function seed(a: u64, b: u64): void {
  seedKeys(a, b);
}

export function decodeText(ptr: usize, len: i32, to: usize, max: i32): i32 {
  return decode(slice(ptr, len), to, max);
}
export function isRole(ptr: usize, len: i32, hasEscapes: bool): bool {
  return equalsDecoded(slice(ptr, len), hasEscapes, "role");
}
export function points(ptr: usize, len: i32): i32 {
  return codePoints(slice(ptr, len), true);
}
export function f64Of(ptr: usize, len: i32): f64 {
  return toF64(slice(ptr, len));
}
export function u64Of(ptr: usize, len: i32): u64 {
  return toU64(slice(ptr, len));
}
export function whole(ptr: usize, len: i32): bool {
  return isWhole(slice(ptr, len));
}
export function errorName(code: i32): Slice {
  return out.reset().text(errorText(code)).written;
}
