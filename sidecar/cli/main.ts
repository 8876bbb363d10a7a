// The `weir` command.
import { runWeir } from "./commands.ts";

// Whoever reads no further, as `| head` does, has what they wanted.
process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => process.exit(code === "EPIPE" ? 0 : 1));
process.exitCode = await runWeir(process.argv.slice(2));
