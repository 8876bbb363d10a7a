// The problems that a check found, in reserved memory: where, what stands there, and what was expected.
//
//   problem (24 bytes) ┌──────────────┬──────────────┬──────────────┐
//                      │ pointer      │ value        │ expected     │   slices of the report's own text
//                      └──────────────┴──────────────┴──────────────┘
//
// Bounds: `problemsMax` problems and `textMax` bytes of text. What does not fit is only counted in `total`; but the first
// problem always tells its place, and where that has a name that is too long, the nearest place around it.
import { Kind, Tape } from "../json/tape";
import { nearest, POINTER_MAX } from "../json/text";
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice, slice, sub } from "../slice";
import { Writer } from "../writer";

/** Bytes of a value that a message shows. */
const VALUE_SHOWN_MAX: i32 = 60;

const place = new Writer(POINTER_MAX);

export class Report {
  /** Problems that can be read. */
  count: i32 = 0;
  /** Problems found. */
  total: i32 = 0;
  /** Whether there is no room for another problem: then it need not be put into words, only counted. */
  full: bool = false;

  private readonly problems: usize;
  private readonly problemsMax: i32;
  private readonly text: Writer;
  private begun: i32 = 0;
  private valueAt: i32 = 0;
  private expectedAt: i32 = 0;

  /** Reserves its memory: construct at module level only. */
  constructor(problemsMax: i32, textMax: i32) {
    this.problemsMax = problemsMax;
    this.problems = reserve(<usize>problemsMax * 24);
    this.text = new Writer(textMax);
  }

  reset(): void {
    this.count = 0;
    this.total = 0;
    this.full = this.problemsMax == 0;
    this.text.reset();
  }

  /** Begins a problem with `node`: the expectation is then written to the answer, and `close` ends it. */
  open(tape: Tape, node: i32): Writer {
    const text = this.text;
    text.overflow = false;
    this.begun = text.length;
    place.reset();
    const at = nearest(tape, node, place);
    text.bytes(place.written);
    this.valueAt = text.length;
    writeShort(tape, at, text);
    this.expectedAt = text.length;
    return at == node ? text : text.text("somewhere in it ");
  }

  close(): void {
    const text = this.text;
    this.total++;
    if (text.overflow && this.count == 0) {
      text.truncate(this.expectedAt);
      text.overflow = false;
      text.text("another value");
    }
    if (this.full || text.overflow) {
      text.truncate(this.begun);
      this.full = true;
      return;
    }
    const at = this.problems + <usize>this.count * 24;
    store<u64>(at, this.part(this.begun, this.valueAt));
    store<u64>(at, this.part(this.valueAt, this.expectedAt), 8);
    store<u64>(at, this.part(this.expectedAt, text.length), 16);
    this.count++;
    this.full = this.count == this.problemsMax;
  }

  private part(from: i32, to: i32): Slice {
    return sub(this.text.written, from, to);
  }

  /** JSON pointer of the value; empty for the whole document. */
  pointer(i: i32): Slice {
    return this.field(i, 0);
  }

  /** The value, shortened, as JSON. */
  value(i: i32): Slice {
    return this.field(i, 8);
  }

  /** What was expected: `an integer ≥ 1`. */
  expected(i: i32): Slice {
    return this.field(i, 16);
  }

  private field(i: i32, offset: usize): Slice {
    return i >= 0 && i < this.count ? load<u64>(this.problems + <usize>i * 24 + offset) : NONE;
  }
}

/** The value as JSON, shortened: objects and arrays only show whether they are empty. */
export function writeShort(tape: Tape, node: i32, to: Writer): void {
  switch (tape.kind(node)) {
    case Kind.Object:
      to.text(tape.count(node) ? "{...}" : "{}");
      return;
    case Kind.Array:
      to.text(tape.count(node) ? "[...]" : "[]");
      return;
    case Kind.String:
      to.byte(34);
      writeCut(tape.raw(node), to);
      to.byte(34);
      return;
    default:
      writeCut(tape.raw(node), to);
  }
}

/** Raw text of at most VALUE_SHOWN_MAX bytes, cut between characters and outside escapes. */
export function writeCut(raw: Slice, to: Writer): void {
  const ptr = ptrOf(raw);
  const len = lenOf(raw);
  if (len <= VALUE_SHOWN_MAX) {
    to.bytes(raw);
    return;
  }
  let end = 0;
  for (let i = 0; i < VALUE_SHOWN_MAX; ) {
    end = i;
    const c: u32 = load<u8>(ptr + i);
    if (c == 92) i += load<u8>(ptr + i + 1) == 117 ? 6 : 2;
    else i += c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  }
  to.bytes(slice(ptr, end)).text("...");
}
