// Who is calling, by the claims of a token that the proxy verified before this filter: Envoy's jwt_authn leaves them in
// its dynamic metadata, which no client can write. Claims come one by one, each a property of its own.
//
// What a subject cannot hold is written as `_` and two hexadecimal digits, and so is a `_` that could be read as such: two
// callers never become one.
import { hash64 } from "../hash";
import { utf8Length } from "../json/skip";
import { SUBJECT_MAX } from "../limits";
import { ClaimPart, Claims, Policy } from "../policy/policy";
import { isOfAnonymous, isOfSubject } from "../policy/units";
import { hasProperty, property } from "../proxy-wasm/host";
import { endOf, lenOf, NONE, ptrOf, Slice } from "../slice";
import { Stream } from "../stream";
import { Reason } from "../verdicts.gen";

/** Whether the request has a token that was verified. */
export let shown: bool = false;
/** The claim for which a token was refused. */
export let refused: Slice = NONE;
/** That claim is missing, or empty, or no text; else its text does not fit. */
export let absent: bool = false;

const SLASH: u8 = 47;
const UNDERSCORE: u8 = 95;

/** Fills the stream's subject and tier by the token, or says why not; `shown` is false when there is none. */
export function identifyByToken(stream: Stream, policy: Policy, seed: u64): Reason {
  const claims = changetype<Claims>(policy.claims);
  shown = false;
  let size = 0;
  for (let i = 0; i < claims.partCount; i++) {
    const part = claims.part(i);
    if (i > 0 && size < SUBJECT_MAX) store<u8>(stream.subjectAt + size++, SLASH);
    const value = valueOf(claims, part);
    if (!isText(value)) return refuse(part.word, true);
    const to = put(stream.subjectAt, size, value);
    if (to < 0) return refuse(part.word, false);
    size = to;
  }
  shown = true;
  stream.subjectLength = size;
  // The organisation of those who are told by their address.
  if (isOfAnonymous(stream.subject)) return refuse(claims.part(0).word, false);
  const named = valueOf(claims, claims.tierPart);
  if (!isText(named)) return refuse(claims.tierPart.word, true);
  const tier = policy.tierNamed(named);
  if (tier == null) return refuse(claims.tierPart.word, false);
  stream.tier = changetype<usize>(tier);
  stream.subjectTag = hash64(stream.subject, seed);
  return Reason.None;
}

/** The word, or the claim's value. The first claim that is there shows that there is a token; without it all are asked for. */
function valueOf(claims: Claims, part: ClaimPart): Slice {
  if (part.path == NONE) return part.word;
  const value = property(part.path);
  if (!shown) shown = value != NONE || hasProperty(claims.payload);
  return value;
}

function refuse(claim: Slice, isAbsent: bool): Reason {
  refused = claim;
  absent = isAbsent;
  return Reason.TokenNotAccepted;
}

/** Numbers, lists and objects come as bytes that hardly any text has: control characters, or no UTF-8. */
function isText(value: Slice): bool {
  const end = endOf(value);
  for (let p = ptrOf(value); p < end; ) {
    const b = load<u8>(p);
    if (b < 32 || b == 127) return false;
    // It looks at 4 bytes, of which the last may be behind the value.
    const size = b < 128 ? 1 : utf8Length(p, end + 3);
    if (size == 0 || p + size > end) return false;
    p += size;
  }
  return lenOf(value) > 0;
}

/** Writes `value` at `size` of the subject at `to`; returns the new size, or -1 when it is too long. */
function put(to: usize, size: i32, value: Slice): i32 {
  const len = lenOf(value);
  for (let i = 0; i < len; i++) {
    const p = ptrOf(value) + i;
    const b = load<u8>(p);
    const isMark = b == UNDERSCORE && i + 2 < len && isHex(load<u8>(p, 1)) && isHex(load<u8>(p, 2));
    const plain = isOfSubject(b) && !isMark;
    if (size + (plain ? 1 : 3) > SUBJECT_MAX) return -1;
    if (plain) store<u8>(to + size++, b);
    else {
      store<u8>(to + size++, UNDERSCORE);
      store<u8>(to + size++, hexDigit(b >> 4));
      store<u8>(to + size++, hexDigit(b & 15));
    }
  }
  return size;
}

function isHex(b: u8): bool {
  return (b >= 48 && b <= 57) || (b >= 65 && b <= 70);
}

function hexDigit(nibble: u8): u8 {
  return nibble < 10 ? 48 + nibble : 55 + nibble;
}
