import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { filterBytes } from "../../test/support/filter-build.ts";
import { problemsOf } from "../cli/check.ts";
import type { WeirError } from "../errors.ts";
import { CompileRulesRequestSchema, CompileRulesResponseSchema } from "../gen/weir/v1/control_pb.ts";
import { parse } from "../pack/regex.ts";
import { customRule } from "../pack/rules.ts";
import { controlCallouts } from "./callouts.ts";
import { compileOwnRules, OWN_TABLE_BYTES_MAX, type OwnRule } from "./rules.ts";
import { controlHandlers } from "./service.ts";

const bytes = await filterBytes();
const titan: OwnRule = { id: "acme.titan", phrase: "Project Titan" };
const merger: OwnRule = { id: "acme.merger", pattern: "(merge|acquisition) ~{0,4} northwind" };
const broken: OwnRule = { id: "acme.broken", pattern: "salary (table" };
const BROKEN =
  '/rules/1/pattern: "salary (table": expected a pattern that compiles: a parenthesis is not closed';
const request = (rules: OwnRule[]) =>
  create(CompileRulesRequestSchema, {
    rules: rules.map(({ action, ...rule }) => ({ ...rule, shadow: action === "shadow" })),
  });

test("rules compile to a table of bounded size", () => {
  const { table, problems } = compileOwnRules([titan, merger]);
  assert.deepEqual(problems, []);
  assert.ok(table.length > 20_000 && table.length <= OWN_TABLE_BYTES_MAX);
});

test("each rule that does not compile is told with its path, its text and what is wrong", () => {
  const rules: OwnRule[] = [
    titan,
    broken,
    { id: "c", pattern: "((a{16}){16}){16}x" },
    { id: "d", pattern: "a ~{0,99} b" },
    { id: "e" },
    { id: "f", phrase: "   " },
    { id: "g", pattern: `(${"long ".repeat(40)}` },
  ];
  assert.deepEqual(compileOwnRules(rules).problems, [
    BROKEN,
    '/rules/2/pattern: "((a{16}){16}){16}x": expected a pattern of at most 4096 bytes when its repetitions are written out',
    '/rules/3/pattern: "a ~{0,99} b": expected a pattern that compiles: gap ~{0,99}: 1 to 12 words',
    '/rules/4: "e": expected either a phrase or a pattern',
    '/rules/5/phrase: "   ": expected a phrase that compiles: an empty piece',
    `/rules/6/pattern: "(${"long ".repeat(11)}long...": expected a pattern that compiles: a parenthesis is not closed`,
  ]);
});

test("a symbol, which is read as a space, is one in a phrase, and refused where it would stand for any space", () => {
  const compiled = (rule: OwnRule) => compileOwnRules([rule]);
  assert.deepEqual(customRule("a", ["★ secret → door ≤ 5"], [], "score").patterns, ["secret door 5"]);
  assert.deepEqual(customRule("a", ["i ❤️ door", "👨‍👩‍👧 trip"], [], "score").patterns, ["i door", "trip"]);
  const lettered = ["Foo™bar", "№ 5", "5 ℃", "🇩🇪", "a´b", "🅱eta"];
  assert.deepEqual(customRule("a", lettered, [], "score").patterns, lettered);
  assert.deepEqual(compiled({ id: "a", pattern: "foo™|№|℃" }).problems, []);
  const why = "is a symbol: texts are read with a space in its place";
  assert.deepEqual(compiled({ id: "a", phrase: "🍆 " }).problems, [
    `/rules/0/phrase: "🍆 ": expected a phrase that compiles: "🍆" ${why}`,
  ]);
  for (const pattern of ["price (≤|<) 5", "a\\→b"])
    assert.match(compiled({ id: "a", pattern }).problems.join(), new RegExp(why), pattern);
});

test("a phrase is the same in whichever form its characters are written", () => {
  const nodes = (phrase: string) => parse(phrase).pieces.map(({ node }) => node);
  for (const phrase of ["パスワードを教えて", "비밀 프로젝트", "গোপন চাবি", "café größe"])
    for (const form of ["NFD", "NFKD"])
      assert.deepEqual(nodes(phrase.normalize(form)), nodes(phrase), phrase);
  assert.deepEqual(nodes("ﾊﾟｽﾜｰﾄﾞ"), nodes("パスワード"));
  assert.deepEqual(nodes("ㅎㅏㄴㄱㅡㄹㅇㅣ ㄱㅏㅄ"), nodes("한글이 값"));
});

test("an escape that is none of the language is refused, not taken as its letter", () => {
  const problems = (pattern: string) => compileOwnRules([{ id: "a", pattern }]).problems.join();
  const known =
    "outside of classes there are \\w (a letter, digit or _) and \\_ (a space), anywhere a backslash before a sign; a digit is [0-9]";
  assert.equal(
    problems("case-\\d{4}"),
    `/rules/0/pattern: "case-\\\\d{4}": expected a pattern that compiles: "\\d" is unknown: ${known}`,
  );
  for (const pattern of ["a\\sb", "x\\b", "[\\d]{4}", "[\\w.]x", "case \\7", "ab[0-\\z]"])
    assert.match(problems(pattern), /"\\[sbdw7z]" is unknown/, pattern);
  for (const pattern of ["abc\\", "ab[x\\", "ab[x-", "ab[x"])
    assert.match(problems(pattern), /a backslash at the end|a class is not closed/, pattern);
  for (const pattern of [
    "c\\+\\+ \\w{2}",
    "a\\_b",
    "x[\\]\\-.]y",
    "[+-\\.]z",
    "case-[0-9]{4}",
    "\\w*titan\\w*",
  ])
    assert.equal(problems(pattern), "", pattern);
});

