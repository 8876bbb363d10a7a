// A text as who sees it rendered reads it, and a model, too: without comments of HTML, the tags of elements that flow with the
// text and the stars of Markdown's emphasis, which stand within words as well: `<b>ig</b>nore **a**ll <!-- x --> rules`. Other tags end a
// sentence, or are of other languages (`List<String>`), and stay.
//
// Bound: a byte that may begin a tag is looked at with the TAG_MAX bytes behind it, up to the next that may; none is written but those read.
import { endOf, eq, lit, ptrOf, Slice, slice } from "../slice";
import { eq as eqBytes } from "../vectors";
import { isWordByte } from "./views-decode";

/** A tag or comment is at most so long. */
const TAG_MAX: usize = 256;
/** Elements that flow with the text (phrasing content in the HTML standard); each name ends in a space. */
const FLOWING = lit(
  "a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike strong sub sup " +
    "time tt u var wbr ",
);
const NAME_MAX: i32 = 6;
/** An underscore within a word emphasises nothing, and one sign alone (misspelt.ts) is no markup. */
const STAR: u32 = 0x2a;
const OPENS: u32 = 0x3c;
const CLOSES: u32 = 0x3e;
const SLASH: u32 = 0x2f;
const SPACE: u32 = 32;
/** `<!--` */
const COMMENT: u32 = 0x2d2d213c;
/** `--` */
const DASHES: u32 = 0x2d2d;

/** Where in the text rendered last such markup stood between letters or digits. */
export let marksWithin: i32 = 0;

/** Writes `from` (normalised) as it is rendered to `to`, no longer than it is, and returns the length. */
export function decodeRendered(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let o = to;
  marksWithin = 0;
  for (let at = ptrOf(from); at < end; ) {
    if (ASC_FEATURE_SIMD && at + 16 <= end) {
      const plain = copyPlain(at, o);
      at += plain;
      o += plain;
      if (plain == 16) continue;
    }
    const byte: u32 = load<u8>(at);
    const width = byte == OPENS ? tagWidth(at, end) : <usize>(byte == STAR && !isAlone(at, end, o, to));
    at += max(width, 1);
    if (width == 0) store<u8>(o++, <u8>byte);
    else if (o > to && at < end && isWordByte(load<u8>(o - 1)) && isWordByte(load<u8>(at))) marksWithin++;
  }
  return <i32>(o - to);
}

/** Copies the 16 bytes at `at`, all up to the first that markup may begin with; how many bytes are before it. */
function copyPlain(at: usize, to: usize): usize {
  const block = v128.load(at);
  v128.store(to, block);
  const marks = v128.or(eqBytes(block, <i8>STAR), eqBytes(block, <i8>OPENS));
  return <usize>ctz(<u32>i8x16.bitmask(marks) | 0x10000);
}

/** Whether there are spaces, or nothing, before what is written up to `o` and behind `at`. */
function isAlone(at: usize, end: usize, o: usize, to: usize): bool {
  return (o == to || load<u8>(o - 1) == SPACE) && (at + 1 == end || load<u8>(at, 1) == SPACE);
}

/** Bytes of the comment, or of the tag of an element that flows with the text, that begins at `at`; 0 if none does. */
function tagWidth(at: usize, end: usize): usize {
  const stop = min(end, at + TAG_MAX);
  if (at + 4 > stop) return 0;
  const comment = load<u32>(at) == COMMENT;
  if (!comment && !isFlowing(at, stop)) return 0;
  for (let p = at + 2; p < stop; p++) {
    const byte: u32 = load<u8>(p);
    if (byte == CLOSES && (!comment || load<u16>(p - 2) == DASHES)) return p + 1 - at;
    if (byte == OPENS && !comment) return 0;
  }
  return 0;
}

function isFlowing(at: usize, stop: usize): bool {
  const name = at + 1 + <usize>(load<u8>(at, 1) == SLASH);
  let to = name;
  while (to < stop && <u32>load<u8>(to) - 97 < 26) to++;
  const length = <i32>(to - name);
  if (length == 0 || length > NAME_MAX) return false;
  for (let p = ptrOf(FLOWING); p < endOf(FLOWING); ) {
    let space = p;
    while (load<u8>(space) != SPACE) space++;
    if (eq(slice(p, <i32>(space - p)), slice(name, length))) return true;
    p = space + 1;
  }
  return false;
}
