// A validating pull scanner for JSON (RFC 8259) that can be stopped at any byte.
//
// Feed it the document in any number of pieces; `next` answers one event at a time, with absolute byte offsets.
// Any split gives the same events and the same error at the same offset, because a token that straddles pieces
// is carried by a byte-wise machine whose whole state is below; nothing of the text is kept. Inside a piece
// strings go 16 bytes a step (skip.ts).
//
// Stricter than the RFC where a parser behind us might read something else than we inspected: a byte order mark
// is refused (RFC 8259 §8.1 lets us), and so is a `\u` escape of half a surrogate pair, which names no character
// and which providers refuse too. Duplicate keys are the tape's business. Of an answer, which clients read, halves are taken:
// who cuts its text between two deltas by 16-bit units writes them.
//
// Bounds: depth at most DEPTH_LIMIT (one bit a level), documents at most LENGTH_MAX bytes, 256 bytes of state.
import { reserve } from "../memory";
import { JsonError } from "./errors";
import { escapeLength, hexValue, isSimple, skipSpace } from "./chars";
import { skipText, skipUtf8, utf8Length } from "./skip";
import { Digits, Expect, Inside, mayEnd, Token } from "./states";

/** The deepest nesting that any caller can ask for. */
export const DEPTH_LIMIT: i32 = 1024;
/** The longest document in bytes: offsets fit in 30 bits of a tape node. */
export const LENGTH_MAX: i32 = 0x3fffffff;

export enum Event {
  /** All that was fed is used up: feed more. */
  NeedMore = 0,
  ObjectStart = 1,
  ObjectEnd = 2,
  ArrayStart = 3,
  ArrayEnd = 4,
  Key = 5,
  String = 6,
  Number = 7,
  True = 8,
  False = 9,
  Null = 10,
  /** The document is complete and nothing but white space followed. */
  End = 11,
  Error = 12,
}

// The words true, false and null, first letter lowest.
const TRUE: u64 = 0x65757274;
const FALSE: u64 = 0x65736c6166;
const NULL: u64 = 0x6c6c756e;

export class Scanner {
  /** Offset of the token: a bracket, the first byte after an opening quote, the first byte of a number or word. */
  start: i32 = 0;
  /** Offset just past the token's bytes; for strings and keys that is the closing quote. */
  end: i32 = 0;
  /** Whether the string or key contains a backslash. */
  escaped: bool = false;
  /** What the piece ended in, once `next` has answered NeedMore: a Token; and of a text whether it is a member's name. */
  token: i32 = 0;
  isKey: bool = false;
  /** How many objects and arrays are open. */
  depth: i32 = 0;
  /** A JsonError, once `next` has answered Error, and the offset of the byte where it showed. */
  error: i32 = 0;
  errorAt: i32 = 0;

  private at: usize = 0;
  private stop: usize = 0;
  /** Pointer minus offset, for the piece at hand. */
  private skew: usize = 0;
  private fed: i32 = 0;
  private last: bool = false;
  private depthMax: i32 = 0;
  private expect: i32 = 0;
  private inObject: bool = false;
  private inside: i32 = 0;
  private left: i32 = 0;
  private lowest: u32 = 0;
  private highest: u32 = 0;
  private code: u32 = 0;
  private high: u32 = 0;
  private escapeAt: i32 = 0;
  private word: u64 = 0;
  /** One bit for each open level: 1 where it is an object. */
  private readonly levels: usize;

  /** Reserves its state: construct at module level only. `halves`: those of surrogate pairs are taken for characters. */
  constructor(private readonly halves: bool = false) {
    this.levels = reserve(DEPTH_LIMIT >> 3);
  }

  /** Begins a new document that may nest `depthMax` (at most DEPTH_LIMIT) levels. */
  begin(depthMax: i32): void {
    this.depthMax = min(depthMax, DEPTH_LIMIT);
    this.at = 0;
    this.stop = 0;
    this.skew = 0;
    this.fed = 0;
    this.last = false;
    this.depth = 0;
    this.error = 0;
    this.errorAt = 0;
    this.expect = Expect.Value;
    this.token = Token.None;
    this.inObject = false;
    this.start = 0;
    this.end = 0;
    this.escaped = false;
  }

