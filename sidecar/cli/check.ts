// `weir check FILE`: the filter itself reads the policy, in the Node host, so that its answer is the proxy's answer; and its
// own rules go through the compiler that the sidecar has.
import { createVm } from "../../host/vm.ts";
import { compileOwnRules, type OwnRule } from "../control/rules.ts";
import { filterBytes } from "./filter.ts";
import { readPolicy } from "./policy-file.ts";

const PREFIX = "weir: policy: ";

/** The problems of a policy in JSON, a line each: `path: value: expected`. None: the filter takes it. */
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
  const { rules } = JSON.parse(policy) as { rules?: OwnRule[] };
  return rules ? [...compileOwnRules(rules).problems] : [];
}

export async function checkCommand(args: string[]): Promise<number> {
  const [file] = args;
  if (!file || args.length > 1) {
    console.error("usage: weir check FILE      (- reads standard input)");
    return 2;
  }
  const problems = problemsOf(readPolicy(file));
  for (const problem of problems) console.log(problem);
  if (problems.length === 0) console.error(`${file}: the policy is valid`);
  return problems.length === 0 ? 0 : 1;
}
