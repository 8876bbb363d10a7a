// Judges texts as the edge does: normaliser, views, rules, short texts and all run in the Wasm module, so what is
// measured is what is served. A text is a user's own turn.
//
// Bound: TEXT_BYTES_MAX bytes of a text are read.
import { WeirError } from "../errors.ts";
import type { FeatureModule } from "./features.ts";
import { LOGIT_ONE } from "./train-pack.ts";

const TEXT_BYTES_MAX = 32768;
/** Behind a text, for what reads in blocks. */
const PAD = 256;

export class Judge {
  private readonly call: Record<string, (...args: number[]) => number>;
  private readonly packAt: number;
  private readonly textAt: number;
  private readonly work: number;

  /** `rules`: a rules pack to judge by; without one the classifier decides alone. */
  constructor(
    private readonly module: FeatureModule,
    rules?: Uint8Array,
  ) {
    this.call = module.exports as unknown as Record<string, (...args: number[]) => number>;
    this.packAt = module.reserve(this.call.packBytes?.() ?? 0);
    this.textAt = module.reserve(TEXT_BYTES_MAX + PAD);
    this.work = module.reserve(TEXT_BYTES_MAX + PAD);
    if (!rules) return;
    const at = module.reserve(rules.length);
    this.put(rules, at);
    if (!this.call.loadRules?.(at, rules.length)) throw new WeirError("invalid_argument", "not a rules pack");
  }

  /** Judges by this classifier pack from now on. */
  use(pack: Uint8Array): void {
    const size = this.call.packBytes?.() ?? 0;
    if (pack.length !== size) {
      throw new WeirError("invalid_argument", `a classifier pack has ${size} bytes, not ${pack.length}`);
    }
    this.put(pack, this.packAt);
    if (!this.call.loadPack?.(this.packAt, size))
      throw new WeirError("invalid_argument", "not a classifier pack");
  }

  /** The combined logit of a text. */
  logit(text: string): number {
    const bytes = Buffer.from(text).subarray(0, TEXT_BYTES_MAX);
    this.put(bytes, this.textAt);
    return (this.call.judge?.(this.textAt, bytes.length, this.work) ?? 0) / LOGIT_ONE;
  }

  private put(bytes: Uint8Array, at: number): void {
    new Uint8Array(this.module.memory.buffer).set(bytes, at);
  }
}
