// Builds the filter for tests: quickly (-O1) and kept under build/filter by a hash of everything it is made of.
//
// "trapping" is the same code on a runtime made of AssemblyScript's own `stub`, whose allocator traps while the word
// at SEAL is set. A test sets it once a configuration has been accepted; whatever then allocates kills the VM.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { attachPacks } from "../../scripts/attach-packs.ts";
import { classifierPack, rulesPack } from "../../scripts/packs.ts";
import { kept } from "../../scripts/sources.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const STUB = join(root, "node_modules/assemblyscript/std/assembly/rt/stub.ts");
const POOLS_ENTRY = "test/assembly/filter-pools.entry.ts";
const TRAPPING_RUNTIME = "build/filter/trapping-runtime";
/** Address of the word that forbids allocation: below AssemblyScript's static data, which starts at 1024. */
export const SEAL = 16;

/** "pools" exports what of the pools is free, too (filter-pools.entry.ts). */
export type FilterKind = "plain" | "trapping" | "pools";

function sources(directory: string): string[] {
  return (readdirSync(join(root, directory), { recursive: true }) as string[])
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => join(directory, name));
}

function args(kind: FilterKind): string[] {
  return [
    kind === "pools" ? POOLS_ENTRY : "assembly/index.ts",
    ...["--config", "none", "--optimizeLevel", "1", "--noAssert"],
    ...["--memoryBase", "1024"],
    ...["--runtime", kind === "trapping" ? TRAPPING_RUNTIME : "stub"],
    ...["--use", "abort=assembly/proxy-wasm/abort/abort"],
    ...["--enable", "simd", "--enable", "bulk-memory"],
    ...["--disableWarning", "226"],
  ];
}

/** The stub runtime with a check at the start of every function that can take memory. */
function trappingRuntime(): string {
  const source = readFileSync(STUB, "utf8")
    .replaceAll('"./common"', '"rt/common"')
    .replaceAll('"../util/error"', '"util/error"')
    // Outside the standard library a lazy global is set too late.
    .replaceAll("@lazy let", "let");
  let checks = 0;
  const checked = source.replace(/^export function __(alloc|realloc)\(.*\{$/gm, (head) => {
    checks++;
    return `${head}\n  if (load<u32>(${SEAL}) != 0) unreachable();`;
  });
  if (checks !== 2) throw new Error("the stub runtime has changed: expected __alloc and __realloc");
  return checked;
}

async function compile(kind: FilterKind): Promise<Buffer> {
  const hash = createHash("sha256").update(args(kind).join("\0"));
  if (kind === "trapping") hash.update(trappingRuntime());
  for (const file of [...sources("assembly"), POOLS_ENTRY])
    hash.update(file).update(readFileSync(join(root, file)));
  return kept(join(root, `build/filter/${hash.digest("hex").slice(0, 24)}.wasm`), async (partial) => {
    if (kind === "trapping") writeFileSync(join(root, `${TRAPPING_RUNTIME}.ts`), trappingRuntime());
    const { default: asc } = await import("assemblyscript/asc");
    const out = ["--baseDir", root, "--outFile", relative(root, partial)];
    const { error, stderr } = await asc.main([...args(kind), ...out]);
    if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`);
  });
}

const built = new Map<FilterKind, Promise<WebAssembly.Module>>();

/** The filter's bytes with rules and classifier, without vocabularies: token counts are then estimates. */
export async function filterBytes(kind: FilterKind = "plain"): Promise<Uint8Array> {
  return attachPacks(await compile(kind), {
    rules: await rulesPack(),
    classifier: classifierPack(),
  });
}

/** The filter as a module; built once per process. */
export function filterModule(kind: FilterKind = "plain"): Promise<WebAssembly.Module> {
  let module = built.get(kind);
  if (!module) {
    module = filterBytes(kind).then((bytes) => new WebAssembly.Module(bytes as BufferSource));
    built.set(kind, module);
  }
  return module;
}
