// An event that is made like an earlier one, so that held text can go out in it, must not say again what that one said: a
// tool that is called twice acts twice, and clients put a name that comes again behind the first. Of the copy all elements
// of arrays go that have no place of a text in them, the members `name` and `id` but the event's own, and the role of a chat's
// delta, which clients put behind the first as well.
//
//   template   {"id":"c","parts":[{"text":""},{"functionCall":{…}}],"safetyRatings":[{…}]}
//   copy       {"id":"c","parts":[{"text":""}],"safetyRatings":[]}
//   template   {"tool_calls":[{"index":0,"id":"call_1","function":{"name":"mail","arguments":""}}]}
//   copy       {"tool_calls":[{"index":0,"function":{"arguments":""}}]}
import { isLineEnd, lineEnd } from "../line-end";
import { same } from "../same";
import { lenOf, lit, ptrOf, Slice } from "../slice";
import { TEMPLATE_MAX } from "./types";

/** Stands in a template where another text was: no byte of JSON. */
export const TEXT_MARK: u8 = 1;
const LEVELS: i32 = 64;
const QUOTE: u32 = 34;
const COMMA: u32 = 44;
const BACKSLASH: u32 = 92;

const DATA = ptrOf(lit("data:"));
const ID = lit('"id"');
const NAME = lit('"name"');
const ROLE = lit('"role"');
const DELTA = lit('"delta"');
const copied: usize = memory.data(TEMPLATE_MAX);
/** Of each level that is open: where in the copy it begins, and its element or member at hand. */
const starts: usize = memory.data(4 * LEVELS, 4);
const elements: usize = memory.data(4 * LEVELS, 4);

/** The copy that was made last, and where in it the text goes. */
export let aloneFrom: usize = 0;
export let aloneTo: usize = 0;
export let aloneSplit: usize = 0;

let out: usize = 0;
/** Where in the copy the last place of a text is. */
let textAt: usize = 0;

/** Copies the template [from, to) (template.ts), of which the text goes to `split`. */
export function leaveAlone(from: usize, to: usize, split: usize): void {
  aloneFrom = out = copied;
  textAt = 0;
  let depth = 0;
  let inString = false;
  for (let p = from; p < to; p++) {
    if (!inString && (p == from || isLineEnd(load<u8>(p - 1)))) p = copyOthers(p, to, split);
    if (p == to) break;
    if (p == split) aloneSplit = textAt = out;
    const b = <u32>load<u8>(p);
    if (b == TEXT_MARK) {
      textAt = out;
      continue;
    }
    if (inString) {
      if (b == BACKSLASH && p + 1 < to) copy(p++);
      else if (b == QUOTE) inString = false;
    } else if (b == QUOTE) inString = true;
    else if (b == 123 || b == 91) {
      // Deeper than any API's it stays as it is.
      if (depth < LEVELS) open(depth);
      depth++;
    } else if (b == 125 || b == 93) {
      if (depth > 0 && --depth < LEVELS && !endsKept(depth) && element(depth) > start(depth)) out--;
    } else if (b == COMMA && depth > 0 && depth <= LEVELS) {
      if (!endsKept(depth - 1)) continue;
      store<u32>(elements + ((<usize>depth - 1) << 2), <u32>(out + 1));
    }
    copy(p);
  }
  aloneTo = out;
}

function open(level: i32): void {
  const at = (<usize>level) << 2;
  store<u32>(starts + at, <u32>(out + 1));
  store<u32>(elements + at, <u32>(out + 1));
}

function start(level: i32): usize {
  return load<u32>(starts + ((<usize>level) << 2));
}

function element(level: i32): usize {
  return load<u32>(elements + ((<usize>level) << 2));
}

/** What ends here, an element or a member, is kept; or it has no text, and goes. */
function endsKept(level: i32): bool {
  const from = element(level);
  if (textAt > from) return true;
  const isArray = load<u8>(start(level) - 1) == 91;
  if (!isArray && (level == 0 || !(names(from) || (isDelta(level) && says(from, ROLE))))) return true;
  out = from;
  return false;
}

/** Whether the member that begins at `from` is a name or an identifier. */
function names(from: usize): bool {
  return says(from, ID) || says(from, NAME);
}

/** Whether the name of the member that begins at `from` is `quoted`. */
function says(from: usize, quoted: Slice): bool {
  while (from < out && load<u8>(from) <= 32) from++;
  return out - from > 6 && same(from, ptrOf(quoted), lenOf(quoted));
}

/** Whether the object that is open at `level` is the value of a `delta`. */
function isDelta(level: i32): bool {
  let p = start(level) - 1;
  while (p > copied && (load<u8>(p - 1) <= 32 || load<u8>(p - 1) == 58)) p--;
  return p > copied + <usize>lenOf(DELTA) && same(p - lenOf(DELTA), ptrOf(DELTA), lenOf(DELTA));
}

/** Copies lines that are no data, from the beginning of one at `p` on; returns where the event goes on. */
function copyOthers(p: usize, to: usize, split: usize): usize {
  while (p < to) {
    const end = lineEnd(p, to);
    // A line of JSON that is an event by itself has nothing before it.
    if ((p <= split && split <= end) || (end - p >= 5 && same(p, DATA, 5))) return p;
    for (const after = min(end + 1, to); p < after; p++) copy(p);
  }
  return p;
}

function copy(p: usize): void {
  store<u8>(out++, load<u8>(p));
}
