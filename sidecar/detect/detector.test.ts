// The detector: what it must keep for any rows, what history it judges by, its bounds, and how well it finds anomalies that
// were put into everyday traffic.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isEven } from "./classify.ts";
import { type Anomaly, Detector, MINUTE_MS, type UsageRow } from "./detector.ts";
import { randomOf, START_MS, type Traffic, traffic } from "./traffic.fixture.ts";

const row = (seconds: number, more: Partial<UsageRow> = {}): UsageRow => ({
  timeMs: START_MS + seconds * 1000,
  key: "k",
  requests: 1,
  tokens: 100,
  cost: 0,
  ...more,
});

function detect(rows: readonly UsageRow[]): Anomaly[] {
  const detector = new Detector();
  return [...rows.flatMap((one) => detector.add(one)), ...detector.finish()];
}

/** `perMinute` requests of a key in each of `minutes`, as one row a minute. */
const steady = (perMinute: number, minutes: number, more: Partial<UsageRow> = {}, from = 0) =>
  Array.from({ length: minutes }, (_, i) =>
    row((from + i) * 60, { requests: perMinute, tokens: 100 * perMinute, ...more }),
  );

describe("for any rows", () => {
  const rows = fc.array(
    fc.record({
      timeMs: fc.integer({ min: 0, max: 90 }).map((minute) => START_MS + minute * MINUTE_MS),
      key: fc.constantFrom("a", "b"),
      address: fc.constantFrom("192.0.2.1", "192.0.2.2"),
      requests: fc.integer({ min: 0, max: 400 }),
      tokens: fc.integer({ min: 0, max: 1_000_000 }),
      cost: fc.double({ min: 0, max: 10, noNaN: true }),
    }),
    { maxLength: 300 },
  );
  const ordered = rows.map((list) => list.sort((a, b) => a.timeMs - b.timeMs));

  test("the order of rows within a minute does not matter, nor how requests are added up", () => {
    fc.assert(
      fc.property(ordered, (list) => {
        const reversed = [...list].reverse().sort((a, b) => a.timeMs - b.timeMs);
        // Sets of keys and sums are the same; what a request usually takes is learned in the order of rows.
        const same = list.map((one) => ({ ...one, tokens: one.requests, cost: 0 }));
        const other = reversed.map((one) => ({ ...one, tokens: one.requests, cost: 0 }));
        const key = ({ startMs, lengthMs, kind, name, z }: Anomaly) =>
          `${startMs} ${lengthMs} ${kind} ${name} ${z.toFixed(9)}`;
        assert.deepEqual(detect(same).map(key).sort(), detect(other).map(key).sort());
      }),
      { numRuns: 50 },
    );
  });

  test("what comes later changes nothing that was found before", () => {
    fc.assert(
      fc.property(ordered, fc.nat(), (list, cut) => {
        const detector = new Detector();
        const before = list.slice(0, cut % (list.length + 1)).flatMap((one) => detector.add(one));
        const all = detect(list);
        assert.deepEqual(all.slice(0, before.length), before);
      }),
      { numRuns: 50 },
    );
  });

  test("an anomaly is at least three deviations above the usual, a page five, and lies on its window's grid", () => {
    fc.assert(
      fc.property(ordered, (list) => {
        for (const { startMs, lengthMs, value, usual, z, severity } of detect(list)) {
          assert.equal(startMs % lengthMs, 0);
          assert.ok(value > usual && z >= 0);
          if (severity === "warning") assert.ok(z < 5);
        }
      }),
      { numRuns: 50 },
    );
  });
});

test("a subject without any history, in a world without any, is not judged", () => {
  assert.deepEqual(detect(steady(500, 10)), []);
});

