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

export function filterBytes(): Buffer {
  return readFileSync(builtFile("weir.wasm"));
}

/**
 * The filter with another classifier pack in the place of its own: packs are stored as they are, and all classifiers are
 * of one size. Throws WeirError `internal` when it is not the filter that was built with the command.
 */
export function filterWith(classifier: Uint8Array): Uint8Array {
  const [filter, own] = [filterBytes(), readFileSync(builtFile("classifier.bin"))];
  const at = filter.indexOf(own);
  if (at < 0 || classifier.length !== own.length)
    throw new WeirError(
      "internal",
      "weir.wasm does not hold the classifier that is beside it: run make wasm",
    );
  filter.set(classifier, at);
  return filter;
}
