/** Tools that scripts/tools.sh installs when a test first needs them. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../demo/processes.ts";

/** Installs `names` unless they are `there`; whether they are there then. What cannot be had is said on stderr. */
export function installed(there: () => boolean, ...names: string[]): boolean {
  if (there()) return true;
  execFileSync("bash", [join(root, "scripts/tools.sh"), ...names], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return there();
}
