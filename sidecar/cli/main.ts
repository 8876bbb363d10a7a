// The `weir` command.
import { runWeir } from "./commands.ts";

process.exitCode = await runWeir(process.argv.slice(2));
