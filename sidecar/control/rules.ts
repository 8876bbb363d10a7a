/**
 * A policy's own rules → the table that the filter reads beside its curated rules. The compiler is that of the curated
 * rules (sidecar/pack); here are the bounds that a policy's author cannot pass, and what is told of a rule that does not
 * compile: `/rules/3/pattern: "(a": expected a pattern that compiles: a parenthesis is not closed`.
 *
 * Bounds: RULES_MAX rules, PATTERN_BYTES_MAX bytes that one pattern can stand for when its repetitions are written out and
 * WRITTEN_OUT_MAX that all can,
 * USES_AT_ONCE_MAX rules that can end at one place (so that work stays linear with a small factor, whatever the rules),
 * STATES_MAX states, WORK_MAX steps and OWN_TABLE_BYTES_MAX of the table: room for some 1,200 words of phrases.
 */
import { createHash } from "node:crypto";
import { RuleError } from "../pack/dfa.ts";
import { type Node, PatternError, parse } from "../pack/regex.ts";
import { customRule, type Rule } from "../pack/rules.ts";
import { compileRules } from "../pack/rules-pack.ts";

/** A rule as the policy has it. */
export interface OwnRule {
  readonly id: string;
  readonly phrase?: string;
  readonly pattern?: string;
  readonly action?: "block" | "shadow";
}

/** As in assembly/limits.ts. */
export const OWN_TABLE_BYTES_MAX = 256 << 10;
const RULES_MAX = 256;
const PATTERN_BYTES_MAX = 4_096;
const USES_AT_ONCE_MAX = 64;
const STATES_MAX = 20_000;
/** Steps of the compiler: some seconds. The one thread that compiles answers for the ledger too. */
const WORK_MAX = 1_000_000;
const WRITTEN_OUT_MAX = 1 << 16;
const PROBLEMS_MAX = 32;
/** Characters of a text that a message shows. */
const SHOWN_MAX = 60;

export interface Compiled {
  readonly table: Uint8Array;
  readonly problems: readonly string[];
}

const NOTHING = new Uint8Array(0);

/** Bytes that the node stands for with its repetitions written out: what the automaton grows from. */
function weight(node: Node): number {
  if (node.type === "bytes") return 1;
  if (node.type === "repeat") {
    const times = node.max === Number.POSITIVE_INFINITY ? node.min + 1 : node.max;
    return times * weight(node.item);
  }
  return node.items.reduce((sum, item) => sum + weight(item), 0);
}

function shown(text: string): string {
  const characters = [...text];
  return JSON.stringify(
    characters.length > SHOWN_MAX ? `${characters.slice(0, SHOWN_MAX).join("")}...` : text,
  );
}

interface Read {
  rule: Rule;
  bytes: number;
}

/** The rule for the compiler, or the problem with it. */
function ruleOf(own: OwnRule, at: string): Read | string {
  const { id, phrase, pattern, action } = own;
  if ((phrase === undefined) === (pattern === undefined))
    return `${at}: ${shown(id)}: expected either a phrase or a pattern`;
  const member = phrase === undefined ? "pattern" : "phrase";
  const rule = customRule(
    id,
    phrase === undefined ? [] : [phrase],
    pattern === undefined ? [] : [pattern],
    action === "shadow" ? "score" : "block",
  );
  const say = (expected: string) =>
    `${at}/${member}: ${shown(phrase ?? pattern ?? "")}: expected ${expected}`;
  try {
    const { pieces } = parse(rule.patterns[0] as string);
    const bytes = pieces.reduce((sum, piece) => sum + weight(piece.node), 0);
    if (bytes <= PATTERN_BYTES_MAX) return { rule, bytes };
    return say(`a pattern of at most ${PATTERN_BYTES_MAX} bytes when its repetitions are written out`);
  } catch (error) {
    if (error instanceof PatternError) return say(`a ${member} that compiles: ${error.message}`);
    throw error;
  }
}

const refused = (problem: string): Compiled => ({ table: NOTHING, problems: [problem] });

/** Compiles rules, or says what is wrong with each. Never throws for what a policy can hold. */
export function compileOwnRules(own: readonly OwnRule[]): Compiled {
  if (own.length === 0 || own.length > RULES_MAX)
    return refused(`/rules: ${own.length} rules: expected 1 to ${RULES_MAX}`);
  const all = own.map((rule, i) => ruleOf(rule, `/rules/${i}`));
  const problems = all.filter((rule): rule is string => typeof rule === "string");
  if (problems.length > 0) return { table: NOTHING, problems: problems.slice(0, PROBLEMS_MAX) };
  const read = all as Read[];
  const bytes = read.reduce((sum, rule) => sum + rule.bytes, 0);
  if (bytes > WRITTEN_OUT_MAX)
    return refused(
      `/rules: [...]: expected rules of at most ${WRITTEN_OUT_MAX} bytes with all repetitions written out, found ${bytes}`,
    );
  try {
    const source = createHash("sha256").update(JSON.stringify(own)).digest("hex");
    const bytes = OWN_TABLE_BYTES_MAX;
    const limits = { states: STATES_MAX, entries: bytes >> 2, work: WORK_MAX, bytes };
    const { pack, usesAtOnce } = compileRules(
      read.map(({ rule }) => rule),
      { source, limits },
    );
    if (usesAtOnce > USES_AT_ONCE_MAX)
      return refused(
        `/rules: [...]: expected at most ${USES_AT_ONCE_MAX} phrases and pieces of patterns that end at one place, found ${usesAtOnce}`,
      );
    return { table: pack, problems: [] };
  } catch (error) {
    if (error instanceof RuleError || error instanceof PatternError)
      return refused(`/rules: [...]: expected rules that compile: ${error.message}`);
    throw error;
  }
}
