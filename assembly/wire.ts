// The sidecar's messages (proto/weir/v1) in Protocol Buffers' wire format, by hand: only varints, fixed numbers,
// strings, packed lists and nested messages occur, so a writer and a reader are a few lines each. Framed for
// gRPC-Web, which needs neither gRPC host calls nor trailers:
//
//  ┌──────────┬──────────────────────┬─────────┐  flags 0x00: a message; 0x80: trailers as "name: value" lines
//  │ flags u8 │ length u32 (network) │ bytes   │
//  └──────────┴──────────────────────┴─────────┘
import { endOf, lenOf, NONE, ptrOf, slice, Slice } from "./slice";
import { Writer } from "./writer";

const FRAME: i32 = 5;
const TRAILERS: u8 = 0x80;

export function putVarint(to: Writer, value: u64): void {
  let rest = value;
  while (rest >= 0x80) {
    to.byte(<u8>(rest | 0x80));
    rest >>= 7;
  }
  to.byte(<u8>rest);
}

/** A number field; proto3 leaves zero out. */
export function putNumber(to: Writer, field: u32, value: u64): void {
  if (value == 0) return;
  putVarint(to, field << 3);
  putVarint(to, value);
}

/** A fixed64 field, zero included. */
export function putFixed64(to: Writer, field: u32, value: u64): void {
  putVarint(to, (field << 3) | 1);
  const at = to.take(8);
  if (at) store<u64>(at, value);
}

/** A string, bytes or message field. */
export function putBytes(to: Writer, field: u32, value: Slice): void {
  if (lenOf(value) == 0) return;
  putVarint(to, (field << 3) | 2);
  putVarint(to, lenOf(value));
  to.bytes(value);
}

/** Opens a gRPC-Web message in an empty writer. */
export function openFrame(to: Writer): void {
  const head = to.reset().take(FRAME);
  if (head) memory.fill(head, 0, FRAME);
}

/** Writes the frame's length; the whole request body. */
export function closeFrame(to: Writer): Slice {
  const all = to.written;
  store<u32>(ptrOf(all), bswap<u32>(lenOf(all) - FRAME), 1);
  return all;
}

/** The message in a gRPC-Web answer; NONE if there is none or its trailers tell of an error. */
export function unframe(body: Slice): Slice {
  let message = NONE;
  let at = ptrOf(body);
  const end = endOf(body);
  while (end - at >= <usize>FRAME) {
    const length = bswap<u32>(load<u32>(at, 1));
    const from = at + FRAME;
    if (<usize>length > end - from) return NONE;
    if (load<u8>(at) & TRAILERS) {
      if (!statusZero(slice(from, length))) return NONE;
    } else message = slice(from, length);
    at = from + length;
  }
  return message;
}

/** Whether trailers say "grpc-status: 0" (a missing one is an error too). */
function statusZero(trailers: Slice): bool {
  const name = "grpc-status:";
  const ptr = ptrOf(trailers);
  const last = lenOf(trailers) - name.length - 1;
  for (let i = 0; i <= last; i++) {
    let j = 0;
    while (j < name.length && <u16>(load<u8>(ptr + i + j) | 32) == (name.charCodeAt(j) | 32)) j++;
    if (j < name.length) continue;
    i += j;
    while (i < lenOf(trailers) && load<u8>(ptr + i) == 32) i++;
    return i < lenOf(trailers) && load<u8>(ptr + i) == 48;
  }
  return false;
}

// A reader over one message: `nextField`, then `fieldNumber` and `fieldValue` or `fieldBytes`.

let at: usize = 0;
let end: usize = 0;
let broken: bool = false;

export let fieldNumber: u32 = 0;
export let fieldValue: u64 = 0;
export let fieldBytes: Slice = NONE;

export function openMessage(message: Slice): void {
  at = ptrOf(message);
  end = endOf(message);
  broken = false;
}

/** Moves to the next field; false at the end or when the message is malformed. */
export function nextField(): bool {
  if (at >= end) return false;
  const key = takeVarint();
  fieldNumber = <u32>(key >> 3);
  fieldBytes = NONE;
  switch (<i32>(key & 7)) {
    case 0:
      fieldValue = takeVarint();
      break;
    case 1:
      at += 8;
      break;
    case 2: {
      const length = takeVarint();
      if (broken || length > <u64>(end - at)) {
        broken = true;
        return false;
      }
      fieldBytes = slice(at, <i32>length);
      at += <usize>length;
      break;
    }
    case 5:
      at += 4;
      break;
    default:
      broken = true;
  }
  if (at > end) broken = true;
  return !broken;
}

/** Whether the message that was read is malformed. */
export function malformed(): bool {
  return broken;
}

/** Where the reader stands, to come back to after a nested message. */
export function suspend(): Slice {
  return slice(at, <i32>(end - at));
}

/** Reads packed varints into u64s at `to`, at most `most`; returns their number. */
export function unpack(packed: Slice, to: usize, most: i32): i32 {
  const rest = suspend();
  openMessage(packed);
  let count = 0;
  while (at < end && !broken && count < most) {
    const value = takeVarint();
    if (broken) break;
    store<u64>(to + ((<usize>count) << 3), value);
    count++;
  }
  const bad = broken;
  openMessage(rest);
  broken = bad;
  return count;
}

function takeVarint(): u64 {
  let value: u64 = 0;
  for (let shift: u64 = 0; shift < 64; shift += 7) {
    if (at >= end) break;
    const byte = load<u8>(at++);
    value |= (<u64>(byte & 0x7f)) << shift;
    if (byte < 0x80) return value;
  }
  broken = true;
  return 0;
}
