// What things are made of, as one hash: the build makes a thing again only when its sources have changed.
import { createHash } from "node:crypto";
import { type Dirent, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, extname, join } from "node:path";
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

/**
 * The bytes of `file` (absolute), whose name has the hash of what it is made of; if it is not there, `make` writes it to the path that
 * it is given. Processes may ask at once: what they make is the same.
 */
export async function kept(file: string, make: (partial: string) => void | Promise<void>): Promise<Buffer> {
  if (!existsSync(file)) {
    mkdirSync(dirname(file), { recursive: true });
    const partial = `${file}.${process.pid}.tmp${extname(file)}`;
    await make(partial);
    renameSync(partial, file);
  }
  return readFileSync(file);
}
