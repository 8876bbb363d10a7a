// Turns texts into the classifier's features by the filter's own code: normaliser, decoded views and hashes run
// in the Wasm module, so what is trained on is what is served. A text is a bag of segments (its normal form and
// each of its views); a segment is a run of 64-byte blocks; a block is a run of slots (weight indices).
//
//   segments  [first block │ bytes]…   blocks  [first slot]…   slots  u32 …

import type { Sample } from "./train-corpus.ts";

/** The exports of the compiled feature module (test/assembly/inspect/classifier.entry.ts). */
export interface FeatureModule {
  exports: Record<string, (...args: never[]) => unknown>;
  memory: WebAssembly.Memory;
  reserve(size: number): number;
}

export interface Bag {
  label: 0 | 1;
  source: string;
  kind: string;
  /** First segment and the one after the last. */
  from: number;
  to: number;
}

export interface Dataset {
  bags: Bag[];
  /** Per segment: first block, and one entry more at the end. */
  segmentBlock: Uint32Array;
  /** Per segment: its length in bytes. */
  segmentBytes: Uint32Array;
  /** Per block: first slot, and one entry more at the end. */
  blockSlot: Uint32Array;
  slots: Uint32Array;
}

/** Views longer than this, in bytes, are cut: they are rare and one window decides. */
const BYTES_MAX = 24576;

/** Extracts the features of `samples` in order. */
export function extract(module: FeatureModule, samples: readonly Sample[]): Dataset {
  const call = module.exports as unknown as Record<string, (...args: number[]) => number>;
  const raw = module.reserve(BYTES_MAX + 256);
  const normal = module.reserve(BYTES_MAX + 256);
  const copy = module.reserve(BYTES_MAX + 256);
  const blocksMax = BYTES_MAX / 64;
  const slotsAt = module.reserve(blocksMax * (call.blockSlotsMax?.() ?? 0) * 4);
  const endsAt = module.reserve(blocksMax * 4);
  const bags: Bag[] = [];
  const segmentBlock = new Grown(1 << 16);
  const segmentBytes = new Grown(1 << 16);
  const blockSlot = new Grown(1 << 18);
  const slots = new Grown(1 << 24);
  const segment = (ptr: number, length: number) => {
    const bytes = Math.min(length, BYTES_MAX);
    const memory = new Uint8Array(module.memory.buffer);
    memory.copyWithin(copy, ptr, ptr + bytes);
    const blocks = call.featuresOf?.(copy, bytes, slotsAt, endsAt, blocksMax) ?? 0;
    if (blocks === 0) return;
    segmentBlock.push(blockSlot.length);
    segmentBytes.push(bytes);
    const ends = new Uint32Array(module.memory.buffer, endsAt, blocks);
    const base = slots.length;
    for (let i = 0; i < blocks; i++) blockSlot.push(base + (i ? (ends[i - 1] ?? 0) : 0));
    slots.append(new Uint32Array(module.memory.buffer, slotsAt, ends[blocks - 1] ?? 0));
  };
  const encoder = new TextEncoder();
  for (const { text, label, source, kind } of samples) {
    const from = segmentBlock.length;
    const bytes = encoder.encode(text).subarray(0, BYTES_MAX);
    new Uint8Array(module.memory.buffer).set(bytes, raw);
    const length = call.normaliseText?.(raw, bytes.length, normal, BYTES_MAX) ?? 0;
    segment(normal, length);
    call.startViews?.(raw, bytes.length, normal, length);
    while (call.nextView?.()) {
      const view = BigInt(call.view?.() ?? 0);
      segment(Number(view >> 32n), Number(view & 0xffffffffn));
    }
    bags.push({ label, source, kind, from, to: segmentBlock.length });
  }
  segmentBlock.push(blockSlot.length);
  blockSlot.push(slots.length);
  return {
    bags,
    segmentBlock: segmentBlock.done(),
    segmentBytes: segmentBytes.done(),
    blockSlot: blockSlot.done(),
    slots: slots.done(),
  };
}

/** An array that doubles. */
class Grown {
  length = 0;
  private array: Uint32Array;

  constructor(size: number) {
    this.array = new Uint32Array(size);
  }

  push(value: number): void {
    this.room(1);
    this.array[this.length++] = value;
  }

  append(values: Uint32Array): void {
    this.room(values.length);
    this.array.set(values, this.length);
    this.length += values.length;
  }

  done(): Uint32Array {
    return this.array.subarray(0, this.length);
  }

  private room(count: number): void {
    if (this.length + count <= this.array.length) return;
    const grown = new Uint32Array(Math.max(this.array.length * 2, this.length + count));
    grown.set(this.array);
    this.array = grown;
  }
}
