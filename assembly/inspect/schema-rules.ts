// Reads a schema once, when it is configured, into one record a schema object, so that a check only follows
// numbers. Whatever is not understood is refused here, with its JSON pointer: a keyword that was ignored would
// be a limit that nobody enforces.
//
// The subset of JSON Schema 2020-12: type, required, properties, additionalProperties, items, enum and const of
// scalars, minimum, maximum, minLength, maxLength, minItems, maxItems, anyOf, format, $ref to `#/$defs/NAME`
// and $defs at the root. Annotations (title, description, default, examples, $schema, $id, $comment) are read over.
//
//   record (64 bytes, 16 × i32; -1 = absent)
//   ┌───────┬────────────┬────────────┬──────────┬───────┬──────┬───────┬─────────┬─────────┐
//   │ types │ properties │ additional │ required │ items │ enum │ const │ minimum │ maximum │ …
//   └───────┴────────────┴────────────┴──────────┴───────┴──────┴───────┴─────────┴─────────┘
//   … minLength, maxLength, minItems, maxItems, anyOf, format, ref
//   properties, required, enum, const, minimum, maximum, anyOf, format: nodes of the schema's tape;
//   items, additional, ref: records; the lengths: numbers.
//
// A schema that was read can be saved to memory of its own and opened again from there, so that one reader serves the
// schemas of all policies and each policy's block keeps what its routes need:
//
//   saved  │ text u32 │ nodes u32 │ records u32 │ 0 │ nodes × 16 │ records × 64 │ index: nodes × 4 │
//
// Bounds: `nodesMax` values and keys in the schema, half as many schema objects, SCHEMA_DEPTH levels.
import { errorText } from "../json/errors";
import { Kind, NODE_BYTES, Tape } from "../json/tape";
import { equalsDecoded, NOT_WHOLE, pointer, sameText, toF64, toU64 } from "../json/text";
import { reserve } from "../memory";
import { lenOf, NONE, ptrOf, Slice, slice } from "../slice";
import { Writer } from "../writer";

/** Nesting of a schema document; also bounds the recursion that reads it. */
export const SCHEMA_DEPTH: i32 = 64;
const LOAD_ERROR_MAX: i32 = 512;
const SAVED_HEAD: usize = 16;
/** Alternatives of one anyOf. */
const ALTERNATIVES_MAX: i32 = 16;

/** Slots of a record. */
export enum Slot {
  Types = 0,
  Properties = 1,
  Additional = 2,
  Required = 3,
  Items = 4,
  Enum = 5,
  Const = 6,
  Minimum = 7,
  Maximum = 8,
  MinLength = 9,
  MaxLength = 10,
  MinItems = 11,
  MaxItems = 12,
  AnyOf = 13,
  Format = 14,
  Ref = 15,
}

/** `Additional`: members that no property names are refused. */
export const DENIED: i32 = -2;
/** A bit in `Types` beside those of Kind: numbers without a fraction. */
export const INTEGER: i32 = 128;

/**
 * Judges strings of a `format`. With `raw` = NONE it answers what the format expects, for people ("a duration
 * such as 5m"), or null if there is no such format; otherwise null if `raw` is well-formed, else the expectation.
 */
export type Format = (format: Slice, raw: Slice, escaped: bool) => string | null;

function noFormat(format: Slice, raw: Slice, escaped: bool): string | null {
  return null;
}

export class Rules {
  readonly tape: Tape;
  /** Why `load` answered false: `POINTER: what was expected`. */
  readonly loadError: Writer = new Writer(LOAD_ERROR_MAX);
  /** The node that `load` refused, or -1 when the text is no schema at all; and what was expected there. */
  errorNode: i32 = -1;
  expected: string = "";
  format: Format = noFormat;

  private records: usize;
  private readonly recordsMax: i32;
  /** Node → record + 1. */
  private index: usize;
  private readonly marks: usize;
  private used: i32 = 0;
  private text: usize = 0;

  constructor(nodesMax: i32) {
    const recordsMax = (nodesMax >> 1) + 1;
    this.recordsMax = recordsMax;
    this.tape = new Tape(nodesMax);
    this.records = reserve((<usize>recordsMax) << 6);
    this.index = reserve((<usize>nodesMax) << 2);
    this.marks = reserve(recordsMax);
  }