test("with an hour of history a burst is found in the minute and in the five minutes", () => {
  const found = detect([...steady(10, 60), ...steady(200, 1, {}, 60), ...steady(10, 10, {}, 61)]);
  assert.deepEqual(
    found.map(({ lengthMs, severity, class: named, basis }) => [
      lengthMs / MINUTE_MS,
      severity,
      named,
      basis,
    ]),
    [
      [1, "page", "flood", "recent"],
      [5, "page", "flood", "recent"],
    ],
  );
  assert.equal(found[0]?.value, 200);
  assert.ok(Math.abs((found[0]?.usual ?? 0) - 10) < 1);
});

test("an hour that is busy every day is not news on the second day, and one that is busy every week not in the second week", () => {
  const busyHours = (days: number[], until: number) =>
    Array.from({ length: until * 24 }, (_, hour) => {
      const busy = hour % 24 === 9 && days.includes(Math.floor(hour / 24) % 7);
      return steady(busy ? 100 : 4, 60, {}, hour * 60);
    }).flat();
  const onDay = (found: Anomaly[], day: number) =>
    found.filter(({ startMs }) => Math.floor((startMs - START_MS) / 86_400_000) === day);
  const daily = detect(busyHours([0, 1, 2, 3, 4, 5, 6], 3));
  assert.ok(onDay(daily, 0).length > 0, "the first time it is");
  assert.deepEqual(onDay(daily, 1), []);
  assert.deepEqual(onDay(daily, 2), []);
  const weekly = detect(busyHours([2], 10));
  assert.ok(onDay(weekly, 2).length > 0);
  assert.deepEqual(onDay(weekly, 9), []);
  const missed = detect([...busyHours([2], 9), ...steady(100, 5, {}, 9 * 1440 + 20 * 60)]);
  assert.ok(
    onDay(missed, 9).every(({ basis }) => basis === "hour of week") && onDay(missed, 9).length > 0,
    "at another hour of that day it is",
  );
});

test("an anomaly that goes on stays one until it is a habit", () => {
  const found = detect([...steady(10, 60), ...steady(100, 180, {}, 60)]);
  const minutes = found
    .filter(({ lengthMs }) => lengthMs === MINUTE_MS)
    .map(({ startMs }) => (startMs - START_MS) / MINUTE_MS);
  assert.ok(minutes.length >= 25 && minutes.length <= 60, `${minutes.length} minutes`);
});

test("one address with many keys is key walking, and so is one key from many addresses", () => {
  const everyday = Array.from({ length: 60 }, (_, minute) =>
    Array.from({ length: 20 }, (_, i) => row(minute * 60 + i, { key: `k${i}`, address: `192.0.2.${i}` })),
  ).flat();
  const walk = Array.from({ length: 30 }, (_, i) =>
    row(3_600 + i, { key: `guess-${i}`, address: "203.0.113.9" }),
  );
  const spread = Array.from({ length: 30 }, (_, i) =>
    row(3_600 + i, { key: "k3", address: `203.0.113.${100 + i}` }),
  );
  for (const [rows, kind, name] of [
    [walk, "address", "203.0.113.9"],
    [spread, "key", "k3"],
  ] as const) {
    const found = detect([...everyday, ...rows].sort((a, b) => a.timeMs - b.timeMs));
    const at = found.filter((one) => one.kind === kind && one.name === name);
    assert.ok(at.length > 0 && at.every((one) => one.class === "key_walking"), JSON.stringify(found));
    assert.equal(at[0]?.value, 30);
  }
});

test("requests that each take much more are a cost spike, also when there are as many as ever", () => {
  const found = detect([...steady(20, 60), ...steady(20, 1, { tokens: 60_000 }, 60)]);
  assert.deepEqual([...new Set(found.map((one) => `${one.class} ${one.measure}`))], ["cost_spike tokens"]);
});

test("rows up to a minute late still count, later ones are told", () => {
  const detector = new Detector();
  for (const one of steady(10, 60)) detector.add(one);
  detector.add(row(60 * 60 + 119, { requests: 0 }));
  detector.add(row(60 * 60 + 5, { requests: 300 }));
  assert.equal(detector.late, 0);
  assert.ok(detector.add(row(60 * 60 + 121, { requests: 0 })).some(({ value }) => value === 300));
  detector.add(row(60 * 60 + 6));
  assert.equal(detector.late, 1);
});

