/** What a provider's usage CSV may look like, and what is refused because it would be read as something else. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { outside, reconcile, unbooked } from "./reconcile.ts";
import { isRefused } from "./testing.ts";
import type { BudgetRecord } from "./types.ts";
import { parseUsage } from "./usage-report.ts";

const line = (tokens: number, subject = "acme") => ({
  date: "2026-01-05",
  subject,
  model: "",
  amounts: { tokens },
});

describe("a provider's usage CSV", () => {
  for (const [what, text, lines] of [
    ["a byte order mark", "\uFEFFdate,subject,tokens\n2026-01-05,acme,5\n", [line(5)]],
    ["CRLF, and no line end at the end", "date,subject,tokens\r\n2026-01-05,acme,5", [line(5)]],
    ["empty lines", "\ndate,subject,tokens\n\n2026-01-05,acme,5\n\n", [line(5)]],
    ["capitals, spaces and other columns", "Date, Subject,who,TOKENS\n2026-01-05,acme,,5\n", [line(5)]],
    ["a line end in quotes", 'date,subject,note,tokens\n2026-01-05,acme,"a\n""b""",5\n', [line(5)]],
    ["a time, which is cut off", "date,subject,tokens\n2026-01-05T23:00:00-05:00,acme,5\n", [line(5)]],
    [
      "no amount, which is 0, in the last field of a text",
      "date,subject,tokens\n2026-01-05,acme,",
      [line(0)],
    ],
    ["a fraction as some libraries write integers", "date,subject,tokens\n2026-01-05,acme,5.0\n", [line(5)]],
    [
      "a rate of exchange, which is no currency",
      "date,subject,tokens,currency_conversion_rate\n2026-01-05,acme,5,0.92\n",
      [line(5)],
    ],
    ["an amount as a fraction that is none", "date,subject,tokens\n2026-01-05,acme,1.2e1\n", [line(12)]],
    [
      "a line twice, which adds up",
      `date,subject,tokens${"\n2026-01-05,acme,5".repeat(2)}`,
      [line(5), line(5)],
    ],
    ["usage of nobody that is known", "date,subject,tokens\n2026-01-05,,5\n", [line(5, "")]],
  ] as const)
    it(`may have ${what}`, () => assert.deepEqual(parseUsage(text), lines));

  const tokens = (row: string) => `date,subject,tokens\n${row}\n`;
  const cost = (row: string) => `date,subject,cost,currency\n${row}\n`;
  for (const [text, message] of [
    ["", /no column date: expected date, subject, model/],
    ["date,subject,tokens\n", /usage CSV: no usage: expected lines below the first/],
    ["date;subject;tokens\n", /line 1: no column date: expected date, .*, with commas between/],
    ["date,subject,cost_eur\n2026-01-05,acme,1\n", /no amounts: expected one of requests/],
    ["date,subject,tokens,Tokens\n", /line 1: column tokens: is there twice: expected once/],
    [tokens("2026-01-05,acme,1,000"), /line 2: 4 fields: expected 3/],
    [tokens("2026-01-05,acme"), /line 2: 2 fields: expected 3/],
    [tokens('2026-01-05,acme,"1,000"'), /line 2: tokens: 1,000: expected an integer, 0 or more/],
    [tokens("2026-01-05,acme,1.5"), /tokens: 1\.5: expected an integer/],
    [tokens("2026-01-05,acme,-5"), /tokens: -5: expected an integer/],
    [tokens("2026-01-05,acme,0x10"), /tokens: 0x10: expected an integer/],
    [tokens("2026-01-05,acme,1e300"), /tokens: 1e300: expected an integer/],
    [tokens('2026-01-05,acme,"12.000"'), /tokens: 12\.000: expected an integer, 0 or more/],
    [cost("2026-01-05,acme,$1.50,USD"), /cost: \$1\.50: expected dollars, as 12\.34, 0 or more/],
    [cost('2026-01-05,acme,"1,50",USD'), /cost: 1,50: expected dollars/],
    [cost("2026-01-05,acme,1.50,EUR"), /line 2: currency: EUR: expected USD/],
    [
      "date,subject,cost,BillingCurrency\n2026-01-05,acme,1.50,EUR\n",
      /line 2: billingcurrency: EUR: expected USD/,
    ],
    [
      "date,subject,cost,amount_currency\n2026-01-05,acme,1.50,eur\n",
      /line 2: amount_currency: eur: expected USD/,
    ],
    [tokens("05.01.2026,acme,5"), /line 2: date: 05\.01\.2026: expected YYYY-MM-DD/],
    [tokens("2026-02-30,acme,5"), /date: 2026-02-30: expected YYYY-MM-DD/],
    [tokens("2026-01-05x,acme,5"), /date: 2026-01-05x: expected YYYY-MM-DD/],
    [tokens('2026-01-05,ac"me,5'), /line 2: field 2: a quote that does not end, or/],
    [tokens('2026-01-05,"acme,5'), /line 2: field 2: a quote that does not end, or/],
    [`date,subject,note,tokens\n\n2026-01-05,acme,"a\nb",5\n2026-01-05,acme,c,x\n`, /line 5: tokens: x/],
  ] as const)
    it(`is refused: ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseUsage(text), isRefused("invalid_argument", message)));

  const [day, start] = [86_400_000, Date.UTC(2026, 0, 5)];
  const record = (from: number, spent = 0, models = ""): BudgetRecord => ({
    key: `acme|daily|tokens|day|${models}|${from}`,
    ...{ start: from, end: from + day, limit: 9, limitMax: 9, spent, outstanding: 0, debt: 0 },
    ...{ leases: 0, notified: 0, keepUntil: 0 },
  });
  const options = { now: start + day, timeZone: "UTC", classes: new Map<string, string[]>(), tolerance: 0 };

  it("without models is compared with budgets on all models only", () => {
    const records = [record(start, 5), record(start, 3, "gpt-4o*")];
    const compared = reconcile(records, [line(5)], options);
    assert.deepEqual(
      compared.map(({ modelClass, within }) => [modelClass, within]),
      [["", true]],
    );
  });

  it("names the line of a quote that does not end in a report of many megabytes, too", () => {
    const rest = "2026-01-06,acme,5\n".repeat(600_000);
    const read = () => parseUsage(`date,subject,tokens\n2026-01-05,"acme,5\n${rest}`);
    assert.throws(read, /^WeirError: usage CSV, line 2: field 2: a quote that does not end/);
  });

  it("tells how many lines are of dates of no window that has ended", () => {
    const usage = [line(1), { ...line(1), date: "2026-01-06" }, { ...line(1), date: "2026-01-04" }];
    assert.equal(outside([record(start), record(start + day)], usage, options), 2);
  });

  it("adds costs up before they are rounded, as a line may cost less than half a micro-dollar", () => {
    const usage = parseUsage(`date,subject,cost\n${"2026-01-05,acme,0.0000004\n".repeat(10)}`);
    const [compared] = reconcile(
      [{ ...record(start, 4), key: `acme|dollars|cost|day||${start}` }],
      usage,
      options,
    );
    assert.deepEqual([compared?.provider, compared?.within], [4, true]);
  });

  it("is compared in few looks at each line where thousands of keys have a window and a line of each day", () => {
    const [keys, days] = [3_000, 30];
    const subjects = Array.from({ length: keys }, (_, i) => `acme/search/key-${i}`);
    const month = Array.from({ length: days }, (_, i) => `2026-01-${String(i + 1).padStart(2, "0")}`);
    let looks = 0;
    const usage = month.flatMap((date) =>
      subjects.map((subject) => ({
        ...line(5, subject),
        get date() {
          looks++;
          return date;
        },
      })),
    );
    const windows = subjects.map((subject) => ({
      ...record(start, 5),
      key: `${subject}|daily|tokens|day||${start}`,
    }));
    assert.equal(reconcile(windows, usage, options).filter(({ within }) => within).length, keys);
    assert.deepEqual(unbooked(windows, usage, options), []);
    assert.equal(outside(windows, usage, options), keys * (days - 1));
    assert.ok(looks < 20 * usage.length, `${looks} looks at ${usage.length} lines`);
  });

  it("is compared with a budget on models by the list that the policy has, a star for any rest", () => {
    const usage = ["gpt-4o", "gpt-4o-2024-08-06", "o1", "o1-mini"].map((model) => ({ ...line(5), model }));
    const records = [record(start, 15, "gpt-4o*,o1")];
    const [compared] = reconcile(records, usage, options);
    assert.deepEqual([compared?.provider, compared?.within], [15, true]);
    assert.deepEqual(
      unbooked(records, usage, options).map(({ model }) => model),
      ["o1-mini"],
    );
    const classes = new Map([["gpt-4o*,o1", ["o1*"]]]);
    assert.equal(reconcile(records, usage, { ...options, classes })[0]?.provider, 10);
  });
});
