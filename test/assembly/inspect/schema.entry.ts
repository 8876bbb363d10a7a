import { Report, Schema } from "../../../assembly/inspect/schema";
import { Rules } from "../../../assembly/inspect/schema-rules";
import { Tape } from "../../../assembly/json/tape";
import { reserve } from "../../../assembly/memory";
import { is, lenOf, NONE, Slice } from "../../../assembly/slice";

export { reserve };

const schema = new Schema(4096);
const tape = new Tape(100000);
const report = new Report(32, 1 << 14);

function format(name: Slice, raw: Slice, escaped: bool): string | null {
  if (!is(name, "duration")) return null;
  if (raw == NONE) return "a duration such as 5m";
  return !escaped && lenOf(raw) == 2 ? null : "a duration such as 5m, with a unit";
}
schema.setFormat(format);

const reader = new Rules(4096);
const opened = new Schema(0);

/** Reads a schema and keeps it at `to`; the bytes that it takes there, or 0 when it is refused. */
export function save(ptr: usize, len: i32, to: usize): usize {
  if (!reader.load(ptr, len)) return 0;
  reader.save(to);
  return reader.savedBytes;
}

/** Like `check`, with the schema that was kept at `from`. */
export function checkSaved(from: usize): i32 {
  report.reset();
  opened.open(from);
  return opened.check(tape, 0, report);
}

export function load(ptr: usize, len: i32): bool {
  return schema.load(ptr, len);
}
export function loadError(): Slice {
  return schema.loadError.written;
}
export function scan(ptr: usize, len: i32): i32 {
  return tape.scan(ptr, len, 1024);
}
export function check(): i32 {
  report.reset();
  return schema.check(tape, 0, report);
}
export function count(): i32 {
  return report.count;
}
export function pointer(i: i32): Slice {
  return report.pointer(i);
}
export function value(i: i32): Slice {
  return report.value(i);
}
export function expected(i: i32): Slice {
  return report.expected(i);
}