  /** The next piece, after `next` answered NeedMore (or first of all). It must stay in place until then. */
  feed(ptr: usize, len: i32, last: bool): void {
    this.skew = ptr - this.fed;
    this.at = ptr;
    this.stop = ptr + len;
    this.last = last;
    if (len > LENGTH_MAX - this.fed) {
      this.stop = ptr;
      if (!this.error) {
        this.error = JsonError.TooLong;
        this.errorAt = LENGTH_MAX;
      }
      return;
    }
    this.fed += len;
  }

  /** The next Event. End and Error are final: they are answered again. */
  next(): i32 {
    if (this.error) return Event.Error;
    if (this.token) return this.resume();
    let p = this.at;
    const stop = this.stop;
    while (true) {
      p = skipSpace(p, stop);
      if (p >= stop) return this.exhausted(p);
      const c: u32 = load<u8>(p);
      const expect = this.expect;
      if (expect == Expect.CommaOrClose && c == 44) {
        this.expect = this.inObject ? Expect.Key : Expect.Value;
        p++;
      } else if (expect == Expect.Colon && c == 58) {
        this.expect = Expect.Value;
        p++;
      } else return this.dispatch(p, c, expect);
    }
  }

  /** A token that begins with the byte `c` at `p`. */
  private dispatch(p: usize, c: u32, expect: i32): i32 {
    switch (expect) {
      case Expect.Value:
        return this.value(p, c);
      case Expect.ValueOrClose:
        return c == 93 ? this.close(p, c) : this.value(p, c);
      case Expect.CommaOrClose:
        return this.close(p, c);
      case Expect.KeyOrClose:
        if (c == 125) return this.close(p, c);
        break;
      case Expect.Key:
        break;
      case Expect.Nothing:
        return this.fail(JsonError.TextAfter, p);
      default:
        return this.fail(JsonError.UnexpectedCharacter, p);
    }
    return c == 34 ? this.open(p, true) : this.fail(JsonError.UnexpectedCharacter, p);
  }

  /** Bytes of the document that have been used so far. */
  get offset(): i32 {
    return <i32>(this.at - this.skew);
  }

  private resume(): i32 {
    if (this.token == Token.Text) return this.text(this.at);
    if (this.token == Token.Number) return this.number(this.at);
    return this.letters(this.at);
  }

  private exhausted(p: usize): i32 {
    this.at = p;
    if (!this.last) return Event.NeedMore;
    if (this.expect == Expect.Nothing) return Event.End;
    return this.fail(JsonError.UnexpectedEnd, p);
  }

  private fail(code: i32, p: usize): i32 {
    return this.failAt(code, <i32>(p - this.skew));
  }

  private failAt(code: i32, offset: i32): i32 {
    this.error = code;
    this.errorAt = offset;
    return Event.Error;
  }

  private value(p: usize, c: u32): i32 {
    this.start = <i32>(p - this.skew);
    switch (c) {
      case 34:
        return this.open(p, false);
      case 123:
        return this.nest(p, true);
      case 91:
        return this.nest(p, false);
      case 116:
        return this.spell(p, TRUE);
      case 102:
        return this.spell(p, FALSE);
      case 110:
        return this.spell(p, NULL);
      case 45:
        this.inside = Digits.Minus;
        break;
      case 48:
        this.inside = Digits.Zero;
        break;
      default:
        if (c - 48 > 9) {
          const mark = this.start == 0 && (c == 0xef || c >= 0xfe);
          return this.fail(mark ? JsonError.ByteOrderMark : JsonError.UnexpectedCharacter, p);
        }
        this.inside = Digits.Whole;
    }
    this.token = Token.Number;
    return this.number(p + 1);
  }

