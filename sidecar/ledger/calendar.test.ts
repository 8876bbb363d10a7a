/**
 * The calendar against an oracle that knows nothing of offsets: it walks through time in steps and only asks Intl for
 * local dates. Plus the cases by name that zones have really had.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isTimeZone, windowAt } from "./calendar.ts";
import type { Window } from "./types.ts";

const ZONES = [
  ...["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu"],
  ...[
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Cairo",
    "Asia/Beirut",
    "America/Havana",
    "America/St_Johns",
  ],
];
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;

const formatters = new Map<string, Intl.DateTimeFormat>();

function localDate(zone: string, at: number): string {
  let format = formatters.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-CA", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
    });
    formatters.set(zone, format);
  }
  return format.format(at);
}

/** The first instant, to the minute, at which the local date is `date` or later. */
function oracleStart(zone: string, date: string): number {
  let at = Date.parse(date) - 30 * HOUR;
  // All shifts of these zones since 2000 lie on whole minutes, and no date comes back after more than an hour.
  while (localDate(zone, at) < date) at += HOUR;
  // It may have come for a minute and gone again between two of these steps.
  at -= 2 * HOUR;
  while (localDate(zone, at) < date) at += MINUTE;
  return at;
}

function iso(year: number, month: number, day: number): string {
  return new Date(Date.UTC(year, month, day)).toISOString().slice(0, 10);
}

/** First dates of periods around a local date, in order. */
function oracleFirstDates(window: Window, billingDay: number, date: string): string[] {
  const [year = 0, month = 0, day = 0] = date.split("-").map(Number);
  const out: string[] = [];
  if (window === "month")
    for (let m = month - 3; m <= month + 2; m++) {
      const length = new Date(Date.UTC(year, m + 1, 0)).getUTCDate();
      out.push(iso(year, m, Math.min(billingDay, length)));
    }
  else
    for (let d = day - 15; d <= day + 15; d++) {
      const monday = new Date(Date.UTC(year, month - 1, d)).getUTCDay() === 1;
      if (window === "day" || monday) out.push(iso(year, month - 1, d));
    }
  return out;
}

function oracle(
  window: Window,
  zone: string,
  billingDay: number,
  now: number,
): { start: number; end: number } {
  const starts = oracleFirstDates(window, billingDay, localDate(zone, now)).map((date) =>
    oracleStart(zone, date),
  );
  const start = Math.max(...starts.filter((at) => at <= now));
  const end = Math.min(...starts.filter((at) => at > now));
  return { start, end };
}

const at = (text: string): number => Date.parse(text);
const instants = fc.integer({ min: at("2005-01-01T00:00Z"), max: at("2037-01-01T00:00Z") });
const zones = fc.constantFrom(...ZONES);

