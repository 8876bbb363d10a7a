/** Runs a command of this folder; what is wrong with what it was given is one line after its name, with exit code 2. */
import { noneEmpty, onceEach } from "../sidecar/cli/usage.ts";

export function runScript(name: string, main: () => void): void {
  try {
    const args = process.argv.slice(2);
    onceEach(args);
    noneEmpty(args);
    main();
  } catch (thrown) {
    console.error(`${name}: ${(thrown as Error).message}`);
    process.exit(2);
  }
}