  private nest(p: usize, object: bool): i32 {
    const depth = this.depth;
    if (depth >= this.depthMax) return this.fail(JsonError.TooDeep, p);
    const bits = this.levels + (depth >> 3);
    const bit = 1 << (depth & 7);
    store<u8>(bits, object ? load<u8>(bits) | bit : load<u8>(bits) & ~bit);
    this.depth = depth + 1;
    this.inObject = object;
    this.expect = object ? Expect.KeyOrClose : Expect.ValueOrClose;
    this.at = p + 1;
    this.end = this.start + 1;
    return object ? Event.ObjectStart : Event.ArrayStart;
  }

  private close(p: usize, c: u32): i32 {
    const object = this.inObject;
    if (c != (object ? 125 : 93)) return this.fail(JsonError.UnexpectedCharacter, p);
    const depth = this.depth - 1;
    this.depth = depth;
    this.inObject = depth > 0 && (load<u8>(this.levels + ((depth - 1) >> 3)) & (1 << ((depth - 1) & 7))) != 0;
    this.at = p + 1;
    this.start = <i32>(p - this.skew);
    this.end = this.start + 1;
    this.expect = depth ? Expect.CommaOrClose : Expect.Nothing;
    return object ? Event.ObjectEnd : Event.ArrayEnd;
  }

  /** A value other than an object or array ended before `p`. */
  private done(p: usize, event: i32): i32 {
    this.token = Token.None;
    this.at = p;
    this.end = <i32>(p - this.skew);
    this.expect = this.depth ? Expect.CommaOrClose : Expect.Nothing;
    return event;
  }

  private cut(p: usize): i32 {
    this.at = p;
    return this.last ? this.fail(JsonError.UnexpectedEnd, p) : Event.NeedMore;
  }

  private spell(p: usize, word: u64): i32 {
    this.token = Token.Word;
    this.word = word;
    this.left = word == FALSE ? 4 : 3;
    return this.letters(p + 1);
  }

  private letters(p: usize): i32 {
    const size = this.word == FALSE ? 5 : 4;
    let left = this.left;
    while (left > 0 && p < this.stop) {
      if (<u64>load<u8>(p) != ((this.word >> ((size - left) << 3)) & 0xff)) {
        return this.fail(JsonError.UnexpectedCharacter, p);
      }
      p++;
      left--;
    }
    this.left = left;
    if (left) return this.cut(p);
    return this.done(p, this.word == TRUE ? Event.True : this.word == FALSE ? Event.False : Event.Null);
  }

  private number(p: usize): i32 {
    const stop = this.stop;
    let state = this.inside;
    while (p < stop) {
      const c: u32 = load<u8>(p);
      let to = -1;
      if (c - 48 <= 9) {
        if (state == Digits.Whole || state == Digits.Fraction || state == Digits.Power) to = state;
        else if (state == Digits.Minus) to = c == 48 ? Digits.Zero : Digits.Whole;
        else if (state == Digits.Dot) to = Digits.Fraction;
        else if (state != Digits.Zero) to = Digits.Power;
      } else if (c == 46) {
        if (state == Digits.Zero || state == Digits.Whole) to = Digits.Dot;
      } else if ((c | 32) == 101) {
        if (state == Digits.Zero || state == Digits.Whole || state == Digits.Fraction) to = Digits.E;
      } else if (c == 43 || c == 45) {
        if (state == Digits.E) to = Digits.Sign;
      } else {
        if (!mayEnd(state)) return this.fail(JsonError.BadNumber, p);
        return this.done(p, Event.Number);
      }
      if (to < 0) return this.fail(JsonError.BadNumber, p);
      state = to;
      p++;
    }
    this.inside = state;
    if (this.last && mayEnd(state)) return this.done(p, Event.Number);
    return this.cut(p);
  }

  /** At an opening quote. */
  private open(p: usize, isKey: bool): i32 {
    this.token = Token.Text;
    this.isKey = isKey;
    this.inside = Inside.Plain;
    this.escaped = false;
    this.start = <i32>(p + 1 - this.skew);
    return this.text(p + 1);
  }

