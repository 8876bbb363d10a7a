// The ring of events under random pushes, reports and acknowledgements: what is in it is what was put in last, in order and
// whole, and every event is delivered, dropped, in flight or waiting.
import assert from "node:assert/strict";
import { test } from "node:test";
import { leaf } from "../../support/leaf.ts";

const LENGTH_MAX = 12 << 10;
const STEPS = 20_000;

/** Deterministic, so that a failure can be had again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

for (const [what, longest] of [
  ["small events", 400],
  ["events of every size", LENGTH_MAX],
] as const)
  test(`a ring keeps its newest events, whole and in order: ${what}`, async () => {
    const { exports: ring, reserve, write, read } = await leaf("test/assembly/events/ring.entry.ts");
    const input = reserve(LENGTH_MAX);
    const below = random(longest);
    const lengths: number[] = [0];
    let delivered = 0n;
    let sentTo = 0n;

    const check = () => {
      let record = 0;
      for (let number = ring.first(); number < ring.next(); number++) {
        record = ring.after(record);
        const length = lengths[Number(number)]!;
        assert.equal(ring.eventLength(record), length);
        assert.equal(ring.endAt(record), number);
        const bytes = read(ring.eventAt(record), length);
        assert.ok(
          bytes.every((byte) => byte === Number(number % 251n)),
          `event ${number} is whole`,
        );
      }
    };

    for (let step = 0; step < STEPS; step++) {
      const act = below(100);
      if (act < 97) {
        const number = ring.next() as bigint;
        const length = 1 + below(longest);
        lengths.push(length);
        write(input, new Uint8Array(length).fill(Number(number % 251n)));
        const [lost, held] = [ring.dropped() + ring.overtaken(), ring.bytes()];
        ring.push(input, length, number);
        assert.equal(ring.next(), number + 1n);
        if (ring.dropped() + ring.overtaken() > lost)
          assert.ok(held > ring.BYTES.value - 2 * (longest + 24), `dropped with ${held} bytes in it`);
      } else if (sentTo === 0n && ring.next() > ring.first()) {
        const count = 1 + below(Math.min(50, Number(ring.next() - ring.first())));
        sentTo = ring.first() + BigInt(count) - 1n;
        ring.send(count);
      } else if (sentTo !== 0n) {
        const acknowledged = below(3) > 0;
        if (acknowledged)
          delivered += ring.overtaken() + (sentTo >= ring.first() ? sentTo - ring.first() + 1n : 0n);
        ring.settle(acknowledged ? sentTo : 0n);
        sentTo = 0n;
      }
      const gone = ring.first() - 1n;
      assert.equal(delivered + ring.dropped() + ring.overtaken(), gone, `step ${step}`);
      if (step % 500 === 0) check();
    }
    check();
    assert.ok(ring.dropped() > 0n && delivered > 0n);
  });
