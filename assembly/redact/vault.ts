// The originals behind the placeholders of a prompt, so that the answer can have them again (`reversible`).
// One stream's vault lives only as long as the stream, and is bounded: 64 values, 4 KiB of text.
//
//   0 values u32 | 4 bytes used u32 | 8 entry (8 bytes): type u8, 0, number u16, offset u16, length u16 × 64
//   520 text (decoded UTF-8) …
import { slice, Slice, NONE } from "../slice";

const VALUES_MAX: u32 = 64;
const TEXT_AT: usize = 520;
const TEXT_MAX: u32 = 4096;
export const VAULT_BYTES: i32 = 520 + 4096;

/** Empties the vault; originals do not outlive their stream. */
export function clearVault(vault: usize): void {
  memory.fill(vault, 0, VAULT_BYTES);
}

/** Keeps an original; false when it does not fit or its text is not known whole. */
export function keep(vault: usize, type: i32, number: u32, from: usize, to: usize): bool {
  const n = load<u32>(vault);
  const used = load<u32>(vault, 4);
  const len = <u32>(to - from);
  if (from == 0 || n == VALUES_MAX || len > TEXT_MAX - used) return false;
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
