// The conformance corpus (test/conformance/json, one case a file) on both builds, whole and split.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { eventsOf, openJson } from "./support.ts";

const DEPTH = 64;
const dir = fileURLToPath(new URL("../../conformance/json/", import.meta.url));
const files = readdirSync(dir).sort();

/** What RFC 8259 leaves open, and what Weir does: the error's name, or "accept". */
const CHOICES: [RegExp, string][] = [
  [/^either_mark_/, "ByteOrderMark"],
  [/^either_duplicate_/, "DuplicateKey"],
  [/^either_lone_/, "LoneSurrogate"],
  [/^either_depth_/, "TooDeep"],
  [/^either_(number|escaped|noncharacter|proto|keys)_/, "accept"],
];

for (const scalar of [false, true]) {
  const json = await openJson(scalar);
  const build = scalar ? "scalar" : "SIMD";

  test(`every file of the corpus is judged as its name says (${build})`, () => {
    assert.ok(files.length > 250);
    for (const file of files) {
      const code = json.tape(readFileSync(dir + file), DEPTH).error;
      if (file.startsWith("accept_")) assert.equal(code, "None", file);
      else if (file.startsWith("reject_")) assert.notEqual(code, "None", file);
      else {
        const choice = CHOICES.find(([pattern]) => pattern.test(file));
        assert.ok(choice, `${file} has no documented choice`);
        assert.equal(code === "None" ? "accept" : code, choice[1], file);
      }
    }
  });

  test(`JSON.parse agrees wherever the RFC decides (${build})`, () => {
    for (const file of files.filter((name) => !name.startsWith("either_"))) {
      let accepted = true;
      try {
        JSON.parse(
          new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(readFileSync(dir + file)),
        );
      } catch {
        accepted = false;
      }
      assert.equal(accepted, file.startsWith("accept_"), file);
    }
  });

  test(`every file gives the same events however it is split (${build})`, () => {
    for (const file of files) {
      const bytes = readFileSync(dir + file);
      const whole = eventsOf(json, [bytes], DEPTH);
      const cuts = bytes.length > 2000 ? [1, 17, 1000] : bytes.keys();
      for (const cut of cuts) {
        const split = eventsOf(json, [bytes.subarray(0, cut), bytes.subarray(cut)], DEPTH);
        assert.deepEqual(split, whole, `${file} cut at ${cut}`);
      }
      if (bytes.length > 2000) continue;
      const single = eventsOf(
        json,
        Array.from(bytes, (b) => Uint8Array.of(b)),
        DEPTH,
      );
      assert.deepEqual(single, whole, `${file} byte by byte`);
    }
  });
}
