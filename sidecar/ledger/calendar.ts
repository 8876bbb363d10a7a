/**
 * Which window an instant lies in: hours, days, weeks (from Monday) and billing months, in an IANA time zone.
 *
 * A window is a half-open interval [start, end) of UTC milliseconds, and the windows of one kind partition time: every
 * instant lies in exactly one, whatever the zone does. Boundaries are defined by instants, not by wall clocks, because
 * wall clocks skip and repeat:
 *   - a day begins at the *first* instant whose local date is that day or later. A midnight that DST skips begins at the
 *     jump; one that happens twice begins the first time; a date that a zone never had (Samoa, 2011-12-30) is empty.
 *   - weeks and months begin where the day of their first date begins.
 *   - an hour is cut at whole local hours; a zone shift that is no multiple of an hour (Lord Howe: 30 min) cuts as well.
 * The zone data are those of Node's ICU. Results are cached per (window, zone, billing day): the last one, at most 1,024.
 */
import type { Window } from "./types.ts";

export interface Span {
  /** Milliseconds since the epoch, inclusive. */
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export interface WindowSpec {
  readonly window: Window;
  /** IANA name. */
  readonly timeZone: string;
  /** 1 … 31; used by months only, and cut to the length of a shorter month. */
  readonly billingDay: number;
}

const HOUR = 3_600_000;
const DAY = 86_400_000;
const CACHE_MAX = 1_024;

const formatters = new Map<string, Intl.DateTimeFormat | null>();

function formatter(timeZone: string): Intl.DateTimeFormat | null {
  let found = formatters.get(timeZone);
  if (found === undefined) {
    try {
      found = new Intl.DateTimeFormat("en-US", {
        timeZone,
        hourCycle: "h23",
        year: "numeric",
        month: "numeric",
        day: "numeric",
        hour: "numeric",
        minute: "numeric",
        second: "numeric",
      });
    } catch {
      found = null;
    }
    if (formatters.size >= CACHE_MAX) formatters.clear();
    formatters.set(timeZone, found);
  }
  return found;
}

/** What is longer than any name is not looked up, as what was looked up is kept. */
const NAME = /^[a-z][\w+/-]{0,63}$/i;

/** Whether it is an IANA name. An offset such as `+02:00` is none, though newer versions of Node would take it. */
export function isTimeZone(name: string): boolean {
  return NAME.test(name) && formatter(name) !== null;
}

/** Local wall clock minus UTC at an instant, in ms. */
function offsetAt(timeZone: string, at: number): number {
  if (timeZone === "UTC") return 0;
  const format = formatter(timeZone);
  if (format === null) throw new RangeError(`no time zone ${timeZone}`);
  const part: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(at)) part[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1_000) * 1_000;
}

/** The first instant in (before, after] with another offset than `before`, given that `after` has another. */
function transition(timeZone: string, before: number, after: number): number {
  const old = offsetAt(timeZone, before);
  let low = before;
  let high = after;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(timeZone, middle) === old) low = middle;
    else high = middle;
  }
  return high;
}

/** The first instant whose local date is `date` (UTC midnight of that date, in ms) or later. */
function startOfDate(timeZone: string, date: number): number {
  const before = offsetAt(timeZone, date - DAY);
  const after = offsetAt(timeZone, date + DAY);
  const early = date - Math.max(before, after);
  const late = date - Math.min(before, after);
  if (early === late) return early;
  // One zone shift lies near: midnight is at whichever reading is true, the first of them if both are.
  if (date - offsetAt(timeZone, early) === early) return early;
  if (date - offsetAt(timeZone, late) === late) return late;
  return transition(timeZone, early, late);
}

function hourAt(timeZone: string, now: number): Span {
  const offset = offsetAt(timeZone, now);
  const into = (((now + offset) % HOUR) + HOUR) % HOUR;
  let start = now - into;
  let end = start + HOUR;
  if ((offsetAt(timeZone, start) - offset) % HOUR !== 0) start = transition(timeZone, start, now);
  if ((offsetAt(timeZone, end - 1) - offset) % HOUR !== 0) end = transition(timeZone, now, end - 1);
  return { start, end };
}

/** The first date (UTC midnight, ms) of the period that is `shift` periods after the one of `date`. */
function firstDate(spec: WindowSpec, date: number, shift: number): number {
  if (spec.window === "day") return date + shift * DAY;
  if (spec.window === "week") return date - ((new Date(date).getUTCDay() + 6) % 7) * DAY + shift * 7 * DAY;
  const day = new Date(date);
  const first = (month: number): number => {
    const length = new Date(Date.UTC(day.getUTCFullYear(), month + 1, 0)).getUTCDate();
    return Date.UTC(day.getUTCFullYear(), month, Math.min(spec.billingDay, length));
  };
  const month = day.getUTCMonth();
  return first(first(month) <= date ? month + shift : month - 1 + shift);
}

function dateWindowAt(spec: WindowSpec, now: number): Span {
  const zone = spec.timeZone;
  const date = Math.floor((now + offsetAt(zone, now)) / DAY) * DAY;
  // The local date can be one off next to a shift around midnight, and a skipped date is an empty window.
  for (const shift of [0, 1, -1, 2, -2]) {
    const start = startOfDate(zone, firstDate(spec, date, shift));
    const end = startOfDate(zone, firstDate(spec, date, shift + 1));
    if (start <= now && now < end) return { start, end };
  }
  throw new RangeError(`no ${spec.window} window at ${now} in ${zone}`);
}

const cache = new Map<string, Span>();

/** The window that `now` (UTC ms) lies in. Throws RangeError for an unknown zone. */
export function windowAt(spec: WindowSpec, now: number): Span {
  const key = `${spec.window} ${spec.window === "month" ? spec.billingDay : 0} ${spec.timeZone}`;
  const known = cache.get(key);
  if (known !== undefined && known.start <= now && now < known.end) return known;
  const found = spec.window === "hour" ? hourAt(spec.timeZone, now) : dateWindowAt(spec, now);
  if (cache.size >= CACHE_MAX) cache.clear();
  cache.set(key, found);
  return found;
}
