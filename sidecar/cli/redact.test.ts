// The command's detectors: offsets in code points, many spans, and the limits of a text.
import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import { test } from "node:test";
import { compile } from "../../test/support/leaf.ts";
import { detector, run } from "./redact.ts";

const spansOf = detector(await compile("assembly/redact/tool.ts"));

test("spans are given in code points", () => {
  const text = "😀 é bob@example.com, 10.0.0.1";
  const points = [...text];
  const spans = spansOf(text).map(({ start, end, type }) => [points.slice(start, end).join(""), type]);
  assert.deepEqual(spans, [
    ["bob@example.com", "EMAIL"],
    ["10.0.0.1", "IP"],
  ]);
});

test("a text may hold more spans than one call lists", () => {
  const text = Array.from({ length: 9000 }, (_, i) => `u${i}@x.example`).join(" ");
  const spans = spansOf(text);
  assert.equal(spans.length, 9000);
  assert.equal(text.slice(spans[8999]?.start, spans[8999]?.end), "u8999@x.example");
});

test("a text that is too long is refused", () => {
  assert.throws(() => spansOf("x".repeat((1 << 20) + 1)), /longer than 1048576 bytes/);
});

test("of a text or a line that is too long the line is told", async () => {
  const input = ['{"id":1,"text":"hi"}\n', `{"id":2,"text":"${"x".repeat((1 << 20) + 1)}"}\n`];
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  await assert.rejects(
    run(["--jsonl"], Readable.from(input), nowhere),
    /^WeirError: line 2: a text is longer/,
  );
  await assert.rejects(
    run(["--jsonl"], Readable.from([...Array(33).fill("x".repeat(1 << 20)), "\n"]), nowhere),
    /^WeirError: line 1: longer than 33554432 bytes/,
  );
});
