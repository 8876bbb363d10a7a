import assert from "node:assert/strict";
import { test } from "node:test";
import { leaf } from "../support/leaf.ts";

const { exports, reserve, write, text } = await leaf("test/assembly/writer.entry.ts");

const written = (s: bigint) => text(Number(s >> 32n), Number(s & 0xffffffffn));

test("JSON text is escaped so that JSON.parse gives it back", () => {
  const ptr = reserve(64);
  for (const s of ['a"b\\c', "line\nbreak\u0001", "ünï ☃ 😀"]) {
    const bytes = Buffer.from(s);
    write(ptr, bytes);
    assert.equal(JSON.parse(`"${written(exports.writeJson(ptr, bytes.length))}"`), s);
  }
});

test("numbers are written whole up to the ends of their ranges", () => {
  assert.equal(written(exports.writeNumbers(0n, -1n)), "0 -1");
  assert.equal(
    written(exports.writeNumbers(18446744073709551615n, -9223372036854775808n)),
    "18446744073709551615 -9223372036854775808",
  );
});

test("a write past the capacity sets overflow and leaves what fitted", () => {
  const bytes = Buffer.from("x".repeat(100));
  const ptr = reserve(100);
  write(ptr, bytes);
  assert.equal(written(exports.writeJson(ptr, 100)), "x".repeat(64));
  assert.equal(exports.overflowed(), 1);
});
