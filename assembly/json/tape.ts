// A JSON document as a flat table of its values, in document order, over the text where it lies.
//
// One pass of the scanner fills it; nothing of the text is copied or decoded. A member of an object takes two
// nodes, its key and, right after it, its value; an element of an array one. A node is 16 bytes:
//
//    0        4        8                       16
//   ┌────────┬────────┬────────────────────────┐
//   │ start  │ length │ after 20 │ parent 20 │ count 20 │ kind 3 │
//   └────────┴────────┴────────────────────────┘
//     30 bits each; bit 31 of `length`: the string has escapes; bit 31 of `start`: the value has a key node
//   after: the first node that is not inside this one     count: children of an object or array
//
// Bounds: `nodesMax` nodes (at most 2^20 - 1) are reserved, with 16 to 32 bytes each for the set that finds
// duplicate keys; more values than that is an error of its own. The root is node 0. All functions but `scan`
// expect a node that this tape gave out; the text must stay in place as long as the tape is read.
import { reserve } from "../memory";
import { lenOf, NONE, Slice, slice } from "../slice";
import { JsonError } from "./errors";
import { equalsDecoded, sameText } from "./escape";
import { hashKey, KeySet, SIBLINGS_MAX } from "./keys";
import { Event, Scanner } from "./scanner";

export enum Kind {
  Object = 0,
  Array = 1,
  String = 2,
  Number = 3,
  True = 4,
  False = 5,
  Null = 6,
}

/** The most nodes a tape can have. */
export const NODES_LIMIT: i32 = (1 << 20) - 1;

/** Bytes of one node. */
export const NODE_BYTES: usize = 16;

const FLAG: u32 = 1 << 31;
const OFFSET: u32 = 0x3fffffff;
const INDEX: u64 = 0xfffff;
const AFTER: u64 = 44;
const PARENT: u64 = 24;
const COUNT: u64 = 4;
const KIND: u64 = 7;

/** One scanner serves all tapes: a scan runs from begin to end. */
const scanner = new Scanner();

export class Tape {
  readonly root: i32 = 0;
  /** Where the error showed that `scan` returned, in bytes from the start. */
  errorAt: i32 = 0;
  /** Nodes in use: values and keys. */
  length: i32 = 0;

  private text: usize = 0;
  private nodes: usize;
  private nodesMax: i32;
  private readonly keys: KeySet;

  /** Reserves room for `nodesMax` values and keys: construct at module level only. */
  constructor(nodesMax: i32) {
    const bound = min(nodesMax, NODES_LIMIT);
    this.nodesMax = bound;
    this.nodes = reserve((<usize>bound) << 4);
    this.keys = new KeySet(bound >> 1);
  }

  /** Reads the whole document of `len` bytes; 0, or a JsonError at `errorAt`. */
  scan(ptr: usize, len: i32, depthMax: i32): i32 {
    this.text = ptr;
    this.length = 0;
    this.errorAt = 0;
    this.keys.clear();
    scanner.begin(depthMax);
    scanner.feed(ptr, len, true);
    const code = this.fill();
    if (code) this.length = 0;
    return code;
  }

  /** Copies the nodes to `to`, `length` × NODE_BYTES, for `overlay`. */
  saveNodes(to: usize): void {
    memory.copy(to, this.nodes, (<usize>this.length) << 4);
  }

  /** Reads a document that another tape has scanned: its text in place, and its nodes as saved. */
  overlay(text: usize, nodes: usize, length: i32): void {
    this.text = text;
    this.nodes = nodes;
    this.nodesMax = 0;
    this.length = length;
  }

  private fill(): i32 {
    let open = -1;
    let key = false;
    let n = 0;
    while (true) {
      const event = scanner.next();
      if (event == Event.ObjectEnd || event == Event.ArrayEnd) {
        const at = this.at(open);
        const links = load<u64>(at, 8);
        store<u32>(at, scanner.end - (load<u32>(at) & OFFSET), 4);
        store<u64>(at, links | ((<u64>n) << AFTER), 8);
        open = open > 0 ? <i32>((links >> PARENT) & INDEX) : -1;
        continue;
      }
      if (event == Event.End) {
        this.length = n;
        return 0;
      }
      if (event == Event.Error || event == Event.NeedMore) {
        this.errorAt = scanner.errorAt;
        return scanner.error;
      }
      if (n >= this.nodesMax) return this.refuse(JsonError.TooManyValues);
      const at = this.at(n);
      const owner: u64 = open < 0 ? 0 : (<u64>open) << PARENT;
      store<u32>(at, scanner.start | (key ? FLAG : 0));
      key = event == Event.Key;
      if (event == Event.Key || event == Event.String) {
        store<u32>(at, (scanner.end - scanner.start) | (scanner.escaped ? FLAG : 0), 4);
      } else store<u32>(at, scanner.end - scanner.start, 4);
      n++;
      if (key) {
        store<u64>(at, owner | ((<u64>n) << AFTER) | Kind.String, 8);
        const code = this.unique(open, n - 1);
        if (code) return this.refuse(code);
        continue;
      }
      if (open >= 0) {
        const container = this.at(open);
        store<u64>(container, load<u64>(container, 8) + (1 << COUNT), 8);
      }
      if (event == Event.ObjectStart || event == Event.ArrayStart) {
        store<u64>(at, owner | (event == Event.ObjectStart ? Kind.Object : Kind.Array), 8);
        open = n - 1;
      } else {
        store<u64>(at, owner | ((<u64>n) << AFTER) | <u64>(event - Event.String + Kind.String), 8);
      }
    }
  }

