// Compiles one leaf of the filter for a test or a benchmark, and gives typed access to its memory.
//
// An entry (`test/assembly/NAME.entry.ts`) exports what a test needs of a leaf, and re-exports `reserve` from
// `assembly/memory`. Compiled modules are kept under build/leaf by a hash of every AssemblyScript source, so
// a second run does not compile again.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { kept } from "../../scripts/sources.ts";
import { countSteps } from "./steps.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface LeafOptions {
  /** Compile the scalar twin: no v128. Default: SIMD. */
  scalar?: boolean;
  /** Count the work: see `takeSteps`. */
  steps?: boolean;
  /** Extra asc arguments. */
  args?: string[];
}

export interface Leaf {
  /** The module's exports; functions take and return numbers (u64: bigint). */
  // biome-ignore lint/suspicious/noExplicitAny: exports differ by entry.
  exports: Record<string, any>;
  memory: WebAssembly.Memory;
  /** Reserves `size` bytes for the life of the instance. */
  reserve(size: number): number;
  /** Copies `bytes` to `ptr`. */
  write(ptr: number, bytes: Uint8Array): void;
  /** A copy of `len` bytes at `ptr`. */
  read(ptr: number, len: number): Uint8Array;
  /** UTF-8 text at `ptr`. */
  text(ptr: number, len: number): string;
  /** Steps since the last call (steps.ts); only of a leaf that counts them. */
  takeSteps(): number;
}

/** The text of the UTF-16 string object at `ptr` in an AssemblyScript memory. */
function managedString(memory: WebAssembly.Memory, ptr: number): string {
  if (!ptr) return "";
  const bytes = new DataView(memory.buffer).getUint32(ptr - 4, true);
  return new TextDecoder("utf-16le").decode(new Uint8Array(memory.buffer, ptr, bytes));
}

function sourcesHash(): string {
  const hash = createHash("sha256");
  for (const dir of ["assembly", "test/assembly"]) {
    for (const name of (readdirSync(join(root, dir), { recursive: true }) as string[]).sort()) {
      if (name.endsWith(".ts")) hash.update(name).update(readFileSync(join(root, dir, name)));
    }
  }
  return hash.digest("hex");
}

/** Compiles `entry` (a path from the project's root) to bytes; throws with asc's own diagnostics. */
export async function compile(entry: string, options: LeafOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const args = [
    entry,
    ...["--config", "none"],
    ...["--runtime", "stub", "-O3", "--converge", "--noAssert", "--enable", "bulk-memory"],
    ...(options.scalar ? ["--disable", "simd"] : ["--enable", "simd"]),
    ...(options.args ?? []),
  ];
  const key = createHash("sha256").update(args.join("\0")).update(sourcesHash()).digest("hex").slice(0, 24);
  const file = (suffix: string) => join(root, `build/leaf/${key}${suffix}`);
  const module = await kept(file(".wasm"), async (partial) => {
    const { default: asc } = await import("assemblyscript/asc");
    const out = ["--baseDir", root, "--outFile", relative(root, partial)];
    const { error, stderr } = await asc.main([...args, ...out]);
    if (error) throw new Error(`asc ${entry}: ${error.message}\n${stderr.toString()}`);
  });
  if (!options.steps) return new Uint8Array(module);
  return new Uint8Array(
    await kept(file(".steps.wasm"), async (partial) => writeFileSync(partial, await countSteps(module))),
  );
}

/** Compiles and instantiates `entry`. Every call gives a fresh instance. */
export async function leaf(entry: string, options: LeafOptions = {}): Promise<Leaf> {
  let memory!: WebAssembly.Memory;
  const module = new WebAssembly.Module(await compile(entry, options));
  const instance = new WebAssembly.Instance(module, {
    env: {
      abort(message: number, file: number, line: number, column: number) {
        throw new Error(
          `abort: ${managedString(memory, message)} at ${managedString(memory, file)}:${line}:${column}`,
        );
      },
    },
  });
  const exports = instance.exports as Leaf["exports"];
  memory = exports.memory;
  return {
    exports,
    memory,
    reserve: (size) => exports.reserve(size) >>> 0,
    write: (ptr, bytes) => new Uint8Array(memory.buffer).set(bytes, ptr),
    read: (ptr, len) => new Uint8Array(memory.buffer, ptr, len).slice(),
    takeSteps: () => Number(exports.takeSteps()),
    text: (ptr, len) => new TextDecoder().decode(new Uint8Array(memory.buffer, ptr, len)),
  };
}
