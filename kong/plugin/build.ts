// Bundles the two plugins for kong-js-pluginserver, which loads CommonJS: one file each, with nothing to install.
//
//   npx tsx kong/plugin/build.ts [FOLDER]      default: dist/kong
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL("./", import.meta.url));

/** Writes weir.cjs and weir-buffered.cjs into `folder`. */
export async function buildPlugins(folder: string): Promise<void> {
  await build({
    entryPoints: ["weir", "weir-buffered"].map((name) => `${here}${name}.ts`),
    outdir: folder,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node20",
    logLevel: "warning",
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildPlugins(process.argv[2] ?? fileURLToPath(new URL("../../dist/kong", import.meta.url)));
}
