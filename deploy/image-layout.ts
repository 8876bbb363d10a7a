/**
 * The filter as an OCI image layout, without Docker: one layer that holds plugin.wasm, as Envoy Gateway and Istio fetch
 * it. The same file gives the same digests, so an image can be checked against the source it was built from.
 *
 *   npx tsx deploy/image-layout.ts [--wasm dist/weir.wasm] [--out build/filter-image] [--tag 0.1.0]
 *   then, for example: oras cp --from-oci-layout build/filter-image:0.1.0 REGISTRY/weir-filter:0.1.0
 *
 * Layout: oci-layout, index.json, blobs/sha256/{layer, config, manifest}. The layer is a tar of one file, gzipped.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { runScript } from "./run-script.ts";

const TAR_BLOCK_BYTES = 512;
const WASM_MAGIC = Buffer.from([0x00, 0x61, 0x73, 0x6d]);

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/**
 * A POSIX tar (ustar) of one read-only file, without times or owners.
 *
 *   0 name   100 mode  108 uid  116 gid  124 size  136 mtime  148 checksum  156 type  257 "ustar\0" "00"
 */
export function tarOfOne(name: string, data: Uint8Array): Buffer {
  const header = Buffer.alloc(TAR_BLOCK_BYTES);
  const octal = (value: number, offset: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "latin1");
  header.write(name, 0, 100, "latin1");
  octal(0o444, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(data.length, 124, 12);
  octal(0, 136, 12);
  // The checksum is taken with its own field as spaces.
  header.fill(" ", 148, 156);
  header.write("0", 156, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  const padding = (TAR_BLOCK_BYTES - (data.length % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
  return Buffer.concat([header, data, Buffer.alloc(padding + 2 * TAR_BLOCK_BYTES)]);
}

export interface ImageLayout {
  /** Of the manifest: what an image reference's @sha256:… means. */
  readonly manifestDigest: string;
  /** Of plugin.wasm: what filter.sha256 of the chart means. */
  readonly wasmSha256: string;
}

/** Writes the layout into `out`, which is emptied first. Throws if `file` is not a WebAssembly module. */
export function writeImageLayout(file: string, out: string, tag: string): ImageLayout {
  const wasm = readFileSync(file);
  if (!WASM_MAGIC.equals(wasm.subarray(0, 4))) throw new Error(`${file}: not a WebAssembly module`);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, "blobs/sha256"), { recursive: true });
  const blob = (mediaType: string, data: Uint8Array) => {
    const digest = sha256(data);
    writeFileSync(join(out, "blobs/sha256", digest), data);
    return { mediaType, digest: `sha256:${digest}`, size: data.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const tar = tarOfOne("plugin.wasm", wasm);
  const gzip = gzipSync(tar, { level: 9 });
  // Byte 9 names the operating system that compressed; 255 is "unknown", the same everywhere.
  gzip[9] = 255;
  const layer = blob("application/vnd.oci.image.layer.v1.tar+gzip", gzip);
  const config = blob(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture: "wasm",
      os: "wasip1",
      config: {},
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(tar)}`] },
      history: [{ created_by: "deploy/image-layout.ts" }],
    }),
  );
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = blob(mediaType, json({ schemaVersion: 2, mediaType, config, layers: [layer] }));
  const named = { ...manifest, annotations: { "org.opencontainers.image.ref.name": tag } };
  writeFileSync(join(out, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  writeFileSync(
    join(out, "index.json"),
    json({ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [named] }),
  );
  return { manifestDigest: manifest.digest, wasmSha256: sha256(wasm) };
}

function main(): void {
  const { values } = parseArgs({
    options: {
      wasm: { type: "string", default: "dist/weir.wasm" },
      out: { type: "string", default: "build/filter-image" },
      tag: { type: "string", default: "0.1.0" },
    },
  });
  const made = writeImageLayout(values.wasm, values.out, values.tag);
  console.log(`${values.out}:${values.tag}\nimage  ${made.manifestDigest}\nfilter ${made.wasmSha256}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runScript("image-layout", main);
