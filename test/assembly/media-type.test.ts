import assert from "node:assert/strict";
import { test } from "node:test";
import { leaf } from "../support/leaf.ts";

const { exports, reserve, write, takeSteps } = await leaf("test/assembly/media-type.entry.ts", {
  steps: true,
});
/** What Envoy takes of all headers together. */
const HEADERS_MAX = 60 << 10;
const at = reserve(HEADERS_MAX);
const says = (type: string): boolean => {
  write(at, Buffer.from(type));
  return exports.says(at, type.length) === 1;
};

test("JSON is told among any types, by the ends of their names", () => {
  for (const type of [
    "application/json",
    "a/b, text/JSON ;c=d",
    "a/b;c=d,e/f+json",
    ",a/b,\tc/json,",
    "a;b,c/json;d,e",
  ])
    assert.equal(says(type), true, type);
  for (const type of [
    "",
    ",",
    ";",
    "json",
    "a/b;c=/json",
    "application/jsonl",
    "a/json5",
    "a/b;x,y",
    ";/json",
  ])
    assert.equal(says(type), false, type);
});

test("a header of any number of types is read once", () => {
  for (const unit of [",", "a,", ",;", "a/b;c,", ";"]) {
    const type = unit.repeat(HEADERS_MAX / unit.length);
    takeSteps();
    assert.equal(says(type), false);
    const steps = takeSteps();
    assert.ok(steps < 20 * HEADERS_MAX, `${unit}: ${steps}`);
  }
});
