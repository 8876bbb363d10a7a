// A hash of how a request's body is built: names of members, kinds of values, and how they are nested, but no value. Two
// requests of one program have the same, whatever they say; a script that imitates one seldom has.
//
// Elements of an array that are built like the one before count once, so the length of a conversation makes no
// difference. One walk over the tape; a stack of DEPTH_MAX levels.
//
//   level (24 bytes): │ hash so far u64 │ hash of the last child u64 │ node u32 │
import { hash64, mix } from "../hash";
import { Kind, Tape } from "../json/tape";
import { BODY_DEPTH_MAX } from "../limits";
import { reserve } from "../memory";

const LEVEL: usize = 24;
const levels = reserve(<usize>(BODY_DEPTH_MAX + 1) * LEVEL);
/** Part of what the hash means: a change of how it is made changes it. */
const VERSION: u64 = 1;

/** The hash of the document on `tape`, never 0. */
export function shapeOf(tape: Tape): u64 {
  let n = 0;
  let depth: usize = 0;
  let hash: u64 = 0;
  do {
    const child = tape.kind(n) <= Kind.Array ? tape.first(n) : -1;
    if (child >= 0) {
      open(levels + depth * LEVEL, tape, n);
      depth++;
      n = child;
      continue;
    }
    hash = leaf(tape, n);
    while (depth > 0) {
      const level = levels + (depth - 1) * LEVEL;
      add(level, tape, n, hash);
      const next = tape.next(n);
      if (next >= 0) {
        n = next;
        break;
      }
      hash = mix(load<u64>(level) + 1);
      n = load<u32>(level, 16);
      depth--;
    }
  } while (depth > 0);
  return hash ? hash : 1;
}

function leaf(tape: Tape, n: i32): u64 {
  // true and false are one kind of value.
  const kind = tape.kind(n);
  return mix(VERSION + ((<u64>(kind == Kind.False ? Kind.True : kind)) << 8));
}

function open(level: usize, tape: Tape, n: i32): void {
  store<u64>(level, leaf(tape, n));
  store<u64>(level, 0, 8);
  store<u32>(level, n, 16);
}

/** Adds the child `n` with `hash` to the object or array of `level`. */
function add(level: usize, tape: Tape, n: i32, hash: u64): void {
  const isMember = tape.kind(load<u32>(level, 16)) == Kind.Object;
  const whole = isMember ? mix(hash ^ hash64(tape.key(n), VERSION)) : hash;
  if (!isMember && whole == load<u64>(level, 8)) return;
  store<u64>(level, whole, 8);
  store<u64>(level, mix(load<u64>(level) ^ whole) + whole);
}
