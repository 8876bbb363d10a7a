// W3C trace context (w3.org/TR/trace-context): the caller's trace goes on, or a new one begins, and this exchange is a
// span of it. Read strictly: what the specification does not allow is as good as absent.
//
//   00-<trace id, 32 hexadecimal digits>-<parent id, 16>-<flags, 2>
//
//   trace (40 bytes): │ trace id 16 │ span id 8 │ parent's span id 8 │ flags u8 │ begun here u8 │
import { mix } from "../hash";
import { random } from "../proxy-wasm/random";
import { lenOf, ptrOf, Slice, slice } from "../slice";
import { Writer } from "../writer";

export const TRACE_BYTES: i32 = 40;
const SPAN_AT: usize = 16;
const PARENT_AT: usize = 24;
const FLAGS_AT: usize = 32;
const BEGUN_AT: usize = 33;
const LENGTH: i32 = 55;
const DASH: u8 = 45;
const SAMPLED: u8 = 1;
const GOLDEN: u64 = 0x9e3779b97f4a7c15;

const text = new Writer(LENGTH);
// A counter through a bijection, from a random start: no two ids of a worker are the same, and no host call is needed.
let state: u64 = 0;

function nextId(): u64 {
  if (state == 0) state = random();
  state += GOLDEN;
  const id = mix(state);
  return id ? id : nextId();
}

/** Begins the span of an exchange at `trace`; `header` is the caller's traceparent, or NONE. */
export function openTrace(trace: usize, header: Slice): void {
  if (!readParent(trace, header)) {
    store<u64>(trace, nextId());
    store<u64>(trace, nextId(), 8);
    store<u64>(trace, 0, PARENT_AT);
    store<u8>(trace, SAMPLED, FLAGS_AT);
    store<u8>(trace, 1, BEGUN_AT);
  }
  store<u64>(trace, nextId(), SPAN_AT);
}

function readParent(trace: usize, header: Slice): bool {
  const len = lenOf(header);
  const ptr = ptrOf(header);
  if (len < LENGTH || !isVersion(ptr, len)) return false;
  if (load<u8>(ptr, 2) != DASH || load<u8>(ptr, 35) != DASH || load<u8>(ptr, 52) != DASH) return false;
  if (!readHex(ptr + 3, 16, trace) || !readHex(ptr + 36, 8, trace + PARENT_AT)) return false;
  if (!readHex(ptr + 53, 1, trace + FLAGS_AT)) return false;
  store<u8>(trace, load<u8>(trace, FLAGS_AT) & SAMPLED, FLAGS_AT);
  store<u8>(trace, 0, BEGUN_AT);
  const isZero = load<u64>(trace) == 0 && load<u64>(trace, 8) == 0;
  return !isZero && load<u64>(trace, PARENT_AT) != 0;
}

/** Version 00 has exactly these fields; later ones may have more behind a dash; ff is none. */
function isVersion(ptr: usize, len: i32): bool {
  const high = nibble(load<u8>(ptr));
  const low = nibble(load<u8>(ptr, 1));
  if (high < 0 || low < 0) return false;
  const version = (high << 4) | low;
  if (version == 0xff) return false;
  return len == LENGTH || (version > 0 && load<u8>(ptr, LENGTH) == DASH);
}

function readHex(from: usize, bytes: i32, to: usize): bool {
  for (let i = 0; i < bytes; i++) {
    const high = nibble(load<u8>(from + 2 * i));
    const low = nibble(load<u8>(from + 2 * i + 1));
    if (high < 0 || low < 0) return false;
    store<u8>(to + i, <u8>((high << 4) | low));
  }
  return true;
}

/** Lower case only, as the specification has it. */
function nibble(byte: u8): i32 {
  if (byte >= 48 && byte <= 57) return byte - 48;
  return byte >= 97 && byte <= 102 ? byte - 87 : -1;
}

export function traceId(trace: usize): Slice {
  return slice(trace, 16);
}

export function spanId(trace: usize): Slice {
  return slice(trace + SPAN_AT, 8);
}

/** The caller's span; all zero where the trace begins here. */
export function parentId(trace: usize): Slice {
  return slice(trace + PARENT_AT, 8);
}

export function traceFlags(trace: usize): u8 {
  return load<u8>(trace, FLAGS_AT);
}

/** Whether the trace begins with this exchange: there was no caller's, or none that is allowed. */
export function isBegun(trace: usize): bool {
  return load<u8>(trace, BEGUN_AT) != 0;
}

/** The traceparent for what this exchange calls; valid until the next call. */
export function traceparent(trace: usize): Slice {
  text
    .reset()
    .text("00-")
    .hex(trace, 16)
    .byte(DASH)
    .hex(trace + SPAN_AT, 8)
    .text("-0");
  return text.byte(48 + traceFlags(trace)).written;
}