  private refuse(code: i32): i32 {
    this.errorAt = scanner.start;
    return code;
  }

  /** Checks that the key node `k` is new in its object, and remembers it; a JsonError or 0. */
  private unique(object: i32, k: i32): i32 {
    const members = this.count(object);
    if (!members) return 0;
    if (members < SIBLINGS_MAX) {
      for (let other = object + 1; other < k; other = this.after(other + 1)) {
        if (this.sameKey(other, k)) return JsonError.DuplicateKey;
      }
      return 0;
    }
    if (members == SIBLINGS_MAX) {
      for (let other = object + 1; other < k; other = this.after(other + 1)) {
        const code = this.remember(object, other);
        if (code) return code;
      }
    }
    return this.remember(object, k);
  }

  private remember(object: i32, k: i32): i32 {
    const keys = this.keys;
    keys.seek(hashKey(this.raw(k), this.escaped(k), object));
    while (true) {
      const other = keys.candidate();
      if (other == -1) break;
      if (other < 0) return JsonError.TooManyValues;
      if (this.parent(other) == object && this.sameKey(other, k)) return JsonError.DuplicateKey;
    }
    keys.add(k);
    return 0;
  }

  private sameKey(a: i32, b: i32): bool {
    return sameText(this.raw(a), this.escaped(a), this.raw(b), this.escaped(b));
  }

  private at(n: i32): usize {
    return this.nodes + ((<usize>n) << 4);
  }

  private after(n: i32): i32 {
    return <i32>(load<u64>(this.at(n), 8) >> AFTER);
  }

  isString(n: i32): bool {
    return this.kind(n) == Kind.String;
  }

  kind(n: i32): i32 {
    return <i32>(load<u64>(this.at(n), 8) & KIND);
  }

  /** A string's bytes between its quotes, escapes intact; a number's digits; an object or array with its brackets. */
  raw(n: i32): Slice {
    const at = this.at(n);
    return slice(this.text + (load<u32>(at) & OFFSET), load<u32>(at, 4) & OFFSET);
  }

  /** Whether the string has a backslash. */
  escaped(n: i32): bool {
    return (load<u32>(this.at(n), 4) & FLAG) != 0;
  }

  /** Bytes from the start of the document to the value (for a string: after its quote). */
  offset(n: i32): i32 {
    return load<u32>(this.at(n)) & OFFSET;
  }

  /** The first child's value, or -1. */
  first(n: i32): i32 {
    const links = load<u64>(this.at(n), 8);
    if (!((links >> COUNT) & INDEX)) return -1;
    return n + 1 + <i32>((links & KIND) == Kind.Object);
  }

  /** The value after `n` in the same object or array, or -1. */
  next(n: i32): i32 {
    if (n == 0) return -1;
    const links = load<u64>(this.at(n), 8);
    const after = <i32>(links >> AFTER);
    if (after >= this.after(<i32>((links >> PARENT) & INDEX))) return -1;
    return after + <i32>this.keyed(n);
  }

  private keyed(n: i32): bool {
    return (load<u32>(this.at(n)) & FLAG) != 0;
  }

  /** The raw key of a member's value; NONE for the root and for elements of arrays. */
  key(n: i32): Slice {
    return this.keyed(n) ? this.raw(n - 1) : NONE;
  }

  keyEscaped(n: i32): bool {
    return this.keyed(n) && this.escaped(n - 1);
  }

  /** How many children an object or array has. */
  count(n: i32): i32 {
    return <i32>((load<u64>(this.at(n), 8) >> COUNT) & INDEX);
  }

  /** The object or array around `n`; -1 for the root. */
  parent(n: i32): i32 {
    return n == 0 ? -1 : <i32>((load<u64>(this.at(n), 8) >> PARENT) & INDEX);
  }

  /** The value of the member whose decoded key is the ASCII literal `name`; -1 if absent or `object` is none. */
  member(object: i32, name: string): i32 {
    if (this.kind(object) != Kind.Object) return -1;
    const end = this.after(object);
    for (let key = object + 1; key < end; key = this.after(key + 1)) {
      const escaped = this.escaped(key);
      const raw = this.raw(key);
      if ((escaped || lenOf(raw) == name.length) && equalsDecoded(raw, escaped, name)) return key + 1;
    }
    return -1;
  }

  /** Like `member`, for a name in UTF-8, raw as in JSON: with `nameEscaped` it has a backslash. */
  memberBytes(object: i32, name: Slice, nameEscaped: bool = false): i32 {
    if (this.kind(object) != Kind.Object) return -1;
    for (let n = this.first(object); n >= 0; n = this.next(n)) {
      if (sameText(this.key(n), this.keyEscaped(n), name, nameEscaped)) return n;
    }
    return -1;
  }
}
