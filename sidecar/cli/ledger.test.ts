// `weir ledger` on each kind of ledger: a stopped sidecar's directory, a running sidecar, Redis. What it prints is compared
// in the words that matter; the sums are the ledger's own, and tested there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import os, { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { listening } from "../../test/support/listening.ts";
import { LedgerAdmin } from "../gen/weir/v1/ledger_admin_pb.ts";
import { windowAt } from "../ledger/calendar.ts";
import { openEmbedded } from "../ledger/embedded.ts";
import { openRedis } from "../ledger/redis/store.ts";
import { hasRedis, startRedis } from "../ledger/redis/testing.ts";
import { remoteBooks } from "../ledger/remote-books.ts";
import { acquire, budget } from "../ledger/testing.ts";
import type { Ledger } from "../ledger/types.ts";
import { startSidecar } from "../server.ts";
import { makeSettings } from "../settings.ts";
import { runWeir } from "./commands.ts";
import { run as runLedger } from "./ledger.ts";
import { amount, budgetText, duration } from "./ledger-text.ts";
import { UsageError } from "./usage.ts";

const TOKEN = "0123456789abcdef";
const directory = mkdtempSync(join(tmpdir(), "weir-cli-"));
const home = join(directory, "ledger");

/** Runs it, with what it printed: standard output first, then errors. */
const run = (...args: string[]) => printed(() => runLedger(args));

async function printed(work: () => Promise<number>): Promise<{ code: number; out: string }> {
  const [log, error] = [console.log, console.error];
  const lines: string[] = [];
  console.log = console.error = (line: string) => lines.push(line);
  try {
    return { code: await work(), out: lines.join("\n") };
  } finally {
    [console.log, console.error] = [log, error];
  }
}

/** acme/search has 60 of 100 spent and a lease of 10 open. */
async function fill(ledger: Ledger): Promise<void> {
  const spent = acquire([budget("acme/search", 100, { need: 60 })]);
  await ledger.acquire(spent);
  const { leaseId, subject } = spent;
  await ledger.settle({ kind: "settle", leaseId, subject, sequence: 1, spent: [60], final: true });
  await ledger.acquire(acquire([budget("acme/search", 100, { need: 10 })], { leaseId: "open-1" }));
}

