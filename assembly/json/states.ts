// The states of the scanner: what may come next, which token is being read, and how far.

/** What may come next. */
export enum Expect {
  Value = 0,
  ValueOrClose = 1,
  Key = 2,
  KeyOrClose = 3,
  Colon = 4,
  CommaOrClose = 5,
  Nothing = 6,
}

/** The token that is being read. */
export enum Token {
  None = 0,
  Text = 1,
  Number = 2,
  Word = 3,
}

/** Where the machine is inside a string. */
export enum Inside {
  Plain = 0,
  Escape = 1,
  Hex = 2,
  PairSlash = 3,
  PairU = 4,
  Utf8 = 5,
}

/** Where it is inside a number. Zero, Whole, Fraction and Power may end it. */
export enum Digits {
  Minus = 0,
  Zero = 1,
  Whole = 2,
  Dot = 3,
  Fraction = 4,
  E = 5,
  Sign = 6,
  Power = 7,
}

/** Whether a number may end here. */
export function mayEnd(state: i32): bool {
  return state == Digits.Zero || state == Digits.Whole || state == Digits.Fraction || state == Digits.Power;
}
