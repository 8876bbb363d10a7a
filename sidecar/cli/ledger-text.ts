// How `weir ledger` shows budgets, leases and the journal to a person who was woken up: words, not field names.
import { type BudgetRecord, describeKey, type JournalEntry, type LeaseRecord } from "../ledger/types.ts";

const UNITS: readonly [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
];
const METER_WORDS: Readonly<Record<string, string>> = {
  requests: "requests",
  tokens: "tokens",
  prompt_tokens: "prompt tokens",
  completion_tokens: "completion tokens",
  cost: "dollars",
};
const JOURNAL_WORDS: Readonly<Record<JournalEntry["kind"], string>> = {
  charged_unseen: "lease died and was charged without a report",
  corrected: "late report changed what was charged",
  adjusted: "adjusted by hand",
  notice: "notice",
};

/** Two units at most: "9 d 22 h". */
export function duration(ms: number): string {
  if (ms < 1_000) return "0 s";
  const first = UNITS.findIndex(([, length]) => ms >= length);
  const [[name, length] = ["s", 1_000], next] = UNITS.slice(first, first + 2);
  const rest = next === undefined ? 0 : Math.floor((ms % length) / next[1]);
  return `${Math.floor(ms / length)} ${name}${next !== undefined && rest > 0 ? ` ${rest} ${next[0]}` : ""}`;
}

export function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Grouped; micro-dollars as dollars. */
export function amount(value: number, meter: string): string {
  if (meter !== "cost") return value.toLocaleString("en-US");
  const dollars = Math.abs(value) / 1_000_000;
  return `${value < 0 ? "-" : ""}$${dollars.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 6 })}`;
}

/** "acme/search  monthly: tokens per month, class large" */
export function title(key: string): string {
  const { subject, name, meter, window, modelClass } = describeKey(key);
  const models = modelClass === "" ? "all models" : `class ${modelClass}`;
  return `${subject}  ${name}: ${METER_WORDS[meter] ?? meter} per ${window}, ${models}`;
}

export function budgetText(record: BudgetRecord, now: number): string {
  const { meter } = describeKey(record.key);
  const show = (value: number): string => amount(value, meter).padStart(18);
  const percent =
    record.limit === 0 ? "" : `  ${((record.spent / record.limit) * 100).toFixed(1)} % of the limit`;
  const told = record.notified === 0 ? "" : `; told at ${record.notified} %`;
  const current = now < record.end ? `ends in ${duration(record.end - now)}` : "ended";
  const free = Math.max(0, record.limit - Math.max(0, record.spent + record.outstanding));
  const highest =
    record.limitMax > record.limit ? `; the highest in this window: ${amount(record.limitMax, meter)}` : "";
  const lines = [
    title(record.key),
    `  window ${instant(record.start)} to ${instant(record.end)}, ${current}`,
    `  limit  ${show(record.limit)}  of the newest lease; a request is held to that of its own policy${highest}`,
    `  spent  ${show(record.spent)}${percent}${told}`,
    `  leased ${show(record.outstanding)}  held by gateways in ${record.leases} open leases, not yet spent`,
    `  free   ${show(free)}`,
  ];
  if (record.debt > 0)
    lines.push(`  debt   ${show(record.debt)}  charged beyond what was granted, in all of this window`);
  lines.push(`  key    ${record.key}`);
  return lines.join("\n");
}

export function leaseText(lease: LeaseRecord, now: number): string {
  const usable =
    lease.usableUntil > now ? `usable for ${duration(lease.usableUntil - now)}` : "no longer usable";
  const dies = lease.expiresAt > now ? `dies in ${duration(lease.expiresAt - now)} without a report` : "dead";
  const head = `  lease ${lease.id}  of ${lease.subject}, held by ${lease.edge}: ${usable}, ${dies}`;
  const entries = lease.entries.map((entry) => {
    const { subject, name, meter } = describeKey(entry.budget);
    const held = `${amount(entry.granted, meter)} granted, ${amount(entry.spent, meter)} reported spent`;
    return `    ${subject}  ${name}: ${held}`;
  });
  return [head, ...entries].join("\n");
}

export function journalText({
  at,
  kind,
  budget,
  leaseId,
  edge,
  amount: value,
  reason,
}: JournalEntry): string {
  const { meter } = describeKey(budget);
  const what = kind === "notice" ? `${value} % spent` : `${value > 0 ? "+" : ""}${amount(value, meter)}`;
  const who =
    kind === "adjusted" ? ` by ${edge}: ${reason}` : kind === "notice" ? "" : ` (lease ${leaseId}, ${edge})`;
  return `  ${instant(at)}  ${title(budget)}\n    ${JOURNAL_WORDS[kind]}: ${what}${who}`;
}
