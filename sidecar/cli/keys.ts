// `weir keys new`: a new API key, shown once, and the entry that lets it in.
import { createHash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { problemsOf } from "./check.ts";
import { UsageError } from "./usage.ts";

export const USAGE = `usage: weir keys new --subject ORG[/TEAM[/KEY]] --tier TIER [--lane batch] [--expires 2027-01-01T00:00:00Z]

Prints a new key, which is shown only then, and the entry that lets it in, for the policy's keys.

exit status: 0 made, 1 such an entry would be refused, 2 wrong usage`;

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      subject: { type: "string" },
      tier: { type: "string" },
      lane: { type: "string" },
      expires: { type: "string" },
    },
  });
  if (positionals.join(" ") !== "new") throw new UsageError("expected new");
  if (!values.subject) throw new UsageError("--subject is missing");
  if (!values.tier) throw new UsageError("--tier is missing");
  const key = `weir-${randomBytes(24).toString("base64url")}`;
  const entry = {
    sha256: createHash("sha256").update(key).digest("hex"),
    subject: values.subject,
    tier: values.tier,
    ...(values.lane && { lane: values.lane }),
    ...(values.expires && { expires: values.expires }),
  };
  const problems = problemsOf(JSON.stringify({ tiers: { [values.tier]: {} }, keys: [entry] }));
  if (problems.length > 0) {
    for (const problem of problems) console.error(problem);
    return 1;
  }
  if (values.expires && Date.parse(values.expires) <= Date.now())
    throw new UsageError(`--expires: ${values.expires}: has passed: expected a moment to come`);
  console.error("The key, shown only now:");
  console.log(key);
  console.error("Its entry under `keys` in the policy:");
  console.log(`  - ${JSON.stringify(entry)}`);
  return 0;
}