  private text(p: usize): i32 {
    const stop = this.stop;
    while (true) {
      while (this.inside) {
        if (p >= stop) return this.cut(p);
        // A half that stands alone is over before the byte that shows it.
        if (this.halves && this.inside == Inside.PairSlash && load<u8>(p) != 92) this.inside = Inside.Plain;
        else {
          if (!this.step(p)) return Event.Error;
          p++;
        }
      }
      p = skipText(p, stop);
      if (p >= stop) return this.cut(p);
      const c: u32 = load<u8>(p);
      if (c == 34) return this.closeText(p);
      if (c == 92) {
        this.escaped = true;
        const size = escapeLength(p, stop);
        if (size) {
          p += size;
        } else {
          this.escapeAt = <i32>(p - this.skew);
          this.high = 0;
          this.inside = Inside.Escape;
          p++;
        }
      } else if (c < 32) {
        return this.fail(JsonError.ControlCharacter, p);
      } else {
        const from = p;
        p = skipUtf8(p, stop);
        if (p == from) {
          const size = utf8Length(p, stop);
          p += size;
          if (!size) {
            if (!this.lead(p)) return Event.Error;
            p++;
          }
        }
      }
    }
  }

  private closeText(p: usize): i32 {
    this.token = Token.None;
    this.at = p + 1;
    this.end = <i32>(p - this.skew);
    if (this.isKey) {
      this.expect = Expect.Colon;
      return Event.Key;
    }
    this.expect = this.depth ? Expect.CommaOrClose : Expect.Nothing;
    return Event.String;
  }

  /** The first byte of a character that is cut off or invalid (The Unicode Standard, table 3-7). */
  private lead(p: usize): bool {
    const c: u32 = load<u8>(p);
    if (c < 0xc2 || c > 0xf4) return this.refuse(JsonError.InvalidUtf8, p);
    this.left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    this.lowest = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    this.highest = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    this.inside = Inside.Utf8;
    return true;
  }

  private refuse(code: i32, p: usize): bool {
    this.fail(code, p);
    return false;
  }

  private refuseHalf(): bool {
    this.failAt(JsonError.LoneSurrogate, this.escapeAt);
    return false;
  }

  /** One byte inside an escape or a character of several bytes; false after an error. */
  private step(p: usize): bool {
    const c: u32 = load<u8>(p);
    switch (this.inside) {
      case Inside.Utf8:
        if (c < this.lowest || c > this.highest) return this.refuse(JsonError.InvalidUtf8, p);
        this.lowest = 0x80;
        this.highest = 0xbf;
        if (--this.left == 0) this.inside = Inside.Plain;
        return true;
      case Inside.Escape:
        if (c == 117) return this.hex();
        if (!isSimple(c)) return this.refuse(JsonError.BadEscape, p);
        this.inside = Inside.Plain;
        return true;
      case Inside.Hex: {
        const digit = hexValue(c);
        if (digit < 0) return this.refuse(JsonError.BadEscape, p);
        this.code = (this.code << 4) | digit;
        return --this.left > 0 || this.half();
      }
      case Inside.PairSlash:
        if (c != 92) return this.refuseHalf();
        this.inside = Inside.PairU;
        return true;
      default:
        if (c == 117) return this.hex();
        if (!this.halves) return this.refuseHalf();
        // The half stands alone, and this is another escape.
        if (!isSimple(c)) return this.refuse(JsonError.BadEscape, p);
        this.inside = Inside.Plain;
        return true;
    }
  }

  private hex(): bool {
    this.inside = Inside.Hex;
    this.left = 4;
    this.code = 0;
    return true;
  }

  /** Four hexadecimal digits are complete. */
  private half(): bool {
    const low = (this.code & 0xfc00) == 0xdc00;
    if (low != (this.high != 0) && !this.halves) return this.refuseHalf();
    const high = (this.code & 0xfc00) == 0xd800;
    this.high = high ? this.code : 0;
    this.inside = high ? Inside.PairSlash : Inside.Plain;
    return true;
  }
}
