/** Runs a command of this folder; what is wrong with what it was given is one line after its name, with exit code 2. */
export function runScript(name: string, main: () => void): void {
  try {
    main();
  } catch (thrown) {
    console.error(`${name}: ${(thrown as Error).message}`);
    process.exit(2);
  }
}
