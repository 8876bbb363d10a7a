// The originals behind the placeholders of a prompt, so that the answer can have them again (`reversible`).
//
// One stream's vault lives only as long as the stream, in a fixed pool, and is emptied when it is given back.
//
//   0 values u32 | 4 bytes used u32 | 8 entry (8 bytes): type u8, 0, number u16, offset u16, length u16 × values
//   then text (decoded UTF-8) …
import { reserve } from "../memory";
import { NONE, slice, Slice } from "../slice";
import { VAULT_TEXT_MAX, VALUES_MAX } from "./types";

const TEXT_AT: usize = 8 + 8 * <usize>VALUES_MAX;
const VAULT_BYTES: usize = TEXT_AT + <usize>VAULT_TEXT_MAX;

let free: usize = 0;

/** Makes `count` vaults. At configuration. */
export function createVaults(count: i32): void {
  for (let i = 0; i < count; i++) {
    const vault = reserve(VAULT_BYTES);
    store<u32>(vault, <u32>free);
    free = vault;
  }
}

/** An empty vault, or 0 when all are in use. */
export function openVault(): usize {
  const vault = free;
  if (vault) {
    free = <usize>load<u32>(vault);
    store<u32>(vault, 0);
  }
  return vault;
}

/** Gives a vault back; originals do not outlive their stream. */
export function closeVault(vault: usize): void {
  memory.fill(vault, 0, VAULT_BYTES);
  store<u32>(vault, <u32>free);
  free = vault;
}

/** Keeps an original; false when it does not fit, its text is not known whole, or there is no vault. */
export function keep(vault: usize, type: i32, number: u32, from: usize, to: usize): bool {
  if (vault == 0) return false;
  const n = load<u32>(vault);
  const used = load<u32>(vault, 4);
  const len = <u32>(to - from);
  if (from == 0 || n == VALUES_MAX || len > VAULT_TEXT_MAX - used) return false;
  const entry = vault + 8 + <usize>(n << 3);
  store<u8>(entry, <u8>type);
  store<u16>(entry, <u16>number, 2);
  store<u16>(entry, <u16>used, 4);
  store<u16>(entry, <u16>len, 6);
  memory.copy(vault + TEXT_AT + used, from, len);
  store<u32>(vault, n + 1);
  store<u32>(vault, used + len, 4);
  return true;
}

/** Whether the vault holds nothing. */
export function isEmpty(vault: usize): bool {
  return load<u32>(vault) == 0;
}

/** The original of placeholder (`type`, `number`), or NONE. */
export function original(vault: usize, type: i32, number: u32): Slice {
  const n = load<u32>(vault);
  for (let i: u32 = 0; i < n; i++) {
    const entry = vault + 8 + <usize>(i << 3);
    if (<i32>load<u8>(entry) == type && <u32>load<u16>(entry, 2) == number) {
      return slice(vault + TEXT_AT + load<u16>(entry, 4), load<u16>(entry, 6));
    }
  }
  return NONE;
}