  /** Reads a schema whose text stays in place; false with `loadError` if any of it is not understood. */
  load(ptr: usize, len: i32): bool {
    this.loadError.reset();
    this.used = 0;
    this.text = ptr;
    this.errorNode = -1;
    const tape = this.tape;
    const code = tape.scan(ptr, len, SCHEMA_DEPTH);
    if (code) {
      this.loadError.text("byte ").u64(tape.errorAt).text(": ").text(errorText(code));
      return false;
    }
    memory.fill(this.index, 0, (<usize>tape.length) << 2);
    return this.read(0) && this.resolve();
  }

  /** Bytes that `save` needs for the schema that was loaded. */
  get savedBytes(): usize {
    return SAVED_HEAD + <usize>this.tape.length * (NODE_BYTES + 4) + ((<usize>this.used) << 6);
  }

  /** Keeps the loaded schema at `to`; its text must stay in place too. */
  save(to: usize): void {
    const nodes = this.tape.length;
    store<u32>(to, <u32>this.text);
    store<u32>(to, nodes, 4);
    store<u32>(to, this.used, 8);
    const recordsAt = to + SAVED_HEAD + <usize>nodes * NODE_BYTES;
    const indexAt = recordsAt + ((<usize>this.used) << 6);
    this.tape.saveNodes(to + SAVED_HEAD);
    memory.copy(recordsAt, this.records, (<usize>this.used) << 6);
    memory.copy(indexAt, this.index, (<usize>nodes) << 2);
  }

  /** Takes the schema that was saved at `from`, where it stays. */
  open(from: usize): void {
    const nodes = load<i32>(from, 4);
    this.used = load<i32>(from, 8);
    this.records = from + SAVED_HEAD + <usize>nodes * NODE_BYTES;
    this.index = this.records + ((<usize>this.used) << 6);
    this.tape.overlay(<usize>load<u32>(from), from + SAVED_HEAD, nodes);
  }

  get(record: i32, slot: Slot): i32 {
    return load<i32>(this.at(record, slot));
  }

  private set(record: i32, slot: Slot, value: i32): void {
    store<i32>(this.at(record, slot), value);
  }

  private at(record: i32, slot: Slot): usize {
    return this.records + ((<usize>record) << 6) + ((<usize>slot) << 2);
  }

  /** The record of a schema object. */
  recordOf(node: i32): i32 {
    return load<i32>(this.index + ((<usize>node) << 2)) - 1;
  }

  /** The node of the property that a key names, or -1. */
  property(record: i32, key: Slice, escaped: bool): i32 {
    const properties = this.get(record, Slot.Properties);
    if (properties < 0) return -1;
    const tape = this.tape;
    for (let n = tape.first(properties); n >= 0; n = tape.next(n)) {
      if (sameText(tape.key(n), tape.keyEscaped(n), key, escaped)) return n;
    }
    return -1;
  }

  private refuse(node: i32, expected: string): bool {
    pointer(this.tape, node, this.loadError);
    this.loadError.text(": ").text(expected);
    this.errorNode = node;
    this.expected = expected;
    return false;
  }

  private read(node: i32): bool {
    const tape = this.tape;
    if (tape.kind(node) != Kind.Object) return this.refuse(node, "a schema (an object)");
    if (this.used >= this.recordsMax) return this.refuse(node, "fewer schemas in one document");
    const r = this.used++;
    memory.fill(this.at(r, 0), 0xff, 64);
    this.set(r, Slot.Types, 0);
    store<u8>(this.marks + r, 0);
    store<i32>(this.index + ((<usize>node) << 2), r + 1);
    for (let n = tape.first(node); n >= 0; n = tape.next(n)) if (!this.keyword(r, n)) return false;
    if (!this.ordered(r, node)) return false;
    if (!this.get(r, Slot.Types)) this.set(r, Slot.Types, this.typesOfValues(r));
    return true;
  }

  /** Whether some value can be between the bounds. */
  private ordered(r: i32, node: i32): bool {
    const least = this.get(r, Slot.Minimum);
    const most = this.get(r, Slot.Maximum);
    if (least >= 0 && most >= 0 && toF64(this.tape.raw(least)) > toF64(this.tape.raw(most)))
      return this.refuse(node, "a minimum that is not above maximum");
    if (this.crossed(r, Slot.MinLength, Slot.MaxLength))
      return this.refuse(node, "a minLength that is not above maxLength");
    return (
      !this.crossed(r, Slot.MinItems, Slot.MaxItems) ||
      this.refuse(node, "a minItems that is not above maxItems")
    );
  }

