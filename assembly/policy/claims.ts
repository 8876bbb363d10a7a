// How the claims of a verified token name a caller: `acme/{team}/{sub}` and `{plan}`. Each segment is a word, or one claim
// in braces; a claim's name may itself hold slashes (`{https://acme.example/team}`).
import { Tape } from "../json/tape";
import { indexOf, is, lenOf, lit, NONE, ptrOf, Slice, slice, sub } from "../slice";
import { take } from "./block";
import { CLAIM_PARTS_MAX, CLAIMS_SIZE, Claims, ClaimPart, Policy } from "./policy";
import { problem } from "./problems";
import { member, textOf } from "./read";
import { isSubject } from "./units";

const OPEN: u8 = 123;
const CLOSE: u8 = 125;
const SLASH: u8 = 47;
const CLAIM_MAX: i32 = 128;
/** Where Envoy's jwt_authn leaves the claims of the tokens that it has verified, by its default name. */
const METADATA = lit("metadata\0filter_metadata\0envoy.filters.http.jwt_authn\0");

/** Where the segment of `template` that begins at `from` ends; -1 when it is not well formed. */
function segmentEnd(template: Slice, from: i32): i32 {
  const len = lenOf(template);
  if (from < len && load<u8>(ptrOf(template) + from) == OPEN) {
    const close = indexOf(template, CLOSE, from);
    if (close < 0 || !isClaim(sub(template, from + 1, close))) return -1;
    return close + 1;
  }
  let to = from;
  while (to < len && load<u8>(ptrOf(template) + to) != SLASH) to++;
  return isSubject(sub(template, from, to)) ? to : -1;
}

/** Printable ASCII that needs no escape in JSON. */
function isClaim(name: Slice): bool {
  for (let i = 0; i < lenOf(name); i++) {
    const b = load<u8>(ptrOf(name) + i);
    if (b <= 32 || b >= 127 || b == 34 || b == 92 || b == OPEN) return false;
  }
  return lenOf(name) > 0 && lenOf(name) <= CLAIM_MAX;
}

/** One to three segments, at least one of them a claim: all who have a token would be one caller otherwise. */
export function isClaimedSubject(raw: Slice): bool {
  let claims = 0;
  let from = 0;
  for (let segments = 1; segments <= CLAIM_PARTS_MAX; segments++) {
    const to = segmentEnd(raw, from);
    if (to < 0) return false;
    if (load<u8>(ptrOf(raw) + from) == OPEN) claims++;
    if (to == lenOf(raw)) return claims > 0;
    if (load<u8>(ptrOf(raw) + to) != SLASH) return false;
    from = to + 1;
  }
  return false;
}

/** A word, or one claim. */
export function isClaimedTier(raw: Slice): bool {
  return lenOf(raw) > 0 && segmentEnd(raw, 0) == lenOf(raw);
}

/** After the tiers. */
export function compileClaims(tape: Tape, node: i32, policy: Policy): void {
  if (node < 0) return;
  const claims = changetype<Claims>(take(CLAIMS_SIZE));
  policy.claims = changetype<usize>(claims);
  const metadata = textOf(tape.raw(member(tape, node, "metadata")));
  claims.payload = propertyPath(metadata, NONE);
  const subject = textOf(tape.raw(member(tape, node, "subject")));
  for (let from = 0; from < lenOf(subject); claims.partCount++) {
    const to = segmentEnd(subject, from);
    compilePart(sub(subject, from, to), metadata, claims.part(claims.partCount));
    from = to + 1;
  }
  if (is(claims.part(0).word, "anonymous"))
    problem(
      tape,
      member(tape, node, "subject"),
      "another organisation: callers without a key are anonymous/ADDRESS",
    );
  const tier = member(tape, node, "tier");
  compilePart(textOf(tape.raw(tier)), metadata, claims.tierPart);
  if (claims.tierPart.path == NONE && policy.tierNamed(claims.tierPart.word) == null)
    problem(tape, tier, "the name of a tier in `tiers`, or a claim in braces");
}

function compilePart(segment: Slice, metadata: Slice, part: ClaimPart): void {
  const isOfClaim = load<u8>(ptrOf(segment)) == OPEN;
  part.word = isOfClaim ? sub(segment, 1, lenOf(segment) - 1) : segment;
  if (isOfClaim) part.path = propertyPath(metadata, part.word);
}

/** The path of the property that holds `claim`; of all claims together without one. */
function propertyPath(metadata: Slice, claim: Slice): Slice {
  const more = claim == NONE ? 0 : 1 + lenOf(claim);
  const to = take(<usize>(lenOf(METADATA) + lenOf(metadata) + more));
  memory.copy(to, ptrOf(METADATA), lenOf(METADATA));
  const end = to + lenOf(METADATA) + lenOf(metadata);
  memory.copy(to + lenOf(METADATA), ptrOf(metadata), lenOf(metadata));
  if (more > 0) {
    store<u8>(end, 0);
    memory.copy(end + 1, ptrOf(claim), lenOf(claim));
  }
  return slice(to, <i32>(end - to) + more);
}
