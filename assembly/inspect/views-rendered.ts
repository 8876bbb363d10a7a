// A text as who sees it rendered reads it, and a model, too: without comments of HTML, the tags of elements that flow with the
// text and the stars of Markdown's emphasis, which stand within words as well: `<b>ig</b>nore **a**ll <!-- x --> rules`. Other tags end a
// sentence, or are of other languages (`List<String>`), and stay.
//
// Bound: from a byte that may begin a tag its name is compared with 8 at most, and the bytes up to the next such byte are looked at; of
// what may begin a comment TAG_MAX, once. None is written but those read.
import { reserve } from "../memory";
import { endOf, lit, ptrOf, Slice } from "../slice";
import { eq } from "../vectors";
import { isWordByte } from "./views-decode";

/** A tag or comment is at most so long. */
const TAG_MAX: usize = 256;
/** Elements that flow with the text (phrasing content in the HTML standard); each name ends in a space. */
const FLOWING = lit(
  "a abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike strong sub sup " +
    "time tt u var wbr ",
);
const LETTER_A: u32 = 97;
const LETTERS: u32 = 26;
const NAMES_MAX: i32 = 48;
/** As `nameAt` has them. */
const names = reserve((<usize>NAMES_MAX) << 3);
/** Where among them those of each first letter begin, and behind the last letter their end. */
const firsts = reserve(LETTERS + 1);
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

/** The text up to here has no end of a comment that began before. */
let unclosed: usize = 0;

listNames();

function listNames(): void {
  let count = 0;
  let letter: u32 = 0;
  for (let p = ptrOf(FLOWING); p < endOf(FLOWING); p++, count++) {
    if (count == NAMES_MAX) abort("views-rendered: too many names");
    for (; letter <= <u32>load<u8>(p) - LETTER_A; letter++) store<u8>(firsts + letter, <u8>count);
    store<u64>(names + ((<usize>count) << 3), nameAt(p, endOf(FLOWING)));
    while (load<u8>(p) != SPACE) p++;
  }
  for (; letter <= LETTERS; letter++) store<u8>(firsts + letter, <u8>count);
}

/** The small letters from `at` on as bytes of a number; 0 when there are none, or more than it holds. */
function nameAt(at: usize, stop: usize): u64 {
  let name: u64 = 0;
  for (let p = at; p < stop && <u32>load<u8>(p) - LETTER_A < LETTERS; p++) {
    if (p - at == 8) return 0;
    name = (name << 8) | <u64>load<u8>(p);
  }
  return name;
}

/** Where in the text rendered last such markup stood between letters or digits. */
export let marksWithin: i32 = 0;

/** Writes `from` (normalised) as it is rendered to `to`, no longer than it is, and returns the length. */
export function decodeRendered(from: Slice, to: usize): i32 {
  const end = endOf(from);
  let o = to;
  marksWithin = 0;
  unclosed = 0;
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
  const marks = v128.or(eq(block, <i8>STAR), eq(block, <i8>OPENS));
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
  if (comment ? at < unclosed : !isFlowing(at, stop)) return 0;
  for (let p = at + 2; p < stop; p++) {
    const byte: u32 = load<u8>(p);
    if (byte == CLOSES && (!comment || load<u16>(p - 2) == DASHES)) return p + 1 - at;
    if (byte == OPENS && !comment) return 0;
  }
  if (comment) unclosed = stop;
  return 0;
}

function isFlowing(at: usize, stop: usize): bool {
  const name = at + 1 + <usize>(load<u8>(at, 1) == SLASH);
  const first: u32 = load<u8>(name) - LETTER_A;
  const key = nameAt(name, stop);
  if (key == 0) return false;
  for (let i = load<u8>(firsts + first); i < load<u8>(firsts + first, 1); i++)
    if (load<u64>(names + ((<usize>i) << 3)) == key) return true;
  return false;
}