  private crossed(r: i32, least: Slot, most: Slot): bool {
    return this.get(r, most) >= 0 && this.get(r, least) > this.get(r, most);
  }

  /** The types that `const` or `enum` leave, where `type` is not given; 0 = any. */
  private typesOfValues(r: i32): i32 {
    const tape = this.tape;
    const only = this.get(r, Slot.Const);
    if (only >= 0) return 1 << tape.kind(only);
    const choices = this.get(r, Slot.Enum);
    let mask = 0;
    if (choices >= 0) for (let n = tape.first(choices); n >= 0; n = tape.next(n)) mask |= 1 << tape.kind(n);
    return mask;
  }

  private keyword(r: i32, n: i32): bool {
    const tape = this.tape;
    const key = tape.key(n);
    const kind = tape.kind(n);
    if (tape.keyEscaped(n)) return this.refuse(n, "a keyword without escapes");
    if (named(key, "type")) return this.types(r, n);
    if (named(key, "properties")) {
      this.set(r, Slot.Properties, n);
      return this.readEach(n, Kind.Object, "an object of schemas");
    }
    if (named(key, "additionalProperties")) {
      if (kind == Kind.True) return true;
      if (kind == Kind.False) {
        this.set(r, Slot.Additional, DENIED);
        return true;
      }
      if (!this.read(n)) return false;
      this.set(r, Slot.Additional, this.recordOf(n));
      return true;
    }
    if (named(key, "items")) {
      if (!this.read(n)) return false;
      this.set(r, Slot.Items, this.recordOf(n));
      return true;
    }
    if (named(key, "required")) return this.list(r, n, Slot.Required);
    if (named(key, "enum")) return this.list(r, n, Slot.Enum);
    if (named(key, "const")) {
      this.set(r, Slot.Const, n);
      return kind > Kind.Array || this.refuse(n, "a string, a number, true, false or null");
    }
    if (named(key, "minimum")) return this.keep(r, n, Slot.Minimum, Kind.Number, "a number");
    if (named(key, "maximum")) return this.keep(r, n, Slot.Maximum, Kind.Number, "a number");
    if (named(key, "minLength")) return this.size(r, n, Slot.MinLength);
    if (named(key, "maxLength")) return this.size(r, n, Slot.MaxLength);
    if (named(key, "minItems")) return this.size(r, n, Slot.MinItems);
    if (named(key, "maxItems")) return this.size(r, n, Slot.MaxItems);
    if (named(key, "anyOf")) {
      this.set(r, Slot.AnyOf, n);
      const count = kind == Kind.Array ? tape.count(n) : 0;
      if (count < 1 || count > ALTERNATIVES_MAX) return this.refuse(n, "a list of 1 to 16 schemas");
      return this.readEach(n, Kind.Array, "");
    }
    if (named(key, "format") && this.format != noFormat) {
      if (!this.keep(r, n, Slot.Format, Kind.String, "the name of a format")) return false;
      return this.format(tape.raw(n), NONE, false) != null || this.refuse(n, "the name of a known format");
    }
    if (named(key, "$ref")) return this.keep(r, n, Slot.Ref, Kind.String, "#/$defs/NAME");
    if (named(key, "$defs") && tape.parent(n) == 0)
      return this.readEach(n, Kind.Object, "an object of schemas");
    if (isAnnotation(key)) return true;
    return this.refuse(
      n,
      "a supported keyword (type, required, properties, additionalProperties, items, enum, const, minimum, maximum, minLength, maxLength, minItems, maxItems, anyOf, $ref, $defs at the root, or an annotation)",
    );
  }

  private readEach(n: i32, kind: i32, expected: string): bool {
    const tape = this.tape;
    if (tape.kind(n) != kind) return this.refuse(n, expected);
    for (let child = tape.first(n); child >= 0; child = tape.next(child)) if (!this.read(child)) return false;
    return true;
  }

  private keep(r: i32, n: i32, slot: Slot, kind: i32, expected: string): bool {
    this.set(r, slot, n);
    return this.tape.kind(n) == kind || this.refuse(n, expected);
  }

  private size(r: i32, n: i32, slot: Slot): bool {
    const value = this.tape.kind(n) == Kind.Number ? toU64(this.tape.raw(n)) : NOT_WHOLE;
    if (value > <u64>i32.MAX_VALUE) return this.refuse(n, "an integer from 0 to 2147483647");
    this.set(r, slot, <i32>value);
    return true;
  }

