/** What Connect is given of a body; the calls themselves are tested by server.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inOnePiece } from "./connect.ts";

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) yield Uint8Array.of(i);
}

const lengths = async (count: number, bytesMax: number): Promise<number[]> => {
  const given: number[] = [];
  for await (const piece of inOnePiece(pieces(count), bytesMax)) given.push(piece.length);
  return given;
};

test("a body that comes byte by byte is taken apart once, and not anew with each of them", async () => {
  assert.deepEqual(await lengths(0, 100), []);
  assert.deepEqual(await lengths(105, 100), [105]);
});

test("a body that is too large is given on as soon as it is", async () => {
  assert.deepEqual((await lengths(300, 100))[0], 106);
});
