// The page of engines, made from the table of scenarios.
import { ENGINES, type Engine, ROWS } from "../../demo/scenarios.ts";
import { table } from "./page.ts";

export function engines(): string {
  const others = (Object.keys(ENGINES) as Engine[]).filter((engine) => engine !== "envoy") as Exclude<
    Engine,
    "envoy"
  >[];
  const rows = ROWS.map((row) => [row.name, row.expected, Object.keys(row.differs ?? {}).join(", ")]);
  const sections = others.map((engine) => {
    const differences = ROWS.flatMap((row) => {
      const difference = row.differs?.[engine];
      return difference ? [[row.name, row.expected, difference.expected, difference.why]] : [];
    });
    const text =
      differences.length === 0 ? "None." : table(["scenario", "Envoy", "here", "why"], differences);
    return `### \`${engine}\`\n\n${text}\n`;
  });
  return `# Engines

The same filter runs in several engines. One table of scenarios (demo/scenarios.ts) is walked through each of them, with a real
ledger; the tour of \`make demo\` is that table, and \`npx tsx --test test/e2e/scenarios.test.ts\` runs it everywhere. Where an
engine differs from Envoy it is listed here, and a test sees to it that no difference lets a request through that Envoy denies.

${table(
  ["engine", "what it is"],
  Object.entries(ENGINES).map(([name, what]) => [`\`${name}\``, what]),
)}

## Differences from Envoy

${sections.join("\n")}
## Scenarios

A row that begins with … goes on where the one above it ended.

${table(["scenario", "expected", "differs in"], rows)}
`;
}
