// Builds what ships: dist/weir.wasm (the filter with its packs) and dist/weir.js (the command). Each part is built
// again only when something it is made of has changed.
//
//   npx tsx scripts/build.ts [--small] [--serving]      --small: without vocabularies; --serving: without the tools' modules
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { attachPacks } from "./attach-packs.ts";
import { buildComponent } from "./build-component.ts";
import { classifierPack, rulesPack, vocabularyPacks } from "./packs.ts";
import { at, files, hashOf, root } from "./sources.ts";

/** Runs `make` unless `output` is there and was made of the same sources. */
async function cached(output: string, key: string, make: () => Promise<void>): Promise<void> {
  const stamp = at(`build/stamps/${output.replaceAll("/", "_")}`);
  if (existsSync(at(output)) && existsSync(stamp) && readFileSync(stamp, "utf8") === key) return;
  await make();
  mkdirSync(at("build/stamps"), { recursive: true });
  writeFileSync(stamp, key);
}

async function compile(args: string[]): Promise<void> {
  const { default: asc } = await import("assemblyscript/asc");
  const { error, stderr } = await asc.main([...args, "--baseDir", root]);
  if (error) throw new Error(`asc: ${error.message}\n${stderr.toString()}`);
}

/** Compiles a part of the filter to a module of its own, for a command that needs no proxy. */
async function compileTool(entry: string, out: string): Promise<void> {
  const sources = [...files("assembly"), at("package-lock.json")];
  await cached(out, hashOf(sources, entry), async () => {
    mkdirSync(at("dist"), { recursive: true });
    const flags = ["--config", "none", "--runtime", "stub", "-O3", "--noAssert"];
    await compile([entry, ...flags, "--enable", "simd", "--enable", "bulk-memory", "--outFile", out]);
  });
}

async function buildFilter(small: boolean): Promise<void> {
  const core = "build/weir.core.wasm";
  const sources = [
    ...files("assembly"),
    ...["asconfig.json", "package-lock.json", "scripts/inline.ts"].map((name) => at(name)),
  ];
  await cached(core, hashOf(sources), async () => {
    await compile(["assembly/index.ts", "--target", "release", "--outFile", core]);
    const { inlineMore } = await import("./inline.ts");
    writeFileSync(at(core), inlineMore(readFileSync(at(core))));
  });
  const out = small ? "dist/weir-small.wasm" : "dist/weir.wasm";
  const packed = [
    ...files("packs"),
    ...files("training"),
    ...files("sidecar/pack"),
    ...files("scripts"),
    at(core),
  ];
  await cached(out, hashOf(packed, String(small)), async () => {
    mkdirSync(at("dist"), { recursive: true });
    const packs = {
      rules: await rulesPack(),
      classifier: classifierPack(),
      ...(!small && (await vocabularyPacks())),
    };
    writeFileSync(at(out), attachPacks(readFileSync(at(core)), packs));
  });
}

/** What `weir redact`, `weir scan` and `weir train` run. */
async function buildTools(): Promise<void> {
  await compileTool("assembly/redact/tool.ts", "dist/redact.wasm");
  await compileTool("assembly/inspect/classifier-module.ts", "dist/features.wasm");
  writeFileSync(at("dist/classifier.bin"), classifierPack());
  writeFileSync(at("dist/rules.bin"), await rulesPack());
  cpSync(at("training"), at("dist/training"), { recursive: true });
  await buildComponent();
}

async function buildCommand(): Promise<void> {
  const sources = [
    ...files("sidecar"),
    ...files("host"),
    ...files("catalog"),
    at("package.json"),
    at("package-lock.json"),
  ];
  await cached("dist/weir.js", hashOf(sources), async () => {
    const { build } = await import("esbuild");
    await build({
      entryPoints: [at("sidecar/cli/main.ts")],
      outfile: at("dist/weir.js"),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      // Dependencies with binaries of their own, and those that Node resolves well by itself.
      packages: "external",
      banner: { js: "#!/usr/bin/env node" },
      logLevel: "warning",
    });
    // The command reads these beside itself.
    for (const script of files("sidecar/ledger/redis").filter((file) => file.endsWith(".lua"))) {
      copyFileSync(script, at(join("dist", basename(script))));
    }
  });
}

export interface BuildOptions {
  /** Without vocabularies: exact token counts give way to estimates. */
  small?: boolean;
  /** Only what the proxies and the sidecar need: not the tools' own modules. */
  serving?: boolean;
}

export async function build(options: BuildOptions = {}): Promise<void> {
  await buildFilter(options.small ?? false);
  await buildCommand();
  if (options.serving) return;
  await buildTools();
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await build({ small: process.argv.includes("--small"), serving: process.argv.includes("--serving") });
