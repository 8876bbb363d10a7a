// How far a JSON answer goes that arrives in chunks cut anywhere: whether the bracket that closes it has come. Looks at nothing else:
// whether it is JSON at all, whoever redacts it finds out.
import { endOf, ptrOf, Slice } from "../slice";
import { skipPlain } from "./body";

@unmanaged
export class Extent {
  depth: i32;
  inString: bool;
  /** After a backslash. */
  escaped: bool;
  /** The last bracket has come. */
  closed: bool;
}

export const EXTENT_BYTES: usize = 8;

/** Follows the next bytes of the answer; whether its last bracket has come with them. */
export function followExtent(extent: Extent, bytes: Slice): bool {
  const end = endOf(bytes);
  let p = ptrOf(bytes);
  while (p < end && !extent.closed) {
    if (extent.inString) {
      if (!extent.escaped) p = skipPlain(p, end);
      if (p == end) break;
      const b = load<u8>(p++);
      extent.inString = extent.escaped || b != 34;
      extent.escaped = !extent.escaped && b == 92;
      continue;
    }
    const b = load<u8>(p++);
    if (b == 34) extent.inString = true;
    else if (b == 123 || b == 91) extent.depth++;
    else if (b == 125 || b == 93) extent.closed = --extent.depth <= 0;
  }
  return extent.closed;
}
