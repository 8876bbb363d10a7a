// One form for what JSON can say in several. Kong's cjson writes each `/` as `\/`, Helm's toJson `&`, `<` and `>` as \u0026 and the
// like: a policy that came that way is the same policy, and its formats, models and names are compared as they stand.
import { hex4 } from "../json/chars";
import { lenOf, ptrOf, slice, Slice } from "../slice";

const QUOTE: u32 = 34;
const SLASH: u32 = 47;
const BACKSLASH: u32 = 92;
const U: u32 = 117;

/** Valid JSON with each printable ASCII character that needs no escape written without one: in place, and so no longer. */
export function plain(text: Slice): Slice {
  const end = ptrOf(text) + <usize>lenOf(text);
  let to = ptrOf(text);
  for (let at = to; at < end; ) {
    // Outside of strings JSON has no backslash, and inside none is the last byte.
    const escape: u32 = load<u8>(at) == BACKSLASH ? load<u8>(at, 1) : 0;
    const code = escape == U ? <u32>hex4(at + 2) : escape;
    if (escape == SLASH || (escape == U && isPlain(code))) {
      store<u8>(to++, code);
      at += escape == U ? 6 : 2;
      continue;
    }
    store<u8>(to++, load<u8>(at++));
    if (escape != 0) store<u8>(to++, load<u8>(at++));
  }
  return slice(ptrOf(text), <i32>(to - ptrOf(text)));
}

function isPlain(code: u32): bool {
  return code >= 32 && code < 127 && code != QUOTE && code != BACKSLASH;
}
