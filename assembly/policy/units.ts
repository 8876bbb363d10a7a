// How limits are written in a policy, and read. Every function takes the decoded text, answers whether it is
// well formed, and leaves the numbers in the `parsed…` variables: no allocation, no partial result.
//
//   quantity   "16k" "1M" "1.5M" "250000"     k, M, G are powers of 1,000; Ki, Mi powers of 1,024
//   rate       "60/min" "60/min burst 10"     second, minute, hour, day (s, sec, min, m, h, hr, d)
//   budget     "1M/month"                     hour, day, week, month
//   percent    "5%" "0.5%"                    up to four decimals: millionths
//   money      "$50" "$0.002"                 up to six decimals: micro-dollars
//   duration   "500ms" "2s" "5m" "1h"
//   moment     "2026-11-21T08:00:00Z"         RFC 3339 in UTC
//   digest     64 hexadecimal digits (SHA-256)
//   subject    "acme/search/key-7"            one to three segments of letters, digits, . _ -
//   network    "10.0.0.0/8" "2001:db8::/32" or one address (see identity/address.ts)
import { endOf, fold, indexOf, is, lenOf, ptrOf, Slice, startsWith, sub, trim } from "../slice";

/** The largest limit: what a double holds exactly (the ledger's stores compute with doubles). */
export const QUANTITY_MAX: u64 = (1 << 53) - 1;
/** Bursts and rates stay far below the point where nanosecond arithmetic could wrap. */
const RATE_MAX: u64 = 1_000_000_000;

export const NS_PER_MS: u64 = 1_000_000;
export const NS_PER_S: u64 = 1_000_000_000;
/** Millionths in the whole. */
const WHOLE: u64 = 1_000_000;

export enum Window {
  Hour = 1,
  Day = 2,
  Week = 3,
  Month = 4,
}

export let parsedQuantity: u64 = 0;
export let parsedBurst: u64 = 0;
export let parsedPeriodNs: u64 = 0;
export let parsedWindow: i32 = 0;
export let parsedMs: u64 = 0;
export let parsedSeconds: u64 = 0;

function isDigit(b: u8): bool {
  return <u8>(b - 48) < 10;
}

/** A decimal with at most `decimals` digits after the point, times 10^decimals. Leaves `parsedQuantity`. */
function decimal(s: Slice, decimals: i32): bool {
  const len = lenOf(s);
  const ptr = ptrOf(s);
  let value: u64 = 0;
  let after = -1;
  let digits = 0;
  for (let i = 0; i < len; i++) {
    const b = load<u8>(ptr + i);
    if (b == 46 && after < 0 && digits > 0) {
      after = 0;
      continue;
    }
    if (!isDigit(b) || value > QUANTITY_MAX / 10) return false;
    if (after >= 0 && ++after > decimals) return false;
    value = value * 10 + (b - 48);
    digits++;
  }
  if (digits == 0 || after == 0) return false;
  for (let i = max(after, 0); i < decimals; i++) {
    if (value > QUANTITY_MAX / 10) return false;
    value *= 10;
  }
  parsedQuantity = value;
  return true;
}

export function parseQuantity(s: Slice): bool {
  let len = lenOf(s);
  let scale: u64 = 1;
  if (len > 1 && load<u8>(endOf(s) - 1) == 105) {
    const unit = load<u8>(endOf(s) - 2);
    scale = unit == 75 ? 1 << 10 : unit == 77 ? 1 << 20 : 0;
    len -= 2;
  } else if (len > 0 && !isDigit(load<u8>(endOf(s) - 1))) {
    const unit = load<u8>(endOf(s) - 1);
    scale = unit == 107 || unit == 75 ? 1_000 : unit == 77 ? 1_000_000 : unit == 71 ? 1_000_000_000 : 0;
    len -= 1;
  }
  if (scale == 0 || !decimal(sub(s, 0, len), 3)) return false;
  const thousandths = parsedQuantity;
  if (thousandths > QUANTITY_MAX / scale) return false;
  if ((thousandths * scale) % 1000 != 0) return false;
  parsedQuantity = (thousandths * scale) / 1000;
  return true;
}

/** "$50": leaves micro-dollars in `parsedQuantity`. */
export function parseMoney(s: Slice): bool {
  return startsWith(s, "$") && decimal(sub(s, 1, lenOf(s)), 6);
}

/** "5%": leaves millionths in `parsedQuantity`, 1 to 1,000,000. */
export function parsePercent(s: Slice): bool {
  const len = lenOf(s);
  if (len < 2 || load<u8>(endOf(s) - 1) != 37 || !decimal(sub(s, 0, len - 1), 4)) return false;
  return parsedQuantity >= 1 && parsedQuantity <= WHOLE;
}

/** `millionths` of `limit`, rounded down, without a product that could wrap. */
export function share(limit: u64, millionths: u32): u64 {
  return (limit / WHOLE) * millionths + ((limit % WHOLE) * millionths) / WHOLE;
}

