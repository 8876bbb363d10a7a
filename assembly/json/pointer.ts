// JSON pointers (RFC 6901) of tape nodes, for messages to people.
import { reserve } from "../memory";
import { Writer } from "../writer";
import { Decoded } from "./escape";
import { DEPTH_LIMIT } from "./scanner";
import { Kind, Tape } from "./tape";

const path: usize = reserve((<usize>DEPTH_LIMIT) << 2);

/** A pointer that is told to a caller is no longer than this: a body may have names of any length. */
export const POINTER_MAX: i32 = 512;

/** Writes the pointer of `node`, or where that does not fit, of the nearest value around it that fits; the value's node. */
export function nearest(tape: Tape, node: i32, to: Writer): i32 {
  const from = to.length;
  let at = node;
  while (true) {
    to.overflow = false;
    pointer(tape, at, to);
    if (!to.overflow) return at;
    to.truncate(from);
    at = tape.parent(at);
  }
}

/** Writes the pointer of `node`: nothing for the root, else `/key/0/…` with `~0` and `~1`; keys are decoded. */
export function pointer(tape: Tape, node: i32, to: Writer): void {
  let depth = 0;
  for (let n = node; n > 0 && depth < DEPTH_LIMIT; n = tape.parent(n)) {
    store<i32>(path + ((<usize>depth) << 2), n);
    depth++;
  }
  while (depth > 0 && !to.overflow) {
    const n = load<i32>(path + ((<usize>--depth) << 2));
    to.byte(47);
    const parent = tape.parent(n);
    if (tape.kind(parent) == Kind.Array) {
      let index: u64 = 0;
      for (let at = tape.first(parent); at >= 0 && at != n; at = tape.next(at)) index++;
      to.u64(index);
    } else {
      const key = Decoded.A.of(tape.key(n), tape.keyEscaped(n));
      for (let b = key.next(); b >= 0 && !to.overflow; b = key.next()) {
        if (b == 126) to.text("~0");
        else if (b == 47) to.text("~1");
        else to.byte(<u8>b);
      }
    }
  }
}