describe("weir ledger", () => {
  before(async () => {
    const ledger = await openEmbedded({ directory: home });
    await fill(ledger);
    await ledger.close();
  });
  after(() => rmSync(directory, { recursive: true, force: true }));
  afterEach(() => {
    delete process.env.WEIR_ADMIN_TOKEN;
  });

  const checkAll = async (...where: string[]): Promise<void> => {
    const shown = await run("show", "acme", ...where);
    assert.equal(shown.code, 0);
    for (const text of [
      /acme\/search {2}monthly: tokens per month, all models/,
      /spent +60 {2}60\.0 % of the limit/,
      /leased +10 {2}held by gateways in 1 open leases/,
      /free +30$/m,
      /lease open-1 {2}of acme\/search, held by edge-1: usable for/,
    ])
      assert.match(shown.out, text);

    const target = ["acme/search", "monthly"];
    const refund = ["adjust", ...target, "-20", "--reason", "outage of the 3rd", "--by", "ana", ...where];
    const first = await run(...refund, "--id", "a-1");
    assert.equal(first.code, 0);
    assert.match(first.out, /-20; spent is now 40\. Kept in the journal as a-1/);
    assert.match((await run(...refund, "--id", "a-1")).out, /done before and counts once; spent is 40/);
    const other = ["adjust", ...target, "-30", "--reason", "x", "--id", "a-1", ...where];
    const refused = /a-1: was used before, for -20 on acme\/search\|monthly\|\S+$/;
    await assert.rejects(run(...other), ({ code, message }) => code === "conflict" && refused.test(message));
    const after = (await run("show", "acme/search", ...where)).out;
    assert.match(after, /adjusted by hand: -20 by ana: outage of the 3rd/);

    const tooMuch = await run("adjust", ...target, "-41", "--reason", "x", ...where);
    assert.deepEqual([tooMuch.code, /cannot go below 0/.test(tooMuch.out)], [1, true]);
    await assert.rejects(run("reset", ...target, ...where), /--reason is missing/);
    assert.match((await run("reset", ...target, "--reason", "new contract", ...where)).out, /spent is now 0/);
    await assert.rejects(
      run("reset", "acme/search", "daily", "--reason", "x", ...where),
      /there are:\n {2}'acme/,
    );

    const elsewhere = await run("export", "acme/other", ...where);
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.out, /^weir ledger: nothing is known of acme\/other/, "and not what others have");
    const key = `acme/search|monthly|tokens|month||${windowAt(budget("acme/search", 100), Date.now()).start}`;
    await assert.rejects(
      run("adjust", key, "-10", "-5", "--reason", "x", ...where),
      (thrown) => thrown instanceof UsageError && /-10: a key names the budget/.test(thrown.message),
    );
    const lines = (await run("export", "acme/search", ...where)).out
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map(({ type, organisation }) => [type, organisation]),
      [
        ["budget", "acme"],
        ["lease", "acme"],
        ["journal", "acme"],
        ["journal", "acme"],
      ],
    );
    assert.deepEqual([lines[0].spent, lines[0].outstanding, lines[1].id], [0, 10, "open-1"]);
    assert.match((await run("show", "nobody", ...where)).out, /nothing is known of nobody/);
  };

  it("works on the directory of a sidecar that is stopped", () => checkAll("--directory", home));

  it("tells the proxy's address from a sidecar that refuses the token", async () => {
    const error = {
      type: "authentication_error",
      code: "invalid_api_key",
      message: "Incorrect API key provided.",
    };
    const proxy = createServer((_request, response) => {
      response.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify({ error }));
    });
    const port = await listening(proxy);
    process.env.WEIR_ADMIN_TOKEN = TOKEN;
    try {
      const url = `http://127.0.0.1:${port}`;
      await assert.rejects(
        run("show", "--sidecar", url),
        /what answers at http:\S+ wants another login than a sidecar does: is it the proxy\?/,
      );
    } finally {
      proxy.close();
    }
  });

  it("works on a running sidecar with its token, and says what is wrong without", async () => {
    const ledger = { kind: "embedded", directory: join(directory, "running") } as const;
    const sidecar = await startSidecar(
      makeSettings({ port: 0, ledger, adminToken: TOKEN, stopGraceMs: 100 }),
    );
    try {
      await fill(sidecar.ledger);
      const where = ["--sidecar", `http://127.0.0.1:${sidecar.port}`];
      await assert.rejects(run("show", ...where), /WEIR_ADMIN_TOKEN is not set/);
      process.env.WEIR_ADMIN_TOKEN = "another-token-of-16";
      await assert.rejects(run("show", ...where), /refused the token/);
      process.env.WEIR_ADMIN_TOKEN = TOKEN;
      await checkAll(...where);
      await assert.rejects(
        run("show", "--directory", ledger.directory),
        /a sidecar runs on it\. Ask that one/,
      );
    } finally {
      await sidecar.close();
    }
  });

  it("says that a sidecar without a token has no admin service", async () => {
    const ledger = { kind: "embedded", directory: join(directory, "off") } as const;
    const sidecar = await startSidecar(makeSettings({ port: 0, ledger, stopGraceMs: 100 }));
    try {
      process.env.WEIR_ADMIN_TOKEN = TOKEN;
      const where = ["--sidecar", `http://127.0.0.1:${sidecar.port}`];
      await assert.rejects(
        run("show", ...where),
        /no admin service answers at http:.*: start the sidecar with WEIR_ADMIN_TOKEN set/,
      );
    } finally {
      await sidecar.close();
    }
  });

  it("works on Redis", { skip: hasRedis() ? false : "redis-server is not installed" }, async () => {
    const redis = await startRedis({ durable: false });
    try {
      const ledger = await openRedis({ urls: redis.urls, cluster: false });
      await fill(ledger);
      await ledger.close();
      await checkAll("--redis", redis.urls[0] ?? "");
    } finally {
      await redis.stop();
    }
  });

  it("says that nothing was changed when Redis refused, or was not there", {
    skip: hasRedis() ? false : "redis-server is not installed",
  }, async () => {
    const redis = await startRedis({ durable: false });
    const [node] = redis.nodes;
    try {
      const ledger = await openRedis({ urls: redis.urls, cluster: false });
      await fill(ledger);
      await ledger.close();
      const where = ["--redis", redis.urls[0] ?? ""];
      const adjust = ["ledger", "adjust", "acme/search", "monthly", "5", "--reason", "x", ...where];
      const untouched = "weir ledger: nothing was changed\nweir ledger:";
      await node?.command(["CONFIG", "SET", "maxmemory", "1"]);
      const refused = await printed(() => runWeir(adjust));
      assert.equal(refused.out, `${untouched} the ledger's Redis refuses: Redis answered OOM`);
      await node?.end("SIGKILL");
      const down = await printed(() => runWeir(adjust));
      assert.deepEqual([refused.code, down.code], [1, 1]);
      assert.ok(down.out.startsWith(`${untouched} Redis cannot be reached: connect ECONNREFUSED`), down.out);
    } finally {
      await redis.stop();
    }
  });

  it("finds the current window by the ledger's clock, not by its own", {
    skip: hasRedis() ? false : "redis-server is not installed",
  }, async (t) => {
    const redis = await startRedis({ durable: false });
    const ledger = { kind: "redis", urls: redis.urls, cluster: false } as const;
    const sidecar = await startSidecar(
      makeSettings({ port: 0, ledger, adminToken: TOKEN, stopGraceMs: 100 }),
    );
    try {
      await fill(sidecar.ledger);
      process.env.WEIR_ADMIN_TOKEN = TOKEN;
      const { now } = Date;
      t.mock.method(Date, "now", () => now() + 100 * 86_400_000);
      // The sidecar shares this process, and its clock: it learns Redis' time as any does.
      await sidecar.ledger.ready();
      for (const where of [
        ["--sidecar", `http://127.0.0.1:${sidecar.port}`],
        ["--redis", redis.urls[0] as string],
      ]) {
        const done = await run("adjust", "acme/search", "monthly", "5", "--reason", "x", ...where);
        assert.match(done.out, /\+5; spent is now/);
        assert.match((await run("show", "acme", ...where)).out, /, ends in \d+ (d|h|min)/);
      }
    } finally {
      t.mock.reset();
      await sidecar.close();
      await redis.stop();
    }
  });

  it("says that it is unknown whether a change was done whose answer was lost, and counts it once when repeated", async () => {
    const ledger = { kind: "embedded", directory: join(directory, "lossy") } as const;
    const sidecar = await startSidecar(
      makeSettings({ port: 0, ledger, adminToken: TOKEN, stopGraceMs: 100 }),
    );
    let loses = true;
    const calls: string[] = [];
    const between = createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      const { authorization = "", "content-type": type = "" } = request.headers;
      const url = `http://127.0.0.1:${sidecar.port}${request.url}`;
      calls.push(request.url?.split("/").at(-1) ?? "");
      const headers = { authorization, "content-type": type };
      const answer = await fetch(url, { method: "POST", headers, body });
      if (loses && request.url?.endsWith("/Adjust")) return request.socket.destroy();
      response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" });
      response.end(Buffer.from(await answer.arrayBuffer()));
    });
    const port = await listening(between);
    try {
      await fill(sidecar.ledger);
      process.env.WEIR_ADMIN_TOKEN = TOKEN;
      const where = ["--sidecar", `http://127.0.0.1:${port}`];
      const adjust = ["ledger", "adjust", "acme/search", "monthly", "5", "--reason", "x", "--id", "w-1"];
      const lost = await printed(() => runWeir([...adjust, ...where]));
      assert.match(
        lost.out,
        /^weir ledger: whether it was done is unknown\. Repeat it with --id w-1: it counts once\n/,
      );
      loses = false;
      const again = await printed(() => runWeir([...adjust, ...where]));
      assert.match(again.out, /w-1 was done before and counts once; spent is 65/);
      calls.length = 0;
      assert.equal((await printed(() => runWeir(["ledger", "show", "acme", ...where]))).code, 0);
      assert.deepEqual(calls, ["GetOrganisation"], "all that is shown is of one moment");
    } finally {
      between.close();
      await sidecar.close();
    }
  });

  it("is told the books of a large organisation in parts, so that proxies are answered between them, and those of one subject alone", async () => {
    const ledger = { kind: "embedded", directory: join(directory, "large") } as const;
    const sidecar = await startSidecar(
      makeSettings({ port: 0, ledger, adminToken: TOKEN, stopGraceMs: 100 }),
    );
    const [teams, keys] = [2, 600];
    const grant = (i: number) =>
      sidecar.ledger.acquire(acquire([budget(`acme/team-${i % teams}/key-${i}`, 100)]));
    try {
      await Promise.all(Array.from({ length: teams * keys }, (_, i) => grant(i)));
      const baseUrl = `http://127.0.0.1:${sidecar.port}`;
      const client = createClient(LedgerAdmin, createConnectTransport({ baseUrl, httpVersion: "1.1" }));
      const headers = { authorization: `Bearer ${TOKEN}` };
      const counts: number[] = [];
      for await (const { budgets, leases, journal } of client.getOrganisation(
        { organisation: "acme" },
        { headers },
      ))
        counts.push(budgets.length + leases.length + journal.length);
      assert.deepEqual(counts, [0, 500, 500, 200, 500, 500, 200], "the first tells the time");
      process.env.WEIR_ADMIN_TOKEN = TOKEN;
      const book = await remoteBooks(baseUrl, TOKEN).book("acme/team-1");
      const subjects = [...book.budgets.map(({ key }) => key), ...book.leases.map(({ subject }) => subject)];
      assert.equal(subjects.length, 2 * keys);
      assert.ok(subjects.every((subject) => subject.startsWith("acme/team-1/")));
      const lost = run("adjust", "acme/team-2", "monthly", "5", "--reason", "x", "--sidecar", baseUrl);
      await assert.rejects(lost, ({ message }) => {
        const lines = String(message).split("\n");
        assert.equal(lines.length, 22);
        return lines.at(-1) === `  and ${teams * keys - 20} more: weir ledger show acme`;
      });
    } finally {
      await sidecar.close();
    }
  });

  it("makes no new ledger where there is none, whether the directory exists or not", async () => {
    await assert.rejects(
      run("show", "--directory", join(directory, "none")),
      /no ledger in .*none: expected/,
    );
    const empty = mkdtempSync(join(directory, "empty-"));
    await assert.rejects(run("show", "--directory", empty), /no ledger in .*: expected data\.mdb/);
    assert.deepEqual(readdirSync(empty), []);
  });

  it("compares an export with a provider's usage, and fails when they differ beyond the tolerance", async () => {
    const day = 86_400_000;
    const record = (key: string, spent: number) => {
      const start = Date.UTC(2026, 0, 5);
      const sums = { limit: 1e6, limitMax: 1e6, spent, outstanding: 0, debt: 0, leases: 0, notified: 0 };
      return JSON.stringify({
        type: "budget",
        key: `${key}|${start}`,
        start,
        end: start + day,
        ...sums,
        keepUntil: 0,
      });
    };
    const exported = join(directory, "export.jsonl");
    const usage = join(directory, "usage.csv");
    writeFileSync(
      exported,
      `${record("acme/search|daily|tokens|day|", 1_000)}\n${record("acme|dollars|cost|day|large", 2_500_000)}\n`,
    );
    const csv = [
      "Date,subject,model,prompt_tokens,completion_tokens,cost",
      "2026-01-05T10:00:00Z,acme/search/key-1,gpt-4o,400,100,2",
      '2026-01-05,acme/search/key-2,"gpt-4o-mini",300,195,0.5',
      "2026-01-05,acme/other,o1,0,0,0.5",
      "2026-01-06,acme/search/key-1,gpt-4o,1000,0,9",
    ];
    writeFileSync(usage, csv.join("\r\n"));
    const args = ["reconcile", usage, "--export", exported, "--class", "large=gpt-4o,o1"];
    const well = await run(...args);
    assert.equal(well.code, 0, well.out);
    assert.match(well.out, /ok {4}2026-01-05 {2}acme\/search .*ledger 1,000, provider 995, \+5 \(0\.50 %\)/);
    assert.match(well.out, /large: ledger \$2\.50, provider \$2\.50/);
    const strict = await run(...args, "--tolerance", "0.1%");
    assert.equal(strict.code, 1);
    assert.match(
      strict.out,
      /DIFFER {2}2026-01-05 {2}acme\/search[\s\S]*2 windows compared, 1 differ by more than 0\.1 %/,
    );
    const past = ["2026-01-05,acme/unknown/one,gpt-9,10,5,0.3", "2026-01-09,acme/unknown/one,gpt-9,1,1,1"];
    writeFileSync(usage, [...csv, ...past].join("\n"));
    const wide = await run(...args, "--tolerance", "5");
    assert.equal(wide.code, 1);
    assert.match(
      wide.out,
      /NOWHERE 2026-01-05 {2}acme\/unknown\/one {2}gpt-9: provider prompt_tokens 10, completion_tokens 5, tokens 15, cost \$0\.30: no window of this ledger counts it\n2 windows compared, 0 differ by more than 5 %; 1 subjects and models that none counts/,
    );
    writeFileSync(usage, "date,subject,cost\n2026-01-05,acme/other,2.5\n2026-01-05,beta,1\n");
    const nameless = await run(...args);
    assert.equal(nameless.code, 1);
    assert.match(
      nameless.out,
      /acme\/other {2}no model: .*: its budgets are on some models only, and the file does not say which it asked: expected a column model\nNOWHERE 2026-01-05 {2}beta {2}no model: .*: no window of this ledger counts it\n.*nothing to compare: .* that the file has, and on all models, as it names none$/,
    );
    writeFileSync(usage, "date,subject\n");
    await assert.rejects(run(...args), /no amounts: expected one of requests/);
    writeFileSync(usage, "date,subject,tokens\n5 Jan,acme,1\n");
    await assert.rejects(run(...args), /line 2: date: 5 Jan: expected YYYY-MM-DD/);
  });

  it("ends without a word when its output is read no further", async () => {
    const many = join(directory, "many");
    const ledger = await openEmbedded({ directory: many });
    const grant = (i: number) => ledger.acquire(acquire([budget(`acme/search/key-${i}`, 100)]));
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => grant(i)));
    await ledger.close();
    const shell = '"$0" --import tsx sidecar/cli/main.ts ledger show --directory "$1" | head -n 1';
    const { stdout, stderr } = spawnSync("sh", ["-c", shell, process.execPath, many], { encoding: "utf8" });
    assert.deepEqual([stdout.length > 0, stderr], [true, ""]);
  });

  it("explains itself when it is used wrongly", async () => {
    for (const [args, message] of [
      [[], /nothing: expected one of show, adjust/],
      [["nonsense"], /nonsense: expected one of show, adjust/],
      [["adjust", "x"], /adjust: 1 arguments: expected 2 or 3/],
      [["reconcile"], /reconcile: 0 arguments: expected 1/],
      [["adjust", "acme", "monthly", "1.5", "--reason", "x"], /AMOUNT: 1\.5: .*micro-dollars for a cost/],
      // Twenty dollars, for who wrote it; a thousand, where a point groups digits; sixteen, for nobody.
      [["adjust", "acme", "monthly", "20.00", "--reason", "x"], /AMOUNT: 20\.00: .*micro-dollars for a cost/],
      [["adjust", "acme", "monthly", "-1.000", "--reason", "x"], /AMOUNT: -1\.000: expected an integer/],
      [["adjust", "acme", "monthly", "0x10", "--reason", "x"], /AMOUNT: 0x10: expected an integer/],
      [["reconcile", "x", "--tolerance", "much"], /--tolerance: much: expected a percentage/],
      [["reconcile", "x", "--time-zone", "here"], /--time-zone: here: expected a zone's name/],
      [["reconcile", "x", "--class", "large"], /--class: large: expected CLASS=MODEL,MODEL/],
      [["reconcile", "x", "--tolerance", ""], /--tolerance: : expected a percentage/],
      [["show", "--export", "file"], /--export: is no option of show/],
      [
        ["adjust", "acme", "b", "5", "--reason", "x", "--tolerance", "3"],
        /--tolerance: is no option of adjust/,
      ],
      [["reconcile", "x", "--reason", "x"], /--reason: is no option of reconcile/],
      [["show", "--sidecar", "127.0.0.1:8081"], /--sidecar: 127\.0\.0\.1:8081: expected http:\/\/HOST:PORT/],
      [["show", "--redis", "127.0.0.1"], /--redis: expected redis:\/\/HOST:PORT/],
      [["show", "--redis", "redis://127.0.0.1/books"], /^--redis: expected redis:\/\/host:port/],
    ] as const)
      await assert.rejects(
        run(...args),
        (thrown) => thrown instanceof UsageError && message.test(thrown.message),
      );
    // Not 3 given back, for the reason "7".
    const swapped = [
      "ledger",
      "adjust",
      "acme/search",
      "monthly",
      "--reason",
      "-3",
      "7",
      "--directory",
      home,
    ];
    const { code, out } = await printed(() => runWeir(swapped));
    assert.deepEqual([code, /'--reason' argument is ambiguous.*'--reason=-XYZ'/.test(out)], [2, true], out);
  });

  it("asks who changes something where the system has no name for its user", async (t) => {
    t.mock.method(os, "userInfo", () => assert.fail("uv_os_get_passwd returned ENOENT"));
    syncBuiltinESMExports();
    t.after(() => {
      t.mock.restoreAll();
      syncBuiltinESMExports();
    });
    const adjust = ["adjust", "acme/search", "monthly", "5", "--reason", "x", "--directory", home];
    await assert.rejects(run(...adjust), (thrown) => {
      return thrown instanceof UsageError && /--by is missing: the journal keeps who/.test(thrown.message);
    });
    assert.equal((await run(...adjust, "--by", "ana")).code, 0);
  });

  it("names a file that it cannot read, and the line of an export that is none", async () => {
    const none = join(directory, "none.csv");
    await assert.rejects(run("reconcile", none), /none\.csv: cannot be read: ENOENT: no such file/);
    const [usage, broken] = [join(directory, "u.csv"), join(directory, "broken.jsonl")];
    writeFileSync(usage, "date,subject,tokens\n2026-01-05,acme,1\n");
    writeFileSync(broken, '{"type":"lease"}\nnull\n{oops\n');
    await assert.rejects(run("reconcile", usage, "--export", broken), /broken\.jsonl:3: not JSON/);
    writeFileSync(
      broken,
      '{"type":"lease"}\n{"type":"budget","key":"acme|a|tokens|day||0","start":0,"end":1}\n',
    );
    await assert.rejects(run("reconcile", usage, "--export", broken), /broken\.jsonl:2: not a budget as an/);
  });

  it("shows the highest limit of the window beside a lower one of the newest lease, as of two tiers", () => {
    const key = "acme|monthly|cost|month||0";
    const spent = { spent: 0, outstanding: 0, debt: 0, leases: 0, notified: 0, keepUntil: 2 } as const;
    const shown = (limitMax: number) =>
      budgetText({ key, start: 0, end: 1, limit: 10_000_000, limitMax, ...spent }, 0);
    assert.match(
      shown(25_000_000),
      /limit +\$10\.00 .*its own policy; the highest in this window: \$25\.00$/m,
    );
    assert.match(shown(10_000_000), /its own policy$/m);
  });

  it("writes spans and dollars for people", () => {
    assert.deepEqual([0, 59_999, 90_000_000, 864_000_000].map(duration), ["0 s", "59 s", "1 d 1 h", "10 d"]);
    assert.deepEqual([amount(1_234_567, "tokens"), amount(-1_500_001, "cost")], ["1,234,567", "-$1.500001"]);
  });
});
