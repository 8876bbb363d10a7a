// The `weir` command.
import { runWeir } from "./commands.ts";
import { pipedOutput } from "./usage.ts";

pipedOutput();
process.exitCode = await runWeir(process.argv.slice(2));
