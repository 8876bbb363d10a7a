// What readers of a document need besides the tape: the value of strings and numbers, and names for people.
export { codePoints, decode, decodedLength, equalsDecoded, sameText } from "./escape";
export { isWhole, NOT_WHOLE, toF64, toU64 } from "./number";
export { nearest, pointer, POINTER_MAX } from "./pointer";
