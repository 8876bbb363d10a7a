// The statistics: against plain sums, and what outliers do to them.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  addTo,
  deviationOf,
  mergeInto,
  noMoments,
  Ring,
  robust,
  stabilised,
  unstabilised,
} from "./statistics.ts";
import { randomOf } from "./traffic.fixture.ts";

const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const values = fc.array(value, { minLength: 2, maxLength: 200 });
const close = (a: number, b: number, scale: number) =>
  assert.ok(Math.abs(a - b) <= 1e-9 * (1 + scale), `${a} ${b}`);

function plain(list: number[]): { mean: number; deviation: number } {
  const mean = list.reduce((sum, one) => sum + one, 0) / list.length;
  const squares = list.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (list.length - 1)) };
}

test("running moments are those of the whole list, however it is cut", () => {
  fc.assert(
    fc.property(values, fc.nat(), (list, cut) => {
      const [left, right] = [noMoments(), noMoments()];
      for (const [i, one] of list.entries()) addTo(i < cut % list.length ? left : right, one);
      mergeInto(left, right);
      const { mean, deviation } = plain(list);
      const scale = Math.max(...list.map(Math.abs));
      close(left.mean, mean, scale);
      close(deviationOf(left), deviation, scale * 10);
      assert.equal(left.n, list.length);
    }),
  );
});

test("the same value several times is as if it were added several times", () => {
  fc.assert(
    fc.property(values, value, fc.integer({ min: 1, max: 50 }), (list, one, times) => {
      const [at_once, singly] = [noMoments(), noMoments()];
      for (const each of list) for (const moments of [at_once, singly]) addTo(moments, each);
      addTo(at_once, one, times);
      for (let i = 0; i < times; i++) addTo(singly, one);
      close(at_once.mean, singly.mean, 1e6);
      close(deviationOf(at_once), deviationOf(singly), 1e7);
    }),
  );
});

test("fewer than half of the values cannot move median and deviation out of the others' range", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 5, maxLength: 60 }),
      (list) => {
        const outliers = Array.from({ length: Math.floor((list.length - 1) / 2) }, () => 1e9);
        const { mean, deviation } = robust([...list, ...outliers]);
        assert.ok(mean >= 0 && mean <= 10, String(mean));
        assert.ok(deviation <= 1.4826 * 10 + 1e-9, String(deviation));
      },
    ),
  );
});

test("on its scale a Poisson count has a deviation of about 1, whatever its mean", () => {
  const random = randomOf(7);
  for (const mean of [4, 20, 45]) {
    const moments = noMoments();
    for (let i = 0; i < 20_000; i++) {
      let count = 0;
      for (let product = random(); product > Math.exp(-mean); count++) product *= random();
      addTo(moments, stabilised(count));
    }
    assert.ok(Math.abs(deviationOf(moments) - 1) < 0.05, `${mean}: ${deviationOf(moments)}`);
  }
});

test("the scale keeps order and can be undone", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (x) => {
      close(unstabilised(stabilised(x)), x, x);
      assert.ok(stabilised(x + 1) > stabilised(x));
    }),
  );
  assert.equal(unstabilised(0), 0);
});

test("a ring keeps the last values", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 1000 }), { maxLength: 30 }), (list) => {
      const ring = new Ring(8);
      for (const one of list) ring.push(one);
      const sorted = (numbers: ArrayLike<number>) => Array.from(numbers).sort((a, b) => a - b);
      assert.deepEqual(sorted(ring.values()), sorted(list.slice(-8)));
    }),
  );
});