/** "60/min burst 10": leaves `parsedQuantity` (limit), `parsedPeriodNs`, `parsedBurst` (the limit by default). */
export function parseRate(s: Slice): bool {
  const slash = indexOf(s, 47);
  if (slash < 0 || !parseQuantity(sub(s, 0, slash))) return false;
  const limit = parsedQuantity;
  if (limit < 1 || limit > RATE_MAX) return false;
  let unitEnd = indexOf(s, 32, slash);
  if (unitEnd < 0) unitEnd = lenOf(s);
  const unit = sub(s, slash + 1, unitEnd);
  let seconds: u64 = 0;
  if (is(unit, "s") || is(unit, "sec") || is(unit, "second")) seconds = 1;
  else if (is(unit, "m") || is(unit, "min") || is(unit, "minute")) seconds = 60;
  else if (is(unit, "h") || is(unit, "hr") || is(unit, "hour")) seconds = 3600;
  else if (is(unit, "d") || is(unit, "day")) seconds = 86400;
  else return false;
  let burst = limit;
  const rest = trim(sub(s, unitEnd, lenOf(s)));
  if (lenOf(rest) > 0) {
    if (!startsWith(rest, "burst ") || !parseQuantity(trim(sub(rest, 6, lenOf(rest))))) return false;
    burst = parsedQuantity;
    if (burst < 1 || burst > RATE_MAX) return false;
  }
  // The whole burst, refilled at this rate, must fit the clock's arithmetic: ten years of nanoseconds.
  if (burst > (86_400 * 3_650 * limit) / seconds) return false;
  parsedQuantity = limit;
  parsedPeriodNs = seconds * NS_PER_S;
  parsedBurst = burst;
  return true;
}

export function parseWindow(s: Slice): bool {
  if (is(s, "hour")) parsedWindow = Window.Hour;
  else if (is(s, "day")) parsedWindow = Window.Day;
  else if (is(s, "week")) parsedWindow = Window.Week;
  else if (is(s, "month")) parsedWindow = Window.Month;
  else return false;
  return true;
}

/** "1M/month" or "$50/month": leaves `parsedQuantity` and `parsedWindow`. */
export function parseBudget(s: Slice, money: bool): bool {
  const slash = indexOf(s, 47);
  if (slash < 0 || !parseWindow(sub(s, slash + 1, lenOf(s)))) return false;
  const amount = sub(s, 0, slash);
  return money ? parseMoney(amount) : parseQuantity(amount);
}

/** "2s": leaves `parsedMs`, 1 ms to 24 h. */
export function parseDuration(s: Slice): bool {
  const len = lenOf(s);
  let digits = 0;
  while (digits < len && isDigit(load<u8>(ptrOf(s) + digits))) digits++;
  if (digits == 0 || digits > 9 || !parseQuantity(sub(s, 0, digits))) return false;
  const unit = sub(s, digits, len);
  let ms: u64 = 0;
  if (is(unit, "ms")) ms = 1;
  else if (is(unit, "s")) ms = 1_000;
  else if (is(unit, "m")) ms = 60_000;
  else if (is(unit, "h")) ms = 3_600_000;
  parsedMs = parsedQuantity * ms;
  return parsedMs >= 1 && parsedMs <= 86_400_000;
}

function two(ptr: usize, from: i32, to: i32): i32 {
  const a = load<u8>(ptr);
  const b = load<u8>(ptr, 1);
  if (!isDigit(a) || !isDigit(b)) return -1;
  const value = <i32>(a - 48) * 10 + <i32>(b - 48);
  return value < from || value > to ? -1 : value;
}

/** "2026-11-21T08:00:00Z": leaves `parsedSeconds` since 1970 (1970 to 9999). */
export function parseMoment(s: Slice): bool {
  if (lenOf(s) != 20) return false;
  const p = ptrOf(s);
  const century = two(p, 19, 99);
  const year = century * 100 + two(p + 2, 0, 99);
  const month = two(p + 5, 1, 12);
  const day = two(p + 8, 1, 31);
  const hour = two(p + 11, 0, 23);
  const minute = two(p + 14, 0, 59);
  const second = two(p + 17, 0, 59);
  if (century < 0 || two(p + 2, 0, 99) < 0 || year < 1970) return false;
  if (month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0) return false;
  if (load<u8>(p, 4) != 45 || load<u8>(p, 7) != 45 || load<u8>(p, 13) != 58 || load<u8>(p, 16) != 58)
    return false;
  if (fold(load<u8>(p, 10)) != 116 || fold(load<u8>(p, 19)) != 122) return false;
  const leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const longest =
    month == 2 ? (leap ? 29 : 28) : month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
  if (day > longest) return false;
  // Days since 1970 of a civil date, with years that start in March (H. Hinnant, "chrono-compatible low-level
  // date algorithms").
  const y = month <= 2 ? year - 1 : year;
  const era = y / 400;
  const yoe = y - era * 400;
  const doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
  parsedSeconds = <u64>days * 86400 + hour * 3600 + minute * 60 + second;
  return true;
}

/** The value of one hexadecimal digit, or -1. */
export function nibble(b: u8): i32 {
  if (isDigit(b)) return b - 48;
  const lower = fold(b);
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

export function isDigest(s: Slice): bool {
  if (lenOf(s) != 64) return false;
  for (let i = 0; i < 64; i++) if (nibble(load<u8>(ptrOf(s) + i)) < 0) return false;
  return true;
}

/** One to three non-empty segments, at most 96 bytes in all. */
export function isSubject(s: Slice): bool {
  const len = lenOf(s);
  if (len == 0 || len > 96) return false;
  let segments = 1;
  let size = 0;
  for (let i = 0; i < len; i++) {
    const b = load<u8>(ptrOf(s) + i);
    if (b == 47) {
      if (size == 0 || ++segments > 3) return false;
      size = 0;
    } else if (isOfSubject(b)) size++;
    else return false;
  }
  return size > 0;
}

/** Whether a subject is of the organisation of those who call without a key. */
export function isOfAnonymous(subject: Slice): bool {
  return is(subject, "anonymous") || startsWith(subject, "anonymous/");
}

/** Whether a segment of a subject may have this byte. */
export function isOfSubject(b: u8): bool {
  const lower = fold(b);
  return isDigit(b) || (lower >= 97 && lower <= 122) || b == 46 || b == 95 || b == 45;
}
