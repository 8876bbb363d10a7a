// `weir check FILE`: the filter itself reads the policy, in the Node host, so that its answer is the proxy's answer. What the
// filter leaves to the sidecar is judged as the sidecar will: time zones by the ledger's calendar, the policy's own rules by
// their compiler.
import { parseArgs } from "node:util";
import { createVm } from "../../host/vm.ts";
import { compileOwnRules, type OwnRule } from "../control/rules.ts";
import { isTimeZone } from "../ledger/calendar.ts";
import { filterBytes } from "./filter.ts";
import { readPolicy } from "./policy-file.ts";
import { UsageError } from "./usage.ts";

export const USAGE = `usage: weir check FILE

The policy in YAML, or in JSON where its name ends in .json; - reads standard input. Prints one line for each
problem: FILE:LINE:COLUMN: path: value: expected …

exit status: 0 valid, 1 not valid or not readable, 2 wrong usage`;

const PREFIX = "weir: policy: ";

/** What is read here of a policy that the filter has taken. */
interface Policy {
  tiers: Record<string, { budgets?: { time_zone?: string }[] }>;
  rules?: OwnRule[];
}

/** The filter has no table of time zones: the ledger would refuse each request for a budget with an unknown one. */
function zoneProblems({ tiers }: Policy): string[] {
  return Object.entries(tiers).flatMap(([name, { budgets = [] }]) =>
    budgets.flatMap(({ time_zone: zone = "UTC" }, i) =>
      isTimeZone(zone)
        ? []
        : [
            `/tiers/${name}/budgets/${i}/time_zone: ${JSON.stringify(zone)}: expected an IANA time zone such as "Europe/Berlin"`,
          ],
    ),
  );
}

/** The problems of a policy in JSON, a line each: `path: value: expected`. None: filter and sidecar take it. */
export function problemsOf(policy: string, wasm: Uint8Array = filterBytes()): string[] {
  const problems: string[] = [];
  const vm = createVm({
    wasm,
    profile: "envoy",
    log: (_level, text) => {
      problems.push(text.startsWith(PREFIX) ? text.slice(PREFIX.length) : text);
    },
  });
  const root = vm.addRoot({ configuration: Buffer.from(policy) });
  if (!root.ok) return problems;
  const read = JSON.parse(policy) as Policy;
  return [...zoneProblems(read), ...(read.rules ? compileOwnRules(read.rules).problems : [])];
}

/** The policy in `file` as JSON text, and its problems, each with its place: `FILE:LINE:COLUMN: path: value: expected`. */
export function checkPolicy(file: string, wasm?: Uint8Array): { policy: string; problems: string[] } {
  const { json, placed } = readPolicy(file);
  return { policy: json, problems: problemsOf(json, wasm).map(placed) };
}

export async function run(args: string[]): Promise<number> {
  const { positionals } = parseArgs({ args, allowPositionals: true, options: {} });
  const [file] = positionals;
  if (!file || positionals.length > 1) throw new UsageError("expected one FILE");
  const { problems } = checkPolicy(file);
  for (const problem of problems) console.log(problem);
  if (problems.length === 0) console.error(`${file}: the policy is valid`);
  return problems.length === 0 ? 0 : 1;
}
