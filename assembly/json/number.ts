// The value of a JSON number, from its digits as the scanner accepted them.
//
// Whole numbers up to 2^53 are exact however they are written (1000, 1e3, 1000.0). Other values are exact when
// at most 15 digits and a power of ten up to 22 are involved (Clinger 1990, the "fast path"); beyond that the
// relative error stays below 10^-13, which is enough to compare with a limit.
import { endOf, ptrOf, Slice } from "../slice";

/** What `toU64` answers for anything but a whole number from 0 to 2^53. */
export const NOT_WHOLE: u64 = u64.MAX_VALUE;

const SAFE_MAX: u64 = 1 << 53;
/** More digits than this cannot change a u64 mantissa; they only shift the exponent. */
const DIGITS_MAX: i32 = 18;

// The parts of the number that `split` read last: value = ±mantissa × 10^exponent (+ what was cut).
let mantissa: u64 = 0;
let exponent: i32 = 0;
let negative: bool = false;
/** Whether digits other than zero were cut off the mantissa. */
let inexact: bool = false;

function split(raw: Slice): void {
  let p = ptrOf(raw);
  const end = endOf(raw);
  mantissa = 0;
  exponent = 0;
  inexact = false;
  negative = p < end && load<u8>(p) == 45;
  if (negative) p++;
  let digits = 0;
  let point = false;
  // Zeros are held back until another digit follows, so that 1.0000000000000000000000 stays exact.
  let zeros = 0;
  while (p < end) {
    const c: u32 = load<u8>(p);
    if (c == 46) point = true;
    else if (c - 48 > 9) break;
    else {
      if (point) exponent--;
      if (c == 48) zeros++;
      else {
        const more = zeros + 1;
        if (inexact || (digits > 0 && digits + more > DIGITS_MAX)) {
          inexact = true;
          zeros += 1;
        } else {
          for (let i = 0; i < more; i++) if (mantissa != 0 || i == more - 1) mantissa *= 10;
          mantissa += c - 48;
          digits = digits > 0 ? digits + more : 1;
          zeros = 0;
        }
      }
    }
    p++;
  }
  exponent += zeros;
  if (p < end) power(p + 1, end);
  if (mantissa == 0) exponent = 0;
}

function power(p: usize, end: usize): void {
  let minus = false;
  if (p < end && (load<u8>(p) == 45 || load<u8>(p) == 43)) {
    minus = load<u8>(p) == 45;
    p++;
  }
  let value = 0;
  for (; p < end; p++) value = min(value * 10 + <i32>load<u8>(p) - 48, 100000000);
  exponent += minus ? -value : value;
}

/** The whole number that `raw` writes, if it lies in 0 … 2^53; else NOT_WHOLE. `-0` is 0. */
export function toU64(raw: Slice): u64 {
  split(raw);
  if (mantissa == 0) return inexact ? NOT_WHOLE : 0;
  if (negative || inexact || exponent < 0 || exponent > 15) return NOT_WHOLE;
  let value = mantissa;
  for (let i = exponent; i > 0; i--) {
    if (value > SAFE_MAX) return NOT_WHOLE;
    value *= 10;
  }
  return value <= SAFE_MAX ? value : NOT_WHOLE;
}

/** Whether `raw` has no fraction: 5, 5.0, 5e2 and 5e400 have none, 5.5 and 5e-1 have. */
export function isWhole(raw: Slice): bool {
  split(raw);
  return exponent >= 0;
}

export function toF64(raw: Slice): f64 {
  split(raw);
  let value = <f64>mantissa;
  let rest = exponent;
  // Below 10^-290 divide in two steps, so that the last one rounds into the subnormals.
  if (rest < -330 - DIGITS_MAX) value = 0;
  else if (rest > 330) value = mantissa == 0 ? 0 : Infinity;
  else if (rest >= 0) value = rest > 290 ? value * ten(290) * ten(rest - 290) : value * ten(rest);
  else if (rest >= -290) value /= ten(-rest);
  else value = value / ten(290) / ten(-rest - 290);
  return negative ? -value : value;
}

/** 10^n for 0 ≤ n ≤ 308; exact up to 22. */
function ten(n: i32): f64 {
  let result: f64 = 1;
  let base: f64 = 10;
  while (n > 0) {
    if (n & 1) result *= base;
    base *= base;
    n >>= 1;
  }
  return result;
}
