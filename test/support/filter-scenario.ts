// Scenarios: what a caller does at an edge and what must come of it, the same for every host.
//
// A host that cannot run one is named with the reason, which the test's output shows. `refused` checks an
// answer against catalog/verdicts.json and remembers the code, so that a run can tell which verdicts it never saw.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Answer, Call, Edge } from "./filter.ts";

export interface Verdict {
  code: string;
  status: number;
  type: string;
}

export const verdicts: readonly Verdict[] = JSON.parse(
  readFileSync(fileURLToPath(new URL("../../catalog/verdicts.json", import.meta.url)), "utf8"),
);

export type Host = Edge["host"];

export interface Scenario {
  name: string;
  policy: object;
  workers?: number;
  bodyBufferBytes?: number;
  /** It needs a clock that moves when told, so it runs where the test owns the time. */
  clock?: true;
  /** Hosts on which it does not run, and why. */
  except?: Partial<Record<Host, string>>;
  run(edge: Edge): Promise<void>;
}

/** Codes that a host has answered with, for `refused`. */
export const seenCodes = new Map<Host, Set<string>>();

/** Checks that `answer` is the refusal `code`, complete and as clients expect it. */
export function refused(edge: Edge, answer: Answer, code: string): void {
  const verdict = verdicts.find((v) => v.code === code);
  assert.ok(verdict, `${code} is not in the catalog`);
  assert.equal(answer.json?.error?.code, code, answer.text);
  assert.equal(answer.status, verdict.status);
  assert.equal(answer.json.type, "error", "as Anthropic's clients look for it");
  assert.equal(answer.json.error.type, verdict.type);
  assert.ok(answer.json.error.message.length > 10, "a message for people");
  assert.ok("param" in answer.json.error);
  assert.equal(answer.header("x-weir-verdict"), code);
  assert.equal(answer.header("content-type"), "application/json");
  if (verdict.status === 429 || verdict.status === 503) {
    assert.ok(Number(answer.header("retry-after")) >= 1, "a time to wait");
  }
  assert.notEqual(answer.upstream?.complete, true, "no whole request reached the upstream");
  const seen = seenCodes.get(edge.host) ?? new Set();
  seenCodes.set(edge.host, seen.add(code));
}

/** Checks that the request went through. */
export function passed(answer: Answer): void {
  assert.equal(answer.status, 200, answer.text);
  assert.ok(answer.upstream, "it reached the upstream");
}

/** After so long without a request everything is settled, and leases are given back. */
export const IDLE_MS = 8_000;

/** Checks what organisation `acme` has spent, once nothing is out any more. */
export async function spends(edge: Edge, expected: number): Promise<void> {
  await edge.wait(IDLE_MS);
  assert.deepEqual(await edge.budget("acme"), { spent: expected, outstanding: 0 });
}

/** Sends calls one after the other and gives their statuses. */
export async function statuses(edge: Edge, times: number, call: Call): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) all.push((await edge.send(call)).status);
  return all;
}
