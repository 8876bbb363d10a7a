/** The dashboard and the alert rules as tests read them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { root } from "../../demo/processes.ts";

export const rulesText = readFileSync(join(root, "deploy/observability/alerts.yaml"), "utf8");

export interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}

export const rules: Rule[] = (parse(rulesText) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);

export interface Panel {
  id: number;
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; legendFormat: string }[];
}

export const dashboard = JSON.parse(
  readFileSync(join(root, "deploy/observability/dashboard.json"), "utf8"),
) as { panels: Panel[] };

/** Every query of the dashboard, with the panel that it is in. */
export const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);

/** The rules with each minute of theirs a second, and each hour a minute: ranges and `for` alike. Rates stay as they are. */
export function sixtyTimesFaster(text: string): string {
  const faster = (match: string) =>
    match.replace(/(?<!\w)\d+[mh]\b/g, (time) => time.slice(0, -1) + (time.endsWith("h") ? "m" : "s"));
  return text.replace(/^\s+(?:- )?(?:expr|for): .*$/gm, faster);
}

/** The query with comparisons that answer 0 or 1 instead of leaving out what does not compare. */
export function withoutFiltering(expr: string): string {
  return expr.replace(/(\{[^}]*\})|==|!=|<=|>=|<|>/g, (match, matchers) =>
    matchers === undefined ? `${match} bool` : match,
  );
}