test("an end of the text is refused where a regular expression has it, as nothing would be found", () => {
  const problems = (pattern: string) => compileOwnRules([{ id: "a", pattern }]).problems.join();
  for (const pattern of ["^titan", "titan$", "(^titan|atlas)", "(titan$|atlas) x", "titan ~{0,2} ^atlas"])
    assert.match(problems(pattern), /"[$^]" is no end of a text/, pattern);
  for (const pattern of ["\\^titan", "titan\\$", "$[0-9]{3}", "x^2", "[^a]titan", "[$]titan"])
    assert.equal(problems(pattern), "", pattern);
  assert.deepEqual(compileOwnRules([{ id: "a", phrase: "^titan$" }]).problems, []);
});

test("a repetition that is none is told what is wrong with it", () => {
  const problems = (pattern: string) => compileOwnRules([{ id: "a", pattern }]).problems.join();
  assert.match(problems("ab[0-9]{5,2}"), /\{5,2\}: the first number is above the last/);
  assert.match(problems("ab[0-9]{0}"), /\{0,0\}: the last number is from 1 to 16/);
  assert.match(problems("ab[0-9]{2,17}"), /\{2,17\}: the last number is from 1 to 16/);
});

test("rules that would grow without bounds are refused, and soon", () => {
  const many = (count: number, pattern: (i: number) => string) =>
    Array.from({ length: count }, (_, i) => ({ id: `r${i}`, pattern: pattern(i) }));
  for (const [rules, why] of [
    [many(2, () => "\\w*a(a|b){16}\\w*"), /grew past 20000 states|take too long to compile/],
    [many(20, (i) => `\\w*[a-m]\\w{12}x${i}`), /take too long to compile/],
    [many(100, () => "abc( d)?"), /at most 64 phrases and pieces .* that end at one place, found 100/],
    [many(20, () => "((a{16}){16}){15}"), /at most 65536 bytes with all repetitions written out/],
    [many(257, (i) => `abc${i}`), /expected 1 to 256/],
  ] as const) {
    const { table, problems } = compileOwnRules(rules);
    assert.match(problems.join("; "), why);
    assert.equal(table.length, 0);
  }
});

test("a phrase is only itself, whatever characters it has", () => {
  for (const phrase of ["C++ [x] {y} ~{0,3} \\w* ^$ a|b", "what?", "50% (of)", "日本語の文", "a.b*c"])
    assert.deepEqual(compileOwnRules([{ id: "a", phrase }]).problems, [], phrase);
});

test("weir check names a pattern that does not compile, and the rest of the policy first", async () => {
  const check = async (policy: object) => problemsOf(JSON.stringify(policy), bytes);
  const tiers = { pro: {} };
  assert.deepEqual(await check({ tiers, rules: [titan, merger] }), []);
  assert.deepEqual(await check({ tiers, rules: [titan, broken] }), [BROKEN]);
  assert.deepEqual(await check({ tiers: { pro: { requests: "60/mi" } }, rules: [broken] }), [
    '/tiers/pro/requests: "60/mi": expected a rate such as "60/min" or "60/min burst 10" (per s, min, h or d)',
  ]);
});

test("the same rules are compiled once, and what is wrong is told once in the log and each time to the edge", async () => {
  const errors: WeirError[] = [];
  const { compileRules } = controlHandlers({ onError: (error) => errors.push(error) });
  const first = await compileRules(request([titan, merger]));
  const again = await compileRules(request([titan, merger]));
  assert.ok(first.table.length > 0);
  assert.equal(again.table, first.table);
  const other = await compileRules(request([titan, { ...merger, action: "shadow" }]));
  assert.notDeepEqual(other.table, first.table);
  assert.equal(errors.length, 0);
  for (let i = 0; i < 3; i++) {
    const answer = await compileRules(request([titan, broken]));
    assert.equal(answer.table.length, 0);
    assert.deepEqual(answer.problems, [BROKEN]);
  }
  assert.equal(errors.length, 1);
  assert.match(errors[0]?.message ?? "", /a parenthesis is not closed/);
});

test("without a sidecar callouts for rules are answered in process, and others go on", async () => {
  const went: string[] = [];
  const callouts = controlCallouts(async (target) => {
    went.push(target);
    return { failure: "broken connection" };
  });
  const message = toBinary(CompileRulesRequestSchema, request([titan]));
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  body.set(message, 5);
  const reply = await callouts("weir_sidecar", [[":path", "/weir.v1.Control/CompileRules"]], body, 1000);
  assert.ok("body" in reply);
  const length = Buffer.from(reply.body).readUInt32BE(1);
  const { table } = fromBinary(CompileRulesResponseSchema, reply.body.subarray(5, 5 + length));
  assert.ok(Buffer.from(table).equals(compileOwnRules([{ ...titan, action: "block" }]).table));
  assert.match(Buffer.from(reply.body.subarray(5 + length)).toString(), /grpc-status: 0/);
  await callouts("weir_sidecar", [[":path", "/weir.v1.Ledger/Acquire"]], body, 1000);
  assert.deepEqual(went, ["weir_sidecar"]);
});
