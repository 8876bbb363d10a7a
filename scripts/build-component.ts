// Builds the inspection core as a WebAssembly component (wit/inspect.wit), and again only when something it is made of
// has changed:
//
//   assembly/component.ts ─asc─▶ core ─rename exports─▶ attach packs ─embed WIT─▶ new component
//      dist/component/weir-inspect.wasm   the component, for any host of components
//      dist/component/inspect.js, …       the same, transpiled for Node: what `weir scan` runs
//
//   npx tsx scripts/build-component.ts
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { attachPacks } from "./attach-packs.ts";
import { classifierPack, rulesPack, vocabularyPacks } from "./packs.ts";
import { at, files, hashOf, root } from "./sources.ts";

const out = at("dist/component");
const stamp = at("build/stamps/dist_component");

/** Names that AssemblyScript cannot give an export. `done` is what a host calls when it has read a result. */
const EXPORTS: Record<string, string[]> = {
  scan: ["weir:inspect/inspector#scan"],
  scan_text: ["weir:inspect/inspector#scan-text"],
  done: ["cabi_post_weir:inspect/inspector#scan", "cabi_post_weir:inspect/inspector#scan-text"],
};

function sourceHash(): string {
  const sources = ["assembly", "wit", "packs", "training", "sidecar/pack"].flatMap(files);
  const scripts = [
    "build-component",
    "attach-packs",
    "packs",
    "build-vocabulary",
    "double-array",
    "unicode-classes",
  ];
  sources.push(...scripts.map((name) => at(`scripts/${name}.ts`)), at("package-lock.json"));
  return hashOf(sources);
}

function isCurrent(key: string): boolean {
  return existsSync(stamp) && existsSync(join(out, "inspect.js")) && readFileSync(stamp, "utf8") === key;
}

/**
 * Builds what `dist/component` holds, unless it is there and current; true if it was built. Two processes may build at
 * once: each works in a place of its own, and the one that is ready last leaves the other's in place.
 */
export async function buildComponent(): Promise<boolean> {
  const key = sourceHash();
  if (isCurrent(key)) return false;
  const component = await makeComponent();
  const { transpile } = await import("@bytecodealliance/jco");
  // "auto" would run wasi's shims: this component imports nothing.
  const { files: transpiled } = await transpile(component, { name: "inspect", wasiShim: false });
  const partial = `${out}.${process.pid}`;
  for (const [name, bytes] of Object.entries(transpiled as Record<string, Uint8Array>)) {
    mkdirSync(dirname(join(partial, name)), { recursive: true });
    writeFileSync(join(partial, name), bytes);
  }
  writeFileSync(join(partial, "weir-inspect.wasm"), component);
  writeFileSync(join(partial, "package.json"), '{ "type": "module" }\n');
  if (isCurrent(key)) {
    rmSync(partial, { recursive: true });
    return false;
  }
  rmSync(out, { recursive: true, force: true });
  renameSync(partial, out);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, key);
  return true;
}

async function makeComponent(): Promise<Uint8Array> {
  const { componentEmbed, componentNew } = await import("@bytecodealliance/jco");
  const core = attachPacks(await renamed(await compileCore()), {
    rules: await rulesPack(),
    classifier: classifierPack(),
    ...(await vocabularyPacks()),
  });
  // The module traps when it starts if it does not take its packs.
  new WebAssembly.Instance(new WebAssembly.Module(core as BufferSource));
  const witSource = readFileSync(at("wit/inspect.wit"), "utf8");
  return componentNew(
    await componentEmbed({ binary: core, witSource, world: "inspect", stringEncoding: "utf8" }),
  );
}

async function compileCore(): Promise<Buffer> {
  const { default: asc } = await import("assemblyscript/asc");
  const file = `build/component.core.${process.pid}.tmp.wasm`;
  mkdirSync(at("build"), { recursive: true });
  const { error, stderr } = await asc.main([
    ...["assembly/component.ts", "--config", "none", "--baseDir", root, "--outFile", file],
    ...["--runtime", "stub", "-O3", "--converge", "--noAssert", "--disableWarning", "226"],
    ...["--enable", "simd", "--enable", "bulk-memory", "--use", "abort=assembly/component-abort/abort"],
  ]);
  if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`);
  const core = readFileSync(at(file));
  rmSync(at(file));
  return core;
}

/** `core` with the exports that its world asks for. */
async function renamed(core: Uint8Array): Promise<Uint8Array> {
  const { default: binaryen } = await import("binaryen");
  const module = binaryen.readBinary(core);
  module.setFeatures(binaryen.Features.All);
  for (const [name, names] of Object.entries(EXPORTS)) {
    const { value } = binaryen.getExportInfo(module.getExport(name));
    for (const wanted of names) module.addFunctionExport(value, wanted);
    module.removeExport(name);
  }
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = await buildComponent();
  console.log(`dist/component/weir-inspect.wasm: ${built ? "built" : "current"}`);
}