describe("the calendar", () => {
  it("agrees with the oracle on days, weeks and months", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Window>("day", "week", "month"),
        zones,
        fc.integer({ min: 1, max: 31 }),
        instants,
        (window, timeZone, billingDay, now) => {
          assert.deepEqual(
            windowAt({ window, timeZone, billingDay }, now),
            oracle(window, timeZone, billingDay, now),
          );
        },
      ),
      // St John's put its clocks back at one minute past midnight.
      { numRuns: 60, examples: [["day", "America/St_Johns", 1, at("2010-11-06T02:30Z")]] },
    );
  });

  it("partitions time: a window's neighbours begin and end where it ends and begins", () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Window>("hour", "day", "week", "month"),
        zones,
        fc.integer({ min: 1, max: 31 }),
        instants,
        (window, timeZone, billingDay, now) => {
          const spec = { window, timeZone, billingDay };
          const { start, end } = windowAt(spec, now);
          assert.ok(start <= now && now < end);
          assert.equal(windowAt(spec, end).start, end);
          assert.equal(windowAt(spec, start - 1).end, start);
          assert.deepEqual(windowAt(spec, start), { start, end });
          assert.deepEqual(windowAt(spec, end - 1), { start, end });
          if (window === "hour") assert.ok(end - start <= HOUR);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("keeps nothing of what is no name of a zone, however long that is, and knows all names", (t) => {
    for (const name of [...Intl.supportedValuesOf("timeZone"), "UTC", "Etc/GMT+12", "europe/berlin"])
      assert.ok(isTimeZone(name), name);
    const asked = t.mock.method(Intl, "DateTimeFormat");
    for (const name of ["", "+02:00", "Europe/Berlin\0", "é", "x".repeat(1 << 20)])
      assert.ok(!isTimeZone(name));
    assert.equal(asked.mock.callCount(), 0);
    assert.ok(!isTimeZone("Mars/Base"));
    assert.equal(asked.mock.callCount(), 1);
  });

  const day = (timeZone: string, now: string) =>
    windowAt({ window: "day", timeZone, billingDay: 1 }, at(now));
  const length = ({ start, end }: { start: number; end: number }): number => (end - start) / HOUR;

  it("has days of 23 and 25 hours where the clocks change", () => {
    assert.equal(length(day("Europe/Berlin", "2026-03-29T12:00Z")), 23);
    assert.equal(length(day("Europe/Berlin", "2026-10-25T12:00Z")), 25);
    assert.equal(length(day("Australia/Lord_Howe", "2026-04-05T00:00Z")), 24.5);
  });

  const hour = (timeZone: string, now: string) =>
    windowAt({ window: "hour", timeZone, billingDay: 1 }, at(now));

  it("begins an hour with the zone's own", () => {
    const start = at("2026-05-01T10:15Z");
    assert.deepEqual(hour("Asia/Kathmandu", "2026-05-01T10:20Z"), { start, end: start + HOUR });
  });

  it("cuts an hour where a zone shift lies within it, and nowhere else", () => {
    const between = at("2026-04-04T15:00Z");
    assert.deepEqual(hour("Australia/Lord_Howe", "2026-04-04T14:59Z"), {
      start: between - HOUR,
      end: between,
    });
    const forward = at("2018-05-04T15:00Z");
    assert.deepEqual(hour("Asia/Pyongyang", "2018-05-04T14:59Z"), {
      start: forward - HOUR / 2,
      end: forward,
    });
    assert.deepEqual(hour("Asia/Pyongyang", "2018-05-04T15:00Z"), { start: forward, end: forward + HOUR });
    const back = at("2015-08-14T15:00Z");
    assert.deepEqual(hour("Asia/Pyongyang", "2015-08-14T14:59Z"), { start: back - HOUR, end: back });
    assert.deepEqual(hour("Asia/Pyongyang", "2015-08-14T15:10Z"), { start: back, end: back + HOUR / 2 });
  });

  it("begins a day whose midnight is skipped at the jump, and one whose midnight comes twice at the first", () => {
    assert.equal(day("America/Sao_Paulo", "2018-11-04T12:00Z").start, at("2018-11-04T03:00Z"));
    assert.equal(day("America/Havana", "2026-11-01T12:00Z").start, at("2026-11-01T04:00Z"));
    assert.equal(day("America/St_Johns", "2010-11-07T12:00Z").start, at("2010-11-07T02:30Z"));
  });

  it("knows that Samoa had no 30 December 2011", () => {
    assert.equal(day("Pacific/Apia", "2011-12-30T09:00Z").end, at("2011-12-30T10:00Z"));
    assert.equal(length(day("Pacific/Apia", "2011-12-30T11:00Z")), 24);
  });

  it("cuts the billing day to a shorter month and comes back to it", () => {
    const month = (now: string) => windowAt({ window: "month", timeZone: "UTC", billingDay: 31 }, at(now));
    assert.deepEqual(month("2027-02-28T00:00Z"), { start: at("2027-02-28"), end: at("2027-03-31") });
    assert.deepEqual(month("2027-02-27T23:59Z"), { start: at("2027-01-31"), end: at("2027-02-28") });
    assert.deepEqual(month("2028-02-29T00:00Z"), { start: at("2028-02-29"), end: at("2028-03-31") });
  });

  it("starts weeks on Monday", () => {
    const week = windowAt({ window: "week", timeZone: "UTC", billingDay: 1 }, at("2026-11-22T23:00Z"));
    assert.deepEqual(week, { start: at("2026-11-16"), end: at("2026-11-16") + 7 * DAY });
  });
});
