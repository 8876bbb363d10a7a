// Builds text and JSON in a fixed buffer. A write that does not fit is dropped whole and `overflow` is set,
// so a message may be cut but memory never is; who needs all of it checks `overflow`.
import { reserve } from "./memory";
import { lenOf, ptrOf, putAscii, Slice, slice } from "./slice";

export class Writer {
  private readonly base: usize;
  private len: i32 = 0;
  overflow: bool = false;

  /** Reserves `capacity` bytes: construct at module level or in configuration only. */
  constructor(private readonly capacity: i32) {
    this.base = reserve(capacity);
  }

  reset(): Writer {
    this.len = 0;
    this.overflow = false;
    return this;
  }

  get written(): Slice {
    return slice(this.base, this.len);
  }

  get length(): i32 {
    return this.len;
  }

  /** Where the byte at `i` of what was written is. */
  at(i: i32): usize {
    return this.base + i;
  }

  /** Cuts what was written back to `len` bytes. */
  truncate(len: i32): void {
    if (len < this.len) this.len = len;
  }

  /** Makes room for `n` bytes and returns where they go, or 0 when they do not fit. */
  take(n: i32): usize {
    if (n > this.capacity - this.len) {
      this.overflow = true;
      return 0;
    }
    const to = this.base + this.len;
    this.len += n;
    return to;
  }

  /** An ASCII literal. */
  text(s: string): Writer {
    const to = this.take(s.length);
    if (to) putAscii(to, s);
    return this;
  }

  bytes(s: Slice): Writer {
    const to = this.take(lenOf(s));
    if (to) memory.copy(to, ptrOf(s), lenOf(s));
    return this;
  }

  byte(b: u8): Writer {
    const to = this.take(1);
    if (to) store<u8>(to, b);
    return this;
  }

  /** A decimal number. */
  u64(value: u64): Writer {
    let digits = 1;
    for (let rest = value / 10; rest != 0; rest /= 10) digits++;
    const to = this.take(digits);
    if (!to) return this;
    let rest = value;
    for (let i = digits - 1; i >= 0; i--) {
      store<u8>(to + i, <u8>(48 + (rest % 10)));
      rest /= 10;
    }
    return this;
  }

  i64(value: i64): Writer {
    if (value < 0) return this.text("-").u64(<u64>-value);
    return this.u64(<u64>value);
  }

  /** Lower-case hexadecimal of `len` bytes. */
  hex(ptr: usize, len: i32): Writer {
    const to = this.take(len * 2);
    if (!to) return this;
    for (let i = 0; i < len; i++) {
      const b = load<u8>(ptr + i);
      store<u8>(to + 2 * i, hexDigit(b >> 4));
      store<u8>(to + 2 * i + 1, hexDigit(b & 15));
    }
    return this;
  }

  /** UTF-8 text as the inside of a JSON string (no quotes); control characters, `"` and `\` are escaped. */
  json(s: Slice): Writer {
    const ptr = ptrOf(s);
    const len = lenOf(s);
    for (let i = 0; i < len; i++) {
      const b = load<u8>(ptr + i);
      if (b == 34 || b == 92) this.byte(92).byte(b);
      else if (b < 32)
        this.text("\\u00")
          .byte(hexDigit(b >> 4))
          .byte(hexDigit(b & 15));
      else this.byte(b);
    }
    return this;
  }
}

function hexDigit(nibble: u8): u8 {
  return nibble < 10 ? 48 + nibble : 87 + nibble;
}
