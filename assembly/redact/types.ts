// The kinds of text that must not leave, what may be done with each, and every bound of the redactor.
//
// A decision about a candidate reads at most LOOK_BACK bytes before its trigger and LOOK_AHEAD after it; that
// is what makes the work linear, the hold-back of a stream bounded, and any split of the text give one result.

export const EMAIL: i32 = 0;
export const PHONE: i32 = 1;
export const CREDIT_CARD: i32 = 2;
export const IBAN: i32 = 3;
export const US_SSN: i32 = 4;
export const IP: i32 = 5;
export const API_KEY: i32 = 6;
export const PRIVATE_KEY: i32 = 7;
export const JWT: i32 = 8;
/** The policy's own phrases and simple patterns. */
export const CUSTOM: i32 = 9;
/** A fragment of the policy that an answer must never contain. */
export const CANARY: i32 = 10;
export const TYPE_COUNT: i32 = 11;

/** What is done with a match. The numbers are the byte of a profile (one byte per type). */
export const IGNORE: u8 = 0;
export const FLAG: u8 = 1;
export const REDACT: u8 = 2;
export const MASK: u8 = 3;
export const HASH: u8 = 4;
export const BLOCK: u8 = 5;
/** Of a prompt: a numbered placeholder for which the answer gets the original back. */
export const REVERSIBLE: u8 = 6;

export const LOOK_BACK: i32 = 64;
export const LOOK_AHEAD: i32 = 256;
/** Decoded bytes that a stream may hold back; each takes at most seven raw bytes (decoded.ts), but for what is cut off. */
export const HOLD_MAX: i32 = LOOK_BACK + LOOK_AHEAD;
export const HOLD_RAW_MAX: i32 = HOLD_MAX * 7 + 24;
/** Decoded bytes that are looked at in one go. */
export const BLOCK_BYTES: i32 = 8192;
/** A private key without an end is given up after this many bytes. */
export const PEM_MAX: u32 = 16384;
export const PHRASE_MAX: i32 = 192;
export const PHRASE_COUNT_MAX: i32 = 256;
/** Answers that one worker redacts at once; one more is refused before it is asked for. */
export const REDACTED_MAX: i32 = 512;
/** Values of one answer, or of one prompt and its answer, that get a number and may be put back. */
export const VALUES_MAX: i32 = 112;
/** No number is higher than this and VALUES_MAX together. */
export const NUMBERS_MAX: u32 = 9999;
/** Bytes of the originals that one request may have put back. */
export const VAULT_TEXT_MAX: u32 = 8 << 10;
/** Channels that all of them together may have open. */
export const RECORDS_MAX: i32 = 1024;
/** Bytes of an event around its texts that are kept so that held text can go out in one like it. */
export const TEMPLATE_MAX: i32 = 2048;

const NAMES: StaticArray<string> = [
  "EMAIL",
  "PHONE",
  "CREDIT_CARD",
  "IBAN",
  "US_SSN",
  "IP",
  "API_KEY",
  "PRIVATE_KEY",
  "JWT",
  "CUSTOM",
  "CANARY",
];

/** The stable name of `type`, as in placeholders, events and `weir redact`. */
export function typeName(type: i32): string {
  return NAMES[type];
}
