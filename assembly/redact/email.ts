// Mail addresses, found at their '@': back over the local part, on over the domain. In a URL the sign may be `%40`,
// in HTML a reference.
//
// A practical subset of RFC 5321: ASCII and Latin letters (U+00C0–U+017F), no quoted local parts, at most 64
// bytes before the '@' and 190 after, a domain with at least one dot and a top level of letters.
import { ALNUM, ALPHA, has, isDigit, LOCAL, LOWER, UPPER } from "./chars";
import { EMAIL } from "./types";
import { at, back, floorOf, found, here, joined, low } from "./view";

const DOMAIN_MAX: usize = 190;
const LABEL_MAX: usize = 63;

/** The start of the run of local-part bytes that ends at `p`, not before `floor`. */
export function localStart(p: usize, floor: usize): usize {
  while (p > floor) {
    const b = <u32>load<u8>(p - 1);
    if (isLocal(b)) p--;
    else if (p - 1 > floor && isLatin(load<u8>(p - 2), b)) p -= 2;
    else break;
  }
  return p;
}

/** Whether an ASCII byte may stand in a local part. */
export function isLocal(byte: u32): bool {
  return has(byte, LOCAL) || byte == 39;
}

/** A two-byte letter of Latin-1 or Latin Extended-A. */
function isLatin(lead: u32, next: u32): bool {
  return lead - 0xc3 <= 2 && next >> 6 == 2;
}

export function email(p: usize, notBefore: usize): bool {
  const floor = max(floorOf(p), notBefore);
  return around(p, p + 1, floor, localStart(p, floor));
}

/** As `email`, at the digits of a '@' that a URL has encoded. */
export function encodedEmail(digits: usize, notBefore: usize): bool {
  const p = digits - 1;
  const floor = max(floorOf(digits), notBefore);
  let from = localStart(p, floor);
  // What else is encoded stands between values (`%3Femail%3Dbob%40example.com`), but for the plus of a tag. Its sign may be out already.
  for (let i = p; i > low && i + 2 > from; i--) {
    if (load<u8>(i - 1) != 37) continue;
    const isPlus = load<u8>(i) == 50 && (load<u8>(i + 1) | 32) == 98;
    if (isPlus) continue;
    from = min(i + 2, p);
    break;
  }
  return around(p, digits + 2, floor, from);
}

/** As `email`, at the first digit of a `@` that HTML refers to by its number: `&#64;`, `&#x40;`. */
export function referredEmail(digits: usize, notBefore: usize): bool {
  const hexadecimal = (back(digits, 1) | 32) == 120;
  const sign = digits - (hexadecimal ? 3 : 2);
  if (back(digits, hexadecimal ? 3 : 2) != 38 || back(digits, hexadecimal ? 2 : 1) != 35) return false;
  let p = digits;
  while (at(p) == 48 && p - digits < 4) p++;
  if (!here(p, hexadecimal ? "40;" : "64;")) return false;
  const floor = max(floorOf(digits), notBefore);
  return around(sign, p + 3, floor, localStart(sign, floor));
}

/** Where a reference begins that could become one to `@`, if its number begins at `p`; else `p`. */
export function referenceStart(p: usize, floor: usize): usize {
  if (p > floor && load<u8>(p - 1) == 38) return p - 1;
  return p > floor + 1 && load<u8>(p - 1) == 35 && load<u8>(p - 2) == 38 ? p - 2 : p;
}

/** The address whose local part ends at `p` and begins at `from` or after, and whose domain begins at `domain`. */
function around(p: usize, domain: usize, floor: usize, from: usize): bool {
  if (from == floor && p - floor >= 64 && has(back(from, 1), ALNUM)) return false;
  while (from < p && !has(load<u8>(from), ALNUM) && load<u8>(from) < 0x80 && load<u8>(from) != 95) from++;
  // The letter of a spelled-out line end: "\\nbob@example.com".
  if (from < p && back(from, 1) == 92 && has(load<u8>(from), ALPHA) && !joined(from + 1)) from++;
  if (from >= p || load<u8>(p - 1) == 46) return false;
  // What is quoted by a shell or a URL is not an address: git@host:path.
  const isGit =
    p - from == 3 && load<u8>(from) == 103 && load<u8>(from + 1) == 105 && load<u8>(from + 2) == 116;
  const to = domainEnd(domain);
  if (to == 0) return false;
  if (isGit && at(to) == 58 && !isDigit(at(to + 1))) return false;
  return found(from, to, EMAIL);
}

/** The end of the domain name at `p`, or 0. */
function domainEnd(p: usize): usize {
  let good: usize = 0;
  let goodWasLower = false;
  let label = p;
  let labels = 0;
  for (;;) {
    let i = label;
    let letters = true;
    while (i - label <= LABEL_MAX && i - p < DOMAIN_MAX) {
      const b = at(i);
      if (has(b, ALPHA)) i++;
      else if (has(b, ALNUM) || b == 45) {
        letters = false;
        i++;
      } else if (b >= 0xc3 && b <= 0xc5 && isLatin(b, at(i + 1))) i += 2;
      else break;
    }
    const len = i - label;
    if (len == 0 || len > LABEL_MAX || load<u8>(label) == 45) break;
    labels++;
    // "mail bob@example.com.Thanks": a capital after a lower-case top level begins a sentence.
    if (good && goodWasLower && has(load<u8>(label), UPPER)) break;
    const isTop = letters ? len >= 2 && len <= 24 : here(label, "xn--");
    if (labels > 1 && isTop && load<u8>(i - 1) != 45 && !isFileName(label, len)) {
      good = i;
      goodWasLower = has(load<u8>(label), LOWER);
    } else if (labels > 1) good = 0;
    if (at(i) != 46) {
      // A hyphen or digits that end the last label: "x@host.com-" keeps what was good before it.
      break;
    }
    const next = at(i + 1);
    if (!has(next, ALNUM) && next < 0x80) break;
    label = i + 1;
  }
  return good;
}

/** `logo@2x.png` and the like. */
function isFileName(label: usize, len: usize): bool {
  if (len == 2) return here(label, "js") || here(label, "ts");
  if (len == 3) {
    return (
      here(label, "png") ||
      here(label, "jpg") ||
      here(label, "gif") ||
      here(label, "svg") ||
      here(label, "css")
    );
  }
  return len == 4 && (here(label, "webp") || here(label, "jpeg") || here(label, "json"));
}
