import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { type Deadline, DeadlineHeap } from "./heap.ts";

const ordered = (a: Deadline, b: Deadline): number => a.at - b.at || (a.id < b.id ? -1 : 1);

it("a heap gives what is due first, and of the same time the first by its id, whenever it is asked", () => {
  fc.assert(
    // A number pushes a deadline, null takes one.
    fc.property(fc.array(fc.option(fc.nat({ max: 9 })), { maxLength: 60 }), (steps) => {
      const heap = new DeadlineHeap();
      let expected: Deadline[] = [];
      for (const [i, at] of [...steps, ...steps.map(() => null)].entries()) {
        if (at === null) {
          assert.deepEqual(heap.pop(), expected[0]);
          expected = expected.slice(1);
        } else {
          // Ids in another order than they come.
          const item = { at, id: String((i * 37) % 101) };
          heap.push(item);
          expected = [...expected, item].sort(ordered);
        }
        assert.deepEqual(heap.peek(), expected[0]);
      }
    }),
  );
});
