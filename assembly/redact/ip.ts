// IP addresses: dotted quads that are not versions or section numbers, and IPv6 in every form of RFC 4291
// (full, compressed, with an embedded IPv4). A prefix length, port or zone is not part of the match.
import { ALNUM, has, HEX, isDigit, SPACE, UPPER } from "./chars";
import { IP } from "./types";
import { at, back, floorOf, found, joined } from "./view";
import { context, distance, says, W_IP, W_VERSION } from "./words";

/** The end of four decimal octets at `p`, or 0. `octets` of the last call, big-endian. */
let octets: u32 = 0;

function quadEnd(p: usize): usize {
  octets = 0;
  for (let n = 0; n < 4; n++) {
    const first = at(p);
    if (!isDigit(first)) return 0;
    let value: u32 = 0;
    let len = 0;
    while (isDigit(at(p)) && len < 4) {
      value = value * 10 + (at(p) - 48);
      p++;
      len++;
    }
    if (len > 3 || value > 255 || (len > 1 && first == 48)) return 0;
    octets = (octets << 8) | value;
    if (n < 3 && at(p++) != 46) return 0;
  }
  return p;
}

/** Whether something stands right after an address that makes it a part of more: a version, a name. */
function goesOn(p: usize): bool {
  const b = at(p);
  if (has(b, ALNUM) || b == 95) return true;
  if (b == 45 || b == 43) return has(at(p + 1), ALNUM) && !isDigit(at(p + 1));
  return b == 46 && has(at(p + 1), ALNUM);
}

export function ipv4(p: usize): bool {
  const before = back(p, 1);
  if (joined(p) || before == 46) return false;
  if (before == 45 && isDigit(back(p, 2))) return false;
  const to = quadEnd(p);
  if (to == 0 || goesOn(to)) return false;
  if (before == 47 && isProduct(p - 1)) return false;
  const near = context(p);
  const isVersion = distance(near, W_VERSION);
  if (isVersion && isVersion <= 2 && !says(near, W_IP, 4, W_VERSION)) return false;
  if (looksLikeVersion(octets) && distance(near, W_IP) == 0) {
    const next = at(to);
    if (!((next == 58 || next == 47) && isDigit(at(to + 1)))) return false;
  }
  return found(p, to, IP);
}

/** No product's name is longer; what is looked at must be in view wherever the text is cut (LOOK_BACK). */
const PRODUCT_MAX: usize = 40;

/** "Chrome/120.0.0.0": a capitalised word before the slash at `slash`. */
function isProduct(slash: usize): bool {
  const floor = floorOf(slash);
  let from = slash;
  while (from > floor && has(load<u8>(from - 1), ALNUM)) {
    if (slash - from == PRODUCT_MAX) return false;
    from--;
  }
  return from < slash && has(load<u8>(from), UPPER);
}

/** All octets small, and neither 10.x nor four alike nor a well-known resolver. */
function looksLikeVersion(quad: u32): bool {
  if ((quad & 0xe0e0e0e0) != 0) return false;
  if (quad >> 24 == 10 || quad == rotl<u32>(quad, 8)) return false;
  return quad != 0x08080404 && quad != 0x01000001;
}

/** IPv6 at the first ':' of a candidate, at `p`. */
export function ipv6(p: usize, notBefore: usize): bool {
  const floor = max(floorOf(p), notBefore);
  let from = p;
  while (from > floor && p - from < 5 && has(load<u8>(from - 1), HEX)) from--;
  if (p - from > 4) return false;
  const before = back(from, 1);
  if (joined(from) || before == 58 || before == 46) return false;
  if (from == p && at(p + 1) != 58) return false;

  let groups = 0;
  let compressed = false;
  let digits = false;
  let i = from;
  let to: usize = 0;
  for (;;) {
    const start = i;
    while (i - start < 5 && has(at(i), HEX)) {
      if (isDigit(load<u8>(i))) digits = true;
      i++;
    }
    if (i - start > 4) return false;
    if (
      i > start &&
      at(i) == 46 &&
      isDigit(load<u8>(start)) &&
      isDigit(at(i + 1)) &&
      (groups == 6 || compressed)
    ) {
      const quad = quadEnd(start);
      if (quad == 0) return false;
      groups += 2;
      to = quad;
      break;
    }
    if (i > start) {
      groups++;
      to = i;
    }
    if (groups > 8 || at(i) != 58) break;
    if (at(i + 1) == 58) {
      if (compressed) return false;
      compressed = true;
      i += 2;
      to = i;
      if (at(i) == 58) return false;
    } else if (i == start || !has(at(i + 1), HEX)) break;
    else i++;
  }
  if (to == 0 || has(at(to), ALNUM) || at(to) == 95) return false;
  if (at(to) == 58 && has(at(to + 1), ALNUM)) return false;
  if (!digits || groups == 0) return false;
  if (compressed ? groups > 7 : groups != 8) return false;
  // "a[::2]" is a slice in a program.
  if (compressed && groups == 1 && to - from < 5 && !(to - from == 3 && load<u8>(to - 1) == 49)) return false;
  // One group beside "::" is "::1" or a prefix such as "2001:db8::"; "9::" and "a1::" are other things.
  if (
    compressed &&
    groups == 1 &&
    !(from == p && (before == 0 || has(before, SPACE | ALNUM) || isOpening(before)))
  ) {
    return false;
  }
  return found(from, to, IP);
}

function isOpening(byte: u32): bool {
  return byte == 91 || byte == 40 || byte == 34 || byte == 39 || byte == 96 || byte == 61 || byte == 44;
}
