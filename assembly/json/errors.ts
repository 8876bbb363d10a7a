// Why a document was refused: a closed enum whose numbers are stable, and one sentence each for people.
//
// The texts are ASCII literals in static memory, so naming an error allocates nothing.

export enum JsonError {
  None = 0,
  UnexpectedCharacter = 1,
  InvalidUtf8 = 2,
  ControlCharacter = 3,
  BadEscape = 4,
  LoneSurrogate = 5,
  BadNumber = 6,
  TooDeep = 7,
  DuplicateKey = 8,
  UnexpectedEnd = 9,
  TextAfter = 10,
  ByteOrderMark = 11,
  TooManyValues = 12,
  TooLong = 13,
}

/** What is wrong, for a message to people: completes "the body is not acceptable JSON: …". */
export function errorText(code: i32): string {
  switch (code) {
    case JsonError.None:
      return "no error";
    case JsonError.UnexpectedCharacter:
      return "unexpected character";
    case JsonError.InvalidUtf8:
      return "invalid UTF-8";
    case JsonError.ControlCharacter:
      return "control character in a string";
    case JsonError.BadEscape:
      return "bad escape in a string";
    case JsonError.LoneSurrogate:
      return "lone surrogate escape in a string";
    case JsonError.BadNumber:
      return "bad number";
    case JsonError.TooDeep:
      return "nested too deeply";
    case JsonError.DuplicateKey:
      return "duplicate key in an object";
    case JsonError.UnexpectedEnd:
      return "unexpected end";
    case JsonError.TextAfter:
      return "text after the document";
    case JsonError.ByteOrderMark:
      return "byte order mark, or text that is not UTF-8, before the document";
    case JsonError.TooManyValues:
      return "too many values";
    case JsonError.TooLong:
      return "document too long";
    default:
      return "unknown error";
  }
}
