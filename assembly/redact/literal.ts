// What may stand outside the strings of a JSON text: punctuation, white space, numbers and three words. Followed byte by
// byte, so that a cut changes nothing. Anything else is no JSON, and could be text that nobody has read.
//
// A byte order mark counts as a word, and the separator of RFC 7464's sequences as white space: neither holds text.

/** How far a number or word is. From Over on it may end where it is. */
export enum Literal {
  /** There is none, and one may begin. */
  None = 0,
  /** No JSON. */
  Odd = 1,
  T = 2,
  Tr = 3,
  /** `tru`, `fals` */
  E = 4,
  F = 5,
  Fa = 6,
  Fal = 7,
  N = 8,
  Nu = 9,
  Nul = 10,
  Mark1 = 11,
  Mark2 = 12,
  Minus = 13,
  Point = 14,
  Exponent = 15,
  ExponentSign = 16,
  /** A value is complete: before the next one there must be punctuation. */
  Over = 17,
  Zero = 18,
  Digits = 19,
  Fraction = 20,
  ExponentDigits = 21,
}

export function mayEndLiteral(at: Literal): bool {
  return at == Literal.None || at >= Literal.Over;
}

/** Where the byte `b`, which is no quote, leads from `at`. */
export function nextLiteral(at: Literal, b: u32): Literal {
  if (at == Literal.Odd) return Literal.Odd;
  switch (b) {
    case 9:
    case 10:
    case 13:
    case 30:
    case 32:
      if (at == Literal.None) return at;
      return mayEndLiteral(at) ? Literal.Over : Literal.Odd;
    case 44: // ,
    case 58: // :
    case 91: // [
    case 123: // {
      return mayEndLiteral(at) ? Literal.None : Literal.Odd;
    case 93: // ]
    case 125: // }
      return mayEndLiteral(at) ? Literal.Over : Literal.Odd;
  }
  if (b - 48 < 10) return digit(at, b);
  switch (at) {
    case Literal.None:
      return begin(b);
    case Literal.T:
      return b == 114 ? Literal.Tr : Literal.Odd;
    case Literal.Tr:
      return b == 117 ? Literal.E : Literal.Odd;
    case Literal.E:
      return b == 101 ? Literal.Over : Literal.Odd;
    case Literal.F:
      return b == 97 ? Literal.Fa : Literal.Odd;
    case Literal.Fa:
      return b == 108 ? Literal.Fal : Literal.Odd;
    case Literal.Fal:
      return b == 115 ? Literal.E : Literal.Odd;
    case Literal.N:
      return b == 117 ? Literal.Nu : Literal.Odd;
    case Literal.Nu:
      return b == 108 ? Literal.Nul : Literal.Odd;
    case Literal.Nul:
      return b == 108 ? Literal.Over : Literal.Odd;
    case Literal.Mark1:
      return b == 0xbb ? Literal.Mark2 : Literal.Odd;
    case Literal.Mark2:
      return b == 0xbf ? Literal.None : Literal.Odd;
    case Literal.Exponent:
      return b == 43 || b == 45 ? Literal.ExponentSign : Literal.Odd;
    case Literal.Zero:
    case Literal.Digits:
      if (b == 46) return Literal.Point;
      return b == 101 || b == 69 ? Literal.Exponent : Literal.Odd;
    case Literal.Fraction:
      return b == 101 || b == 69 ? Literal.Exponent : Literal.Odd;
    default:
      return Literal.Odd;
  }
}

function begin(b: u32): Literal {
  switch (b) {
    case 45: // -
      return Literal.Minus;
    case 102: // f
      return Literal.F;
    case 110: // n
      return Literal.N;
    case 116: // t
      return Literal.T;
    case 0xef:
      return Literal.Mark1;
    default:
      return Literal.Odd;
  }
}

function digit(at: Literal, b: u32): Literal {
  switch (at) {
    case Literal.None:
    case Literal.Minus:
      return b == 48 ? Literal.Zero : Literal.Digits;
    case Literal.Digits:
      return Literal.Digits;
    case Literal.Point:
    case Literal.Fraction:
      return Literal.Fraction;
    case Literal.Exponent:
    case Literal.ExponentSign:
    case Literal.ExponentDigits:
      return Literal.ExponentDigits;
    default:
      return Literal.Odd;
  }
}