  /** `required` (strings) or `enum` (scalars, at least one). */
  private list(r: i32, n: i32, slot: Slot): bool {
    const tape = this.tape;
    this.set(r, slot, n);
    const strings = slot == Slot.Required;
    if (tape.kind(n) != Kind.Array || (!strings && !tape.count(n))) {
      return this.refuse(n, strings ? "a list of names" : "a list of at least one value");
    }
    for (let item = tape.first(n); item >= 0; item = tape.next(item)) {
      const kind = tape.kind(item);
      if (strings && kind != Kind.String) return this.refuse(item, "a name (a string)");
      if (kind < Kind.String) return this.refuse(item, "a string, a number, true, false or null");
    }
    return true;
  }

  private types(r: i32, n: i32): bool {
    const tape = this.tape;
    let mask = 0;
    if (tape.kind(n) == Kind.Array) {
      for (let item = tape.first(n); item >= 0; item = tape.next(item)) {
        const bits = this.typeBits(item);
        if (!bits) return this.refuse(item, TYPES);
        mask |= bits;
      }
    } else mask = this.typeBits(n);
    this.set(r, Slot.Types, mask);
    return mask != 0 || this.refuse(n, TYPES);
  }

  private typeBits(n: i32): i32 {
    if (this.tape.kind(n) != Kind.String) return 0;
    const name = this.tape.raw(n);
    if (named(name, "object")) return 1 << Kind.Object;
    if (named(name, "array")) return 1 << Kind.Array;
    if (named(name, "string")) return 1 << Kind.String;
    if (named(name, "number")) return 1 << Kind.Number;
    if (named(name, "integer")) return INTEGER;
    if (named(name, "boolean")) return (1 << Kind.True) | (1 << Kind.False);
    if (named(name, "null")) return 1 << Kind.Null;
    return 0;
  }

  /** Turns the texts of all references into records, and refuses a schema that refers to itself in a circle. */
  private resolve(): bool {
    const tape = this.tape;
    const defs = tape.member(0, "$defs");
    for (let r = 0; r < this.used; r++) {
      const ref = this.get(r, Slot.Ref);
      if (ref < 0) continue;
      const raw = tape.raw(ref);
      const target =
        defs >= 0 && starts(raw, "#/$defs/")
          ? tape.memberBytes(defs, slice(ptrOf(raw) + 8, lenOf(raw) - 8), tape.escaped(ref))
          : -1;
      if (target < 0) return this.refuse(ref, "#/$defs/NAME of a definition in this document");
      this.set(r, Slot.Ref, this.recordOf(target));
    }
    for (let r = 0; r < this.used; r++) {
      if (!this.ends(r, 0)) {
        return this.refuse(
          max(defs, 0),
          "references that do not lead back to themselves, in at most 64 steps",
        );
      }
    }
    return true;
  }

  /** Whether following references and alternatives from `r`, without entering a value, comes to an end. */
  private ends(r: i32, level: i32): bool {
    const mark = load<u8>(this.marks + r);
    if (mark == 2) return true;
    if (mark == 1 || level > SCHEMA_DEPTH) return false;
    store<u8>(this.marks + r, 1);
    const ref = this.get(r, Slot.Ref);
    if (ref >= 0 && !this.ends(ref, level + 1)) return false;
    const anyOf = this.get(r, Slot.AnyOf);
    if (anyOf >= 0) {
      for (let n = this.tape.first(anyOf); n >= 0; n = this.tape.next(n)) {
        if (!this.ends(this.recordOf(n), level + 1)) return false;
      }
    }
    store<u8>(this.marks + r, 2);
    return true;
  }
}

const TYPES = "object, array, string, number, integer, boolean or null";

function named(raw: Slice, name: string): bool {
  return equalsDecoded(raw, false, name);
}

function starts(raw: Slice, text: string): bool {
  return lenOf(raw) >= text.length && equalsDecoded(slice(ptrOf(raw), text.length), false, text);
}

function isAnnotation(key: Slice): bool {
  return (
    named(key, "description") ||
    named(key, "title") ||
    named(key, "default") ||
    named(key, "examples") ||
    named(key, "$schema") ||
    named(key, "$id") ||
    named(key, "$comment")
  );
}
