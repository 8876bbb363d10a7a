// Compiles the keys of a policy, and the table in which a key's digest is looked up.
import { parseNetwork } from "../identity/address";
import { DIGEST } from "../identity/sha256";
import { Tape } from "../json/tape";
import { ptrOf } from "../slice";
import { take } from "./block";
import { Key, KEY_SIZE, Lane, NETWORK_SIZE, Policy } from "./policy";
import { problem } from "./problems";
import { choice, count, first, list, member, textOf } from "./read";
import { isOfAnonymous, nibble, parsedSeconds, parseMoment } from "./units";

export function compileKeys(tape: Tape, keys: i32, policy: Policy): void {
  policy.keyCount = count(tape, keys);
  let cells: u32 = 2;
  while (cells < <u32>policy.keyCount * 2) cells <<= 1;
  policy.keyMask = cells - 1;
  policy.keyIndex = take((<usize>cells) << 2);
  policy.keys = take(<usize>policy.keyCount * KEY_SIZE);
  let node = first(tape, keys);
  for (let i = 0; i < policy.keyCount; i++, node = tape.next(node)) {
    const key = changetype<Key>(policy.keys + <usize>i * KEY_SIZE);
    compileKey(tape, node, key, policy);
    if (policy.key(key.digest) != null)
      problem(tape, member(tape, node, "sha256"), "a digest that no other key has");
    let cell = load<u32>(key.digest) & policy.keyMask;
    while (load<u32>(policy.keyIndex + ((<usize>cell) << 2)) != 0) cell = (cell + 1) & policy.keyMask;
    store<u32>(policy.keyIndex + ((<usize>cell) << 2), i + 1);
  }
}

function compileKey(tape: Tape, node: i32, key: Key, policy: Policy): void {
  const digest = ptrOf(tape.raw(member(tape, node, "sha256")));
  for (let b = 0; b < DIGEST; b++) {
    store<u8>(
      key.digest + b,
      <u8>((nibble(load<u8>(digest + 2 * b)) << 4) | nibble(load<u8>(digest + 2 * b + 1))),
    );
  }
  const subject = member(tape, node, "subject");
  key.subject = textOf(tape.raw(subject));
  if (isOfAnonymous(key.subject))
    problem(tape, subject, "another organisation: callers without a key are anonymous/ADDRESS");
  const tierNode = member(tape, node, "tier");
  const tier = policy.tierNamed(textOf(tape.raw(tierNode)));
  if (tier != null) key.tier = changetype<usize>(tier);
  else problem(tape, tierNode, "the name of a tier in `tiers`");
  key.lane = choice(tape, member(tape, node, "lane"), "batch") ? <u8>Lane.Batch : <u8>Lane.Interactive;
  const notBefore = member(tape, node, "not_before");
  key.notBefore = notBefore >= 0 ? moment(tape, notBefore) : 0;
  const expires = member(tape, node, "expires");
  key.expires = expires >= 0 ? moment(tape, expires) : u64.MAX_VALUE;
  if (key.expires <= key.notBefore) problem(tape, expires, "a moment after not_before");
  key.models = list(tape, member(tape, node, "models"));
  const networks = member(tape, node, "networks");
  key.networkCount = count(tape, networks);
  if (key.networkCount > 0) policy.networked = true;
  key.networks = take(<usize>key.networkCount * NETWORK_SIZE);
  let at = key.networks;
  for (let n = first(tape, networks); n >= 0; n = tape.next(n), at += NETWORK_SIZE)
    parseNetwork(tape.raw(n), at);
}

function moment(tape: Tape, node: i32): u64 {
  parseMoment(tape.raw(node));
  return parsedSeconds;
}
