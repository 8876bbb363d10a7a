// IP addresses and networks as 16 bytes: an IPv4 address is its mapped form ::ffff:a.b.c.d, so that both
// families share one comparison. Parsing is strict (RFC 4291; no octal-looking IPv4 parts). The zone of an address
// (fe80::1%2), which Envoy tells of clients on its own link, is of this machine alone and is left out.
import { lenOf, ptrOf, Slice, slice } from "../slice";

/** The size of a parsed address in bytes. */
export const ADDRESS: i32 = 16;
const PERCENT: u8 = 37;

/** Parses "10.1.2.3", "2001:db8::1" or either with a port ("10.1.2.3:80", "[::1]:80") to 16 bytes at `to`. */
export function parseAddress(s: Slice, to: usize): bool {
  let ptr = ptrOf(s);
  let len = lenOf(s);
  if (len > 1 && load<u8>(ptr) == 91) {
    let close = 1;
    while (close < len && load<u8>(ptr + close) != 93) close++;
    if (close == len || !isPort(ptr + close + 1, len - close - 1)) return false;
    return parseV6(ptr + 1, withoutZone(ptr + 1, close - 1), to);
  }
  let colons = 0;
  let colonAt = 0;
  for (let i = 0; i < len; i++) {
    if (load<u8>(ptr + i) == 58) {
      if (colons++ == 0) colonAt = i;
    }
  }
  if (colons > 1) return parseV6(ptr, withoutZone(ptr, len), to);
  if (colons == 1) {
    if (!isPort(ptr + colonAt, len - colonAt)) return false;
    len = colonAt;
  }
  store<u64>(to, 0);
  store<u32>(to, 0xffff0000, 8);
  return parseV4(ptr, len, to + 12);
}

/** How much of an IPv6 address stands before its zone; all of it where the zone has no name. */
function withoutZone(ptr: usize, len: i32): i32 {
  for (let i = 0; i < len - 1; i++) if (load<u8>(ptr + i) == PERCENT) return i;
  return len;
}

function isPort(ptr: usize, len: i32): bool {
  if (len == 0) return true;
  if (len < 2 || len > 6 || load<u8>(ptr) != 58) return false;
  for (let i = 1; i < len; i++) if (<u8>(load<u8>(ptr + i) - 48) > 9) return false;
  return true;
}

function parseV4(ptr: usize, len: i32, to: usize): bool {
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i <= len; i++) {
    const b: u8 = i < len ? load<u8>(ptr + i) : 46;
    if (b == 46) {
      if (digits == 0 || part > 3) return false;
      store<u8>(to + part++, <u8>value);
      value = 0;
      digits = 0;
    } else {
      const digit = <i32>b - 48;
      if (digit < 0 || digit > 9 || (digits == 1 && value == 0)) return false;
      value = value * 10 + digit;
      if (value > 255) return false;
      digits++;
    }
  }
  return part == 4;
}

function parseV6(ptr: usize, len: i32, to: usize): bool {
  let groups = 0;
  let gap = -1;
  let at = 0;
  if (len < 2) return false;
  if (load<u8>(ptr) == 58) {
    if (load<u8>(ptr, 1) != 58) return false;
    gap = 0;
    at = 2;
  }
  while (at < len) {
    if (groups == 8) return false;
    let value: u32 = 0;
    let digits = 0;
    const start = at;
    while (at < len && digits < 5) {
      const b = load<u8>(ptr + at);
      const lower = b | 32;
      const digit = <u8>(b - 48) < 10 ? <i32>b - 48 : lower >= 97 && lower <= 102 ? <i32>lower - 87 : -1;
      if (digit < 0) break;
      value = (value << 4) | digit;
      digits++;
      at++;
    }
    if (at < len && load<u8>(ptr + at) == 46) {
      if (groups > 6 || !parseV4(ptr + start, len - start, to + groups * 2)) return false;
      groups += 2;
      at = len;
      break;
    }
    if (digits == 0 || digits > 4) return false;
    store<u8>(to + groups * 2, <u8>(value >> 8));
    store<u8>(to + groups * 2, <u8>value, 1);
    groups++;
    if (at == len) break;
    if (load<u8>(ptr + at) != 58 || ++at == len) return false;
    if (load<u8>(ptr + at) == 58) {
      if (gap >= 0) return false;
      gap = groups;
      at++;
    }
  }
  if (gap < 0) return groups == 8;
  if (groups > 7) return false;
  const tail = (groups - gap) * 2;
  memory.copy(to + 16 - tail, to + gap * 2, tail);
  memory.fill(to + gap * 2, 0, 16 - tail - gap * 2);
  return true;
}

/** Parses "10.0.0.0/8", "2001:db8::/32" or one address: 16 bytes and then the prefix length (u8) in bits of 128. */
export function parseNetwork(s: Slice, to: usize): bool {
  const ptr = ptrOf(s);
  const len = lenOf(s);
  let slash = 0;
  let v4 = true;
  while (slash < len && load<u8>(ptr + slash) != 47) {
    const b = load<u8>(ptr + slash++);
    if (b == 91 || b == PERCENT) return false;
    if (b == 58) v4 = false;
  }
  if (!parseAddress(slice(ptr, slash), to)) return false;
  const most = v4 ? 32 : 128;
  let bits = most;
  if (slash < len) {
    bits = 0;
    if (slash + 1 == len || len - slash > 4) return false;
    for (let i = slash + 1; i < len; i++) {
      const digit = <i32>load<u8>(ptr + i) - 48;
      if (digit < 0 || digit > 9) return false;
      bits = bits * 10 + digit;
    }
    if (bits > most) return false;
  }
  store<u8>(to, <u8>(v4 ? bits + 96 : bits), ADDRESS);
  return true;
}

/** Whether the address at `address` lies in the network at `network` (as `parseNetwork` wrote it). */
export function inNetwork(address: usize, network: usize): bool {
  const bits = <i32>load<u8>(network, ADDRESS);
  const whole = bits >> 3;
  if (memory.compare(address, network, whole) != 0) return false;
  const rest = bits & 7;
  if (rest == 0) return true;
  const mask: u8 = (<u8>0xff) << (<u8>(8 - rest));
  return (load<u8>(address + whole) & mask) == (load<u8>(network + whole) & mask);
}
