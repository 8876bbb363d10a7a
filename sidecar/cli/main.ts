// The `weir` command. Each subcommand is a module that is loaded only when it is asked for.
import { WeirError } from "../errors.ts";

type Command = (args: string[]) => Promise<number>;

const COMMANDS: Record<string, { what: string; load: () => Promise<Command> }> = {
  serve: {
    what: "the filter in the Node host, as a development gateway",
    load: async () => (await import("./serve.ts")).serveCommand,
  },
  sidecar: { what: "the ledger's server", load: async () => (await import("./sidecar.ts")).sidecarCommand },
  check: { what: "validates a policy", load: async () => (await import("./check.ts")).checkCommand },
  scan: {
    what: "inspects a request body, or lines of text with --jsonl, as the proxy would",
    load: async () => {
      const { scanCommand } = await import("./scan.ts");
      return (args) => scanCommand(args, process.stdin, process.stdout);
    },
  },
  redact: {
    what: "redacts lines of text (--jsonl) as the proxy redacts answers",
    load: async () => {
      const { redactCommand } = await import("./redact.ts");
      return (args) => redactCommand(args, process.stdin, process.stdout);
    },
  },
  replay: {
    what: "recorded requests against a policy: what would change",
    load: async () => (await import("./replay.ts")).replayCommand,
  },
  analyze: {
    what: "usage as CSV to windows that stand out, classified",
    load: async () => {
      const { analyzeCommand } = await import("./analyze.ts");
      return (args) => analyzeCommand(args, process.stdin, process.stdout);
    },
  },
  train: {
    what: "labelled texts to a classifier pack, offered only when it is better",
    load: async () => (await import("./train.ts")).trainCommand,
  },
  ledger: {
    what: "shows, adjusts, exports and reconciles budgets",
    load: async () => (await import("./ledger.ts")).ledgerCommand,
  },
  doctor: {
    what: "checks a live installation and says what is wrong",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
  keys: { what: "makes an API key", load: async () => (await import("./keys.ts")).keysCommand },
};

async function main(argv: string[]): Promise<number> {
  const [name = "help", ...args] = argv;
  const command = COMMANDS[name];
  if (!command) {
    const lines = Object.entries(COMMANDS).map(([key, { what }]) => `  weir ${key.padEnd(8)} ${what}`);
    console.error(["usage: weir COMMAND …", "", ...lines].join("\n"));
    return name === "help" || name === "--help" ? 0 : 2;
  }
  return (await command.load())(args);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  // A wrong option is the caller's; whatever else was not foreseen keeps its trace for the report.
  const code = (thrown as { code?: string }).code ?? "";
  if (thrown instanceof WeirError || code.startsWith("ERR_PARSE_ARGS"))
    console.error(`weir: ${(thrown as Error).message}`);
  else console.error(thrown);
  process.exitCode = code.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
}
