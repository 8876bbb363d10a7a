// Text of clients and upstreams in an event's strings: headers and answers may hold any bytes, and a reader of the protocol takes no
// message in which a string is no UTF-8, so that one event would hold up all that come after it.
import { skipText, utf8Length } from "../json/skip";
import { reserve } from "../memory";
import { lenOf, Slice } from "../slice";
import { putBytes } from "../wire";
import { Writer } from "../writer";

const ODD: u8 = 63; // ?
/** The last bytes of a text, with zeros behind them. */
const tail = reserve(8);

/** A string field; each byte of `text` that belongs to no character is a question mark. */
export function putString(to: Writer, field: u32, text: Slice): void {
  putBytes(to, field, text);
  if (!to.overflow) mend(to.at(to.length - lenOf(text)), lenOf(text));
}

function mend(p: usize, length: i32): void {
  const end = p + length;
  while (true) {
    p = skipText(p, end);
    if (p == end) return;
    const size = load<u8>(p) < 0x80 ? 1 : characterAt(p, end);
    if (size == 0) store<u8>(p, ODD);
    p += max(size, 1);
  }
}

/** The length of the character of more than one byte at `p`, or 0. */
function characterAt(p: usize, end: usize): i32 {
  if (end - p >= 4) return utf8Length(p, end);
  store<u32>(tail, 0);
  memory.copy(tail, p, end - p);
  return utf8Length(tail, tail + 8);
}
