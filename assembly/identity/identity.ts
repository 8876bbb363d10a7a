// Who is calling: a token by its claims (claims.ts), an API key by its digest, or the anonymous by address. Fills the
// stream's tier, key, subject and lane, or says why not.
import { hash64 } from "../hash";
import { Key, Lane, NETWORK_SIZE, Policy } from "../policy/policy";
import { NS_PER_S } from "../policy/units";
import { wallTime } from "../proxy-wasm/host";
import { reserve } from "../memory";
import { lenOf, lit, NONE, ptrOf, putAscii, slice, Slice, sub, trim } from "../slice";
import { Stream } from "../stream";
import { Reason } from "../verdicts.gen";
import { ADDRESS, inNetwork, parseAddress } from "./address";
import { identifyByToken, shown } from "./claims";
import { DIGEST, sha256 } from "./sha256";

const digest = reserve(DIGEST);
const address = reserve(ADDRESS);
const other = reserve(ADDRESS);
/** 127.0.0.1, and the lower half of ::1, as they lie in memory. */
const LOOPBACK_V4: u32 = 0x0100007f;
const LOOPBACK_V6: u64 = 1 << 56;
const ANONYMOUS = "anonymous/";
const BATCH = lit("batch");
const INTERACTIVE = lit("interactive");

/** What the host has done to x-forwarded-for by the time the filter reads it. */
export enum Appended {
  /** Nothing. */
  Nothing = 0,
  /** It may have appended the connection's address. */
  Connection = 1,
  /** It has appended an address of its own machine, which nobody here can know. */
  Own = 2,
}

/**
 * Names the client's address: the connection's, or with `hops` trusted proxies in front the entry that the
 * outermost of them appended to x-forwarded-for. What the host itself has `appended` is none of theirs. Leaves the address
 * parsed; false when it is none.
 */
export function readAddress(connection: Slice, forwardedFor: Slice, hops: i32, appended: Appended): bool {
  if (!parseAddress(connection, address)) return false;
  if (hops == 0) return true;
  let rest = forwardedFor;
  if (appended == Appended.Own || (appended == Appended.Connection && repeatsAddress(lastEntry(rest)))) {
    rest = before(rest);
  }
  let from = connection;
  for (let hop = 0; hop < hops && lenOf(rest) > 0; hop++) {
    from = lastEntry(rest);
    rest = before(rest);
  }
  return parseAddress(from, address);
}

/** Whether the connection is from 127.0.0.1 or ::1. Those alone Envoy takes for its own machine. */
export function isLoopback(connection: Slice): bool {
  if (!parseAddress(connection, address)) return false;
  return isV4()
    ? load<u32>(address, 12) == LOOPBACK_V4
    : load<u64>(address) == 0 && load<u64>(address, 8) == LOOPBACK_V6;
}

/** Whether the entry is the address that was read. */
function repeatsAddress(entry: Slice): bool {
  return parseAddress(entry, other) && memory.compare(other, address, ADDRESS) == 0;
}

/** Where the last comma of a list stands; -1 without one. */
function lastComma(list: Slice): i32 {
  let at = lenOf(list) - 1;
  while (at >= 0 && load<u8>(ptrOf(list) + at) != 44) at--;
  return at;
}

function lastEntry(list: Slice): Slice {
  return trim(sub(list, lastComma(list) + 1, lenOf(list)));
}

/** The list without its last entry. */
function before(list: Slice): Slice {
  return sub(list, 0, max(lastComma(list), 0));
}

/** The tag of the address that was read: for an IPv6 client that of its /64, which is what one caller holds. */
export function addressTag(seed: u64): u64 {
  return hash64(slice(address, isV4() ? 16 : 8), seed);
}

/** Writes the address that was read: 16 bytes. */
export function copyAddress(to: usize): void {
  memory.copy(to, address, ADDRESS);
}

/** Decides who calls: by a verified token, or else by a key; `credential` is NONE when none was shown. */
export function identify(stream: Stream, policy: Policy, credential: Slice, seed: u64): Reason {
  if (policy.claims) {
    const reason = identifyByToken(stream, policy, seed);
    if (shown) return reason;
  }
  if (credential == NONE) {
    if (!policy.anonymous) return Reason.MissingApiKey;
    stream.tier = policy.anonymous;
    stream.subjectLength = writeAnonymous(stream.subjectAt);
    stream.subjectTag = hash64(stream.subject, seed);
    return Reason.None;
  }
  sha256(credential, digest);
  const key = policy.key(digest);
  if (key == null) return Reason.InvalidApiKey;
  if (key.isDated && !key.isValid(wallTime() / NS_PER_S)) return Reason.ExpiredApiKey;
  if (key.networkCount > 0 && !allowed(key)) return Reason.AddressNotAllowed;
  stream.key = changetype<usize>(key);
  stream.tier = key.tier;
  stream.lane = key.lane;
  stream.setSubject(key.subject);
  stream.subjectTag = hash64(key.subject, seed);
  return Reason.None;
}

function allowed(key: Key): bool {
  for (let i = 0; i < key.networkCount; i++) {
    if (inNetwork(address, key.networks + <usize>i * NETWORK_SIZE)) return true;
  }
  return false;
}

function isV4(): bool {
  return load<u64>(address) == 0 && load<u32>(address, 8) == 0xffff0000;
}

/** "anonymous/203.0.113.7" or "anonymous/20010db800000001" (the /64); returns its length. */
function writeAnonymous(to: usize): i32 {
  let at = putAscii(to, ANONYMOUS);
  if (isV4()) {
    for (let i = 12; i < 16; i++) {
      if (i > 12) store<u8>(to + at++, 46);
      at += putByte(to + at, load<u8>(address + i));
    }
    return at;
  }
  for (let i = 0; i < 8; i++) {
    const b = load<u8>(address + i);
    store<u8>(to + at++, hex(b >> 4));
    store<u8>(to + at++, hex(b & 15));
  }
  return at;
}

function putByte(to: usize, value: u8): i32 {
  let at = 0;
  if (value >= 100) store<u8>(to + at++, 48 + value / 100);
  if (value >= 10) store<u8>(to + at++, 48 + ((value / 10) % 10));
  store<u8>(to + at++, 48 + (value % 10));
  return at;
}

function hex(nibble: u8): u8 {
  return nibble < 10 ? 48 + nibble : 87 + nibble;
}

/** The lane's name, as it travels upstream. */
export function laneName(lane: u8): Slice {
  return lane == Lane.Batch ? BATCH : INTERACTIVE;
}
