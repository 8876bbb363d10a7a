// Where the problems of a policy are collected: those of its schema and those found while compiling, in one list.
import { Report } from "../inspect/schema";
import { Tape } from "../json/tape";

/** Problems that one refusal lists; the rest is counted. */
export const PROBLEMS_MAX: i32 = 32;

export const problems = new Report(PROBLEMS_MAX, 16 << 10);

/** Reports that the value at `node` should have been `expected`. */
export function problem(tape: Tape, node: i32, expected: string): void {
  problems.open(tape, max(node, 0)).text(expected);
  problems.close();
}