test("ten thousand addresses that come once are forgotten again, and the one that stays is not", () => {
  const detector = new Detector();
  const found: Anomaly[] = [];
  for (let minute = 0; minute < 100; minute++) {
    for (let i = 0; i < 100; i++)
      detector.add(row(minute * 60, { address: `a${minute * 100 + i}`, key: "" }));
    found.push(
      ...detector.add(row(minute * 60, { address: "stays", key: "", requests: minute === 99 ? 500 : 5 })),
    );
  }
  found.push(...detector.finish());
  assert.ok(detector.forgotten > 7_000, String(detector.forgotten));
  assert.deepEqual([...new Set(found.map(({ name }) => name))], ["stays"]);
  assert.equal(found[0]?.basis, "recent");
});

test("evenness is told from chance", () => {
  const random = randomOf(3);
  const chance = (perPart: number) =>
    Array.from({ length: 6 }, () => {
      let count = 0;
      for (let product = random(); product > Math.exp(-perPart); count++) product *= random();
      return count;
    });
  assert.ok(isEven([5, 5, 5, 6, 5, 5]));
  assert.ok(!isEven([0, 0, 0, 0, 0, 0]));
  assert.ok(!isEven([60, 0, 0, 0, 0, 0]));
  const taken = Array.from({ length: 2_000 }, () => isEven(chance(10))).filter(Boolean).length / 2_000;
  assert.ok(taken < 0.15, `${taken} of chance is taken for even`);
});

describe("anomalies in everyday traffic", () => {
  const overlaps = (one: Anomaly, fromMs: number, untilMs: number) =>
    one.startMs < untilMs && one.startMs + one.lengthMs > fromMs;
  const judge = ({ rows, injected }: Traffic) => {
    const found = detect(rows);
    const of = (one: Anomaly) =>
      injected.filter((put) => put.touched.has(one.name) && overlaps(one, put.fromMs, put.untilMs));
    const pages = found.filter(({ severity }) => severity === "page");
    const right = pages.filter((one) => of(one).length > 0);
    const hit = injected.filter((put) =>
      pages.some(
        (one) =>
          one.kind === put.kind &&
          one.name === put.name &&
          one.class === put.class &&
          overlaps(one, put.fromMs, put.untilMs),
      ),
    );
    const days = (rows.at(-1)!.timeMs - rows[0]!.timeMs) / 86_400_000;
    const subjects = new Set(rows.flatMap((one) => [one.address, one.key, one.organisation])).size;
    const windows = days * 1_440 * 1.2 * subjects;
    const falseAlarms = found.filter((one) => of(one).length === 0).length / windows;
    const named = right.filter((one) => of(one).some((put) => put.class === one.class)).length / right.length;
    return {
      precision: right.length / pages.length,
      recall: hit.length / injected.length,
      named,
      falseAlarms,
    };
  };

  for (const [seed, days, callers] of [
    [1, 2, 12],
    [2, 2, 12],
    [3, 8, 5],
  ] as const) {
    test(`${days} days of ${callers} callers, seed ${seed}: pages are right, all is found, and warnings are rare`, (t) => {
      const { precision, recall, named, falseAlarms } = judge(traffic(seed, days, callers, 4));
      t.diagnostic(
        `precision ${precision.toFixed(3)}, recall ${recall.toFixed(3)}, class ${named.toFixed(3)}, false alarms ${(100 * falseAlarms).toFixed(3)} % of windows`,
      );
      assert.ok(precision >= 0.95, `precision of pages ${precision}`);
      assert.ok(recall >= 0.95, `recall by page and class ${recall}`);
      assert.ok(named >= 0.8, `pages with the right class ${named}`);
      assert.ok(falseAlarms <= 0.005, `false alarms ${falseAlarms}`);
    });
  }
});
