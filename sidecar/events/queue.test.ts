/** A queue never makes its caller wait, loses nothing that it can deliver, and says what it lost. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { type Outcome, Queue, type QueueOptions } from "./queue.ts";

function counting(options: Omit<QueueOptions<number>, "onOutcome">) {
  const counts: Record<Outcome, number> = { delivered: 0, dropped: 0, failed: 0 };
  const queue = new Queue<number>({
    ...options,
    onOutcome: (outcome, count) => {
      counts[outcome] += count;
    },
  });
  return { queue, counts };
}

describe("a queue", () => {
  it("delivers in order, so many at a time", async () => {
    const got: number[][] = [];
    const { queue, counts } = counting({
      max: 100,
      batch: 4,
      deliver: async (items) => void got.push([...items]),
    });
    for (let i = 0; i < 10; i++) queue.push(i);
    await queue.close(1_000);
    assert.deepEqual(got.flat(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.ok(got.every((items) => items.length <= 4));
    assert.deepEqual(counts, { delivered: 10, dropped: 0, failed: 0 });
  });

  it("goes on whenever the next item comes", async () => {
    const got: number[] = [];
    const { queue } = counting({ max: 100, deliver: async (items) => void got.push(...items) });
    for (let i = 0; i < 200; i++) {
      queue.push(i);
      if (i % 3 === 0) await Promise.resolve();
      if (i % 7 === 0) await turn();
    }
    await queue.close(1_000);
    assert.equal(got.length, 200);
  });

  it("takes no more than it may hold while a delivery hangs, and drops the rest at once", async () => {
    const { queue, counts } = counting({ max: 5, deliver: () => new Promise(() => {}) });
    for (let i = 0; i < 20; i++) queue.push(i);
    assert.equal(counts.dropped, 14, "one is under way, five wait");
    await queue.close(20);
    assert.equal(counts.dropped, 19);
  });

  it("holds fewer items when they are large", async () => {
    let go = () => {};
    const { queue, counts } = counting({
      max: 100,
      chars: (item) => item,
      deliver: () =>
        new Promise((resolve) => {
          go = resolve;
        }),
    });
    const third = Math.floor((1 << 24) / 3);
    queue.push(1);
    for (let i = 0; i < 5; i++) queue.push(third);
    assert.equal(counts.dropped, 2, "three wait");
    assert.ok(queue.used > 0.99);
    go();
    while (counts.delivered < 1) await turn();
    queue.push(third);
    assert.equal(counts.dropped, 2, "what is on its way does not wait");
    await queue.close(20);
  });

  it("tries a delivery again, with growing waits, and gives it up at last", async () => {
    const at: number[] = [];
    const { queue, counts } = counting({
      max: 5,
      attempts: 3,
      backoffMs: 20,
      deliver: async () => {
        at.push(performance.now());
        throw new Error("no");
      },
    });
    queue.push(1);
    while (counts.failed === 0) await sleep(5);
    assert.equal(at.length, 3);
    assert.ok((at[2] as number) - (at[1] as number) >= 19, "the second wait is at least half of 40 ms");
  });

  it("delivers what is left when it closes, without waiting for a next attempt", async () => {
    let calls = 0;
    const { queue, counts } = counting({
      max: 5,
      attempts: 10,
      backoffMs: 60_000,
      deliver: async () => {
        if (++calls === 1) throw new Error("no");
      },
    });
    queue.push(1);
    queue.push(2);
    await turn();
    const started = performance.now();
    await queue.close(5_000);
    assert.ok(performance.now() - started < 4_000);
    assert.deepEqual(counts, { delivered: 2, dropped: 0, failed: 0 });
    queue.push(3);
    assert.equal(counts.dropped, 1);
  });

  it("says of each item what became of it", async () => {
    const told: string[] = [];
    const queue = new Queue<string>({
      max: 3,
      deliver: async ([item]) => {
        if (item === "bad") throw new Error("refused");
        if (item === "endless") await new Promise(() => {});
      },
    });
    for (const item of ["good", "bad", "endless", "late", "too many"])
      queue.push(item, (outcome) => void told.push(`${item}: ${outcome}`));
    await queue.close(100);
    queue.push("closed", (outcome) => void told.push(`closed: ${outcome}`));
    assert.deepEqual(told, [
      "too many: dropped",
      "good: delivered",
      "bad: failed",
      "late: dropped",
      "closed: dropped",
    ]);
  });
});
