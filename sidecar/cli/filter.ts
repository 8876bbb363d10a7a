// Where the compiled filter is, beside the command that was built with it or in the source tree.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { WeirError } from "../errors.ts";

/** A file of dist/, by name. Throws WeirError `unavailable` when it has not been built. */
export function builtFile(name: string): string {
  for (const place of ["./", "../../dist/"]) {
    const path = fileURLToPath(new URL(place + name, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new WeirError("unavailable", `${name} is not built: run make wasm`);
}

export function filterBytes(): Uint8Array {
  return readFileSync(builtFile("weir.wasm"));
}
