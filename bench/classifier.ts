// How fast the classifier reads: ns per byte of normalised text, single thread, on ordinary prose and on code, at
// the sizes of a chat turn and of a long body. The pack is the committed one.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { leaf } from "../test/support/leaf.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const ROUNDS = 7;
const BYTES_PER_ROUND = 8 << 20;

const texts: Record<string, string> = {
  prose: readFileSync(join(root, "training/hard/en.txt"), "utf8"),
  code: readFileSync(join(root, "assembly/inspect/classifier.ts"), "utf8"),
  russian: readFileSync(join(root, "training/hard/ru.txt"), "utf8"),
  chinese: readFileSync(join(root, "training/hard/zh.txt"), "utf8"),
};

for (const scalar of [false, true]) {
  const { exports, reserve, write } = await leaf("test/assembly/inspect/classifier.entry.ts", { scalar });
  const pack = readFileSync(join(root, "packs/classifier/weights.bin"));
  const packAt = reserve(pack.length);
  write(packAt, pack);
  if (!exports.loadPack(packAt, pack.length)) throw new Error("packs/classifier/weights.bin is refused");
  const at = reserve(32768);
  for (const size of [256, 1024, 32768]) {
    for (const [name, text] of Object.entries(texts)) {
      const bytes = Buffer.from(text.repeat(Math.ceil(size / text.length))).subarray(0, size);
      write(at, bytes);
      const calls = Math.floor(BYTES_PER_ROUND / size);
      let best = Number.POSITIVE_INFINITY;
      for (let round = 0; round < ROUNDS; round++) {
        const started = performance.now();
        for (let i = 0; i < calls; i++) exports.scoreText(at, size);
        best = Math.min(best, ((performance.now() - started) * 1e6) / (calls * size));
      }
      const rate = (1e3 / best).toFixed(0).padStart(5);
      const mode = scalar ? "scalar" : "simd  ";
      console.log(
        `${mode} ${name.padEnd(8)} ${String(size).padStart(6)} B  ${best.toFixed(2)} ns/B  ${rate} MB/s`,
      );
    }
  }
}
