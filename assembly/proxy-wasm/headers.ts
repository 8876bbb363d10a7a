// Header maps. Reading all pairs at once costs less than three single look-ups (1.2 µs in V8), so a request's
// headers are read once, walked in place, and changed by single calls only where something must change.
//
//  serialised map (all u32 little endian)
//  ┌───────┬──────────────────────────┬─────────────────────────────┐
//  │ count │ count × (key len, value) │ key NUL value NUL key NUL … │
//  └───────┴──────────────────────────┴─────────────────────────────┘
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import { Writer } from "../writer";
import {
  MapType,
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_get_header_map_value,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
  Status,
} from "./abi";

const out = reserve(8);

// The walk over one map; only one at a time, which the single thread and the flow guarantee.
let sizes: usize = 0;
let text: usize = 0;
let left: i32 = 0;
let end: usize = 0;
let keyNow: Slice = NONE;
let valueNow: Slice = NONE;

/** Starts a walk over `map`; false when the host could not hand it over (e.g. larger than the arena). */
export function openHeaders(map: MapType): bool {
  left = 0;
  store<u64>(out, 0);
  if (proxy_get_header_map_pairs(map, out, out + 4) != Status.Ok) return false;
  const ptr = <usize>load<u32>(out);
  const size = <usize>load<u32>(out + 4);
  if (size < 4) return size == 0;
  const count = load<u32>(ptr);
  if (<u64>count * 8 + 4 > size) return false;
  sizes = ptr + 4;
  text = ptr + 4 + ((<usize>count) << 3);
  end = ptr + size;
  left = count;
  return true;
}

/** Moves to the next pair; false at the end. */
export function nextHeader(): bool {
  if (left <= 0) return false;
  const keySize = <usize>load<u32>(sizes);
  const valueSize = <usize>load<u32>(sizes, 4);
  if (keySize + valueSize + 2 > end - text) {
    left = 0;
    return false;
  }
  keyNow = slice(text, <i32>keySize);
  valueNow = slice(text + keySize + 1, <i32>valueSize);
  text += keySize + valueSize + 2;
  sizes += 8;
  left--;
  return true;
}

/** The name of the pair that the walk stands on (hosts give lower case). */
export function headerName(): Slice {
  return keyNow;
}

export function headerValue(): Slice {
  return valueNow;
}

/** One value, or NONE. For maps of which little is needed. */
export function header(map: MapType, name: Slice): Slice {
  store<u64>(out, 0);
  const status = proxy_get_header_map_value(map, ptrOf(name), lenOf(name), out, out + 4);
  return status == Status.Ok ? slice(<usize>load<u32>(out), load<i32>(out + 4)) : NONE;
}

export function setHeader(map: MapType, name: Slice, value: Slice): void {
  proxy_replace_header_map_value(map, ptrOf(name), lenOf(name), ptrOf(value), lenOf(value));
}

export function addHeader(map: MapType, name: Slice, value: Slice): void {
  proxy_add_header_map_value(map, ptrOf(name), lenOf(name), ptrOf(value), lenOf(value));
}

export function removeHeader(map: MapType, name: Slice): void {
  proxy_remove_header_map_value(map, ptrOf(name), lenOf(name));
}

/**
 * Serialises headers for a local response or a callout. A value may be written in place between `begin` and
 * `end`, so that a number costs no intermediate text.
 */
export class HeaderList {
  private count: i32 = 0;
  private pairFrom: i32 = 0;
  private valueFrom: i32 = 0;
  private readonly lengths: usize;
  private readonly text: Writer;
  private readonly bytes: Writer;

  constructor(
    private readonly pairsMax: i32,
    textMax: i32,
  ) {
    this.lengths = reserve(pairsMax * 8);
    this.text = new Writer(textMax);
    this.bytes = new Writer(4 + pairsMax * 8 + textMax);
  }

  reset(): HeaderList {
    this.count = 0;
    this.text.reset();
    return this;
  }

  /** Adds a pair. A pair that does not fit is left out whole. */
  add(name: Slice, value: Slice): HeaderList {
    this.begin(name).bytes(value);
    return this.end();
  }

  /** Opens a pair; its value is what is written to the returned writer until `end`. */
  begin(name: Slice): Writer {
    this.pairFrom = this.text.length;
    this.text.bytes(name).byte(0);
    this.valueFrom = this.text.length;
    return this.text;
  }

  end(): HeaderList {
    const to = this.text;
    const valueSize = to.length - this.valueFrom;
    to.byte(0);
    if (to.overflow || this.count >= this.pairsMax) {
      to.truncate(this.pairFrom);
      to.overflow = false;
      return this;
    }
    const at = this.lengths + ((<usize>this.count) << 3);
    store<u32>(at, this.valueFrom - this.pairFrom - 1);
    store<u32>(at, valueSize, 4);
    this.count++;
    return this;
  }

  /** The serialised map. */
  get serialised(): Slice {
    const to = this.bytes.reset();
    const head = to.take(4 + this.count * 8);
    store<u32>(head, this.count);
    memory.copy(head + 4, this.lengths, this.count * 8);
    return to.bytes(this.text.written).written;
  }
}
