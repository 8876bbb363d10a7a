// The subcommands of `weir`, each a module that is loaded only when it is asked for, and how one is run: help, and any
// error in a line or two. What a person gave wrongly never shows a stack trace.
import project from "../../package.json" with { type: "json" };
import { WeirError } from "../errors.ts";
import { noneEmpty, onceEach, UsageError } from "./usage.ts";

export interface Command {
  /** "usage: weir NAME …": first how it is called; after an empty line what else there is to know. */
  readonly USAGE: string;
  /** Options that may be given more than once. */
  readonly REPEATABLE?: readonly string[];
  /** Answers with the exit status. Throws UsageError, and WeirError for what it cannot do. */
  run(args: string[]): Promise<number>;
}

export const COMMANDS: ReadonlyMap<string, { what: string; load: () => Promise<Command> }> = new Map([
  [
    "serve",
    { what: "the filter in the Node host, as a development gateway", load: () => import("./serve.ts") },
  ],
  ["sidecar", { what: "the ledger's server", load: () => import("./sidecar.ts") }],
  ["check", { what: "validates a policy", load: () => import("./check.ts") }],
  [
    "scan",
    {
      what: "inspects a request body, or lines of text with --jsonl, as the proxy would",
      load: () => import("./scan.ts"),
    },
  ],
  [
    "redact",
    {
      what: "finds what the proxy would redact in lines of text (--jsonl), and tells where; the text stays as it is",
      load: () => import("./redact.ts"),
    },
  ],
  [
    "replay",
    { what: "recorded requests against a policy: what would change", load: () => import("./replay.ts") },
  ],
  [
    "analyze",
    { what: "usage as CSV to windows that stand out, classified", load: () => import("./analyze.ts") },
  ],
  [
    "train",
    {
      what: "labelled texts to a classifier pack, offered only when it is better",
      load: () => import("./train.ts"),
    },
  ],
  ["ledger", { what: "shows, adjusts, exports and reconciles budgets", load: () => import("./ledger.ts") }],
  [
    "doctor",
    { what: "checks a live installation and says what is wrong", load: () => import("./doctor.ts") },
  ],
  ["keys", { what: "makes an API key", load: () => import("./keys.ts") }],
]);

const isHelp = (arg: string) => arg === "--help" || arg === "-h";

function overview(): string {
  const lines = [...COMMANDS].map(([name, { what }]) => `  weir ${name.padEnd(8)} ${what}`);
  const usage = "usage: weir COMMAND …      (weir COMMAND --help explains one; weir --version)";
  return [usage, "", ...lines].join("\n");
}

/** One line of what was thrown; a WeirError may have written several itself. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof WeirError || thrown instanceof UsageError) return thrown.message;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return message.replace(/\s*\n\s*/g, " ");
}

/** Whether it is the caller's: ours, or node:util's of an option. */
const isUsage = (thrown: unknown): boolean =>
  thrown instanceof UsageError ||
  `${(thrown as { code?: unknown } | null)?.code}`.startsWith("ERR_PARSE_ARGS");

/** Runs `weir ARGS…`. Answers with the exit status, and never rejects. */
export async function runWeir(args: readonly string[]): Promise<number> {
  const [name = "help", ...rest] = args;
  if (name === "help" || isHelp(name)) {
    console.log(overview());
    return 0;
  }
  if (name === "--version") {
    console.log(project.version);
    return 0;
  }
  const entry = COMMANDS.get(name);
  if (!entry) {
    console.error(`weir: ${name}: no such command\n${overview()}`);
    return 2;
  }
  const command = await entry.load();
  if (rest.some(isHelp)) {
    console.log(command.USAGE);
    return 0;
  }
  try {
    onceEach(rest, command.REPEATABLE);
    noneEmpty(rest);
    return await command.run(rest);
  } catch (thrown) {
    if (!isUsage(thrown)) {
      console.error(`weir ${name}: ${messageOf(thrown)}`);
      return 1;
    }
    // Node adds how a positional may begin with a dash, which none of ours does.
    const wrong = messageOf(thrown).replace(/\. To specify a positional.*/, "");
    console.error(`weir ${name}: ${wrong}\n${command.USAGE.split("\n\n", 1)[0]}`);
    return 2;
  }
}
