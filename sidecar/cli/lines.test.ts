import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { LINE_BYTES_MAX, linesOf, Unread } from "./lines.ts";

const read = async (chunks: (string | Uint8Array)[]) => {
  const found: (string | Unread)[] = [];
  for await (const line of linesOf(Readable.from(chunks))) found.push(line);
  return found;
};

test("lines are the same however the input is cut, without ends of either kind and without a mark before the first", async () => {
  const bytes = Buffer.from("\uFEFFeins\r\nzwei\n\n\uFEFFdreí");
  for (let at = 0; at <= bytes.length; at++)
    assert.deepEqual(await read([bytes.subarray(0, at), bytes.subarray(at)]), [
      "eins",
      "zwei",
      "",
      "\uFEFFdreí",
    ]);
});

test("a line that is too long stands in its place, and those after it are read", async () => {
  const piece = "x".repeat(1 << 20);
  const long = Array.from({ length: (LINE_BYTES_MAX >> 20) + 1 }, () => piece);
  assert.deepEqual(await read(["a\n", ...long, "\nb\n"]), [
    "a",
    new Unread("longer than 33554432 bytes"),
    "b",
  ]);
});

test("a line that is not UTF-8 stands in its place, and is not read as other letters", async () => {
  const latin1 = Buffer.from("M\u00fcller\n", "latin1");
  const wide = Buffer.from("\ufeffa", "utf16le");
  assert.deepEqual(await read(["a\n", latin1, "M\u00fcller\n", wide]), [
    "a",
    new Unread("not UTF-8"),
    "M\u00fcller",
    new Unread("not UTF-8"),
  ]);
});
