import { emptyPointer, findPrompt, Prompt } from "../../../assembly/inspect/prompt";
import { Tape } from "../../../assembly/json/tape";
import { pointer } from "../../../assembly/json/text";
import { reserve } from "../../../assembly/memory";
import { Slice, slice } from "../../../assembly/slice";
import { Writer } from "../../../assembly/writer";

export { reserve };

const tape = new Tape(20000);
const found = new Prompt(64);
const out = new Writer(1 << 12);

/** Scans a body (an error is answered) and finds its prompt. */
export function find(ptr: usize, len: i32, path: usize, pathLen: i32, method: usize, methodLen: i32): i32 {
  const code = tape.scan(ptr, len, 64);
  if (code == 0) findPrompt(tape, slice(path, pathLen), slice(method, methodLen), found);
  return code;
}
export function shape(): i32 {
  return found.shape;
}
export function count(): i32 {
  return found.count;
}
export function raw(i: i32): Slice {
  return found.raw(i);
}
export function trust(i: i32): i32 {
  return found.trust(i);
}
export function escaped(i: i32): bool {
  return found.escaped(i);
}
export function isKey(i: i32): bool {
  return found.isKey(i);
}
export function tooMany(): bool {
  return found.tooMany;
}
export function media(): i32 {
  return found.media;
}
export function tokenIds(): i32 {
  return found.tokenIds;
}
export function unknownPart(): Slice {
  out.reset();
  if (found.unknownPart < 0) return 0;
  pointer(tape, found.unknownPart, out);
  return out.written;
}
export function messages(): i32 {
  return found.messages;
}
export function nonEmpty(): bool {
  return found.nonEmpty;
}
export function emptyAt(): Slice {
  out.reset();
  emptyPointer(tape, found, out);
  return out.written;
}
export function model(): Slice {
  return found.model;
}
export function oddPath(): bool {
  return found.oddPath;
}
export function stream(): bool {
  return found.stream;
}
export function includeUsage(): bool {
  return found.includeUsage;
}
export function limit(): u64 {
  return found.limit;
}
export function limitCount(): i32 {
  return found.limitCount;
}
export function n(): u64 {
  return found.n;
}
export function bestOf(): u64 {
  return found.bestOf;
}
export function bad(): Slice {
  out.reset();
  if (found.bad < 0) return 0;
  pointer(tape, found.bad, out);
  return out.written;
}
