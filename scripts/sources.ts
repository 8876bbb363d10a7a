// What things are made of, as one hash: the build makes a thing again only when its sources have changed.
import { createHash } from "node:crypto";
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's directory, with a slash at its end. */
export const root = fileURLToPath(new URL("../", import.meta.url));
/** A path in the project, made absolute. */
export const at = (path: string) => join(root, path);

/** All files under a directory of the project, sorted. */
export function files(directory: string): string[] {
  return (readdirSync(at(directory), { recursive: true, withFileTypes: true }) as Dirent[])
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** One hash of the names and contents of `paths` (absolute), and of `salt`. */
export function hashOf(paths: readonly string[], salt = ""): string {
  const hash = createHash("sha256").update(salt);
  for (const path of paths) hash.update(path.slice(root.length)).update("\0").update(readFileSync(path));
  return hash.digest("hex");
}
