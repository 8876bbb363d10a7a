/** What of a report is new, whatever comes twice, late, with an overlap or after a gap. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arrivals } from "./arrivals.ts";

describe("arrivals", () => {
  it("take a report once, whatever comes again", () => {
    const arrivals = new Arrivals();
    assert.deepEqual(arrivals.take(7n, 1n, 3, 0n), { known: 0, lost: 0, taken: 3n });
    assert.deepEqual(arrivals.take(7n, 1n, 3, 0n), { known: 3, lost: 0, taken: 3n });
    // Made again with what came since.
    assert.deepEqual(arrivals.take(7n, 1n, 5, 0n), { known: 3, lost: 0, taken: 5n });
    // The first one, late.
    assert.deepEqual(arrivals.take(7n, 1n, 2, 0n), { known: 2, lost: 0, taken: 5n });
    assert.deepEqual(arrivals.take(7n, 6n, 1, 0n), { known: 0, lost: 0, taken: 6n });
  });

  it("count what an edge had to drop", () => {
    const arrivals = new Arrivals();
    arrivals.take(7n, 1n, 3, 0n);
    assert.deepEqual(arrivals.take(7n, 10n, 2, 6n), { known: 0, lost: 6, taken: 11n });
    // That report once more, late, and the next one.
    assert.deepEqual(arrivals.take(7n, 3n, 2, 0n), { known: 2, lost: 0, taken: 11n });
    assert.deepEqual(arrivals.take(7n, 12n, 1, 6n), { known: 0, lost: 0, taken: 12n });
  });

  it("do not take for lost what another sidecar took", () => {
    const [one, other] = [new Arrivals(), new Arrivals()];
    const lost = [1n, 4n, 7n, 10n].map((first, i) => (i % 2 ? other : one).take(7n, first, 3, 0n).lost);
    assert.deepEqual(lost, [0, 0, 0, 0]);
    // Of five numbers that the one did not see two were dropped.
    assert.equal(one.take(7n, 15n, 1, 2n).lost, 2);
  });

  it("do not know what came before their own time", () => {
    assert.deepEqual(new Arrivals().take(7n, 500n, 2, 0n), { known: 0, lost: 0, taken: 501n });
  });

  it("tell edges apart, and forget the one that was silent longest", () => {
    const arrivals = new Arrivals(2);
    arrivals.take(1n, 1n, 1, 0n);
    arrivals.take(2n, 1n, 1, 0n);
    arrivals.take(1n, 2n, 1, 0n);
    arrivals.take(3n, 1n, 1, 0n);
    assert.equal(arrivals.take(1n, 1n, 2, 0n).known, 2);
    assert.equal(arrivals.take(2n, 1n, 1, 0n).known, 0);
  });

  it("acknowledge an empty report", () => {
    const arrivals = new Arrivals();
    arrivals.take(1n, 1n, 4, 0n);
    assert.deepEqual(arrivals.take(1n, 5n, 0, 0n), { known: 0, lost: 0, taken: 4n });
  });
});
