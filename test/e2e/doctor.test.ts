/**
 * `weir doctor` against real installations: one that is well, and one for each thing that is known to go wrong. What it
 * says is checked by its words, since these are what a person has at night.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freePort, root, start } from "../../demo/processes.ts";
import { examine, lineOf } from "../../sidecar/cli/doctor.ts";
import type { Finding } from "../../sidecar/doctor/finding.ts";
import { hasRedis } from "../../sidecar/ledger/redis/testing.ts";
import { keyEntry, secret, until, type World, type WorldOptions, world } from "../support/e2e.ts";
import { discovered } from "../support/e2e-policy.ts";
import { listening } from "../support/listening.ts";

const KEY = "doctors-key";
const ADMIN = "the-doctors-admin-token";
const policy = {
  tiers: {
    pro: { tokens: "100000/day", prompt: { max_bytes: "256Ki" } },
    shadowing: { prompt: { injection: "shadow" } },
    narrow: { requests: "1/h" },
    used: { budgets: [{ meter: "requests", limit: 1, window: "month" }] },
  },
  // The doctor, the sidecar and the mock share one process here, and a filter is compiled in it for each look at a policy.
  ledger: { sync: "200ms", timeout: "10s" },
  keys: [
    keyEntry(KEY, "acme/search/doctor", "pro"),
    keyEntry("shadow-key", "acme/shadow/doctor", "shadowing"),
    keyEntry("narrow-key", "acme/narrow/doctor", "narrow"),
    keyEntry("used-key", "acme/used/doctor", "used"),
    keyEntry("old-key", "acme/old/doctor", "pro", { expires: "2020-01-01T00:00:00Z" }),
  ],
};

const defaults = {
  ...{ policy: undefined, sidecar: undefined, proxy: undefined, admin: undefined, key: "", adminToken: "" },
  ...{ path: "/v1/chat/completions", model: "gpt-4o", timeoutMs: 5_000 },
};

/** All that the doctor can look at in a world. */
const all = (w: World) => ({
  ...defaults,
  sidecar: `http://127.0.0.1:${w.sidecarPorts[0]}`,
  proxy: w.envoys[0]?.url ?? "",
  admin: `http://127.0.0.1:${w.envoys[0]?.adminPort}`,
  key: secret(KEY),
  adminToken: ADMIN,
});

const levels = (findings: readonly Finding[]) => findings.map(({ check, level }) => `${level} ${check}`);
const troubles = (findings: readonly Finding[]) => levels(findings.filter(({ level }) => level !== "ok"));

/** The line of one check. */
function line(findings: readonly Finding[], check: string): string {
  const found = findings.find((finding) => finding.check === check);
  return found ? lineOf(found) : assert.fail(`no ${check} in\n${findings.map(lineOf).join("\n")}`);
}

describe("weir doctor, where all is well", () => {
  let w: World;
  let directory: string;
  before(async () => {
    w = await world({ policy, adminToken: ADMIN });
    directory = mkdtempSync(join(tmpdir(), "weir-doctor-"));
  });
  after(async () => {
    await w?.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const policyFile = (content: unknown) => {
    const file = join(directory, "policy.json");
    writeFileSync(file, JSON.stringify(content));
    return file;
  };

  it("finds every check well, and charges one short request", async () => {
    const reordered = Object.fromEntries(Object.entries(policy).reverse());
    const findings = await examine({ ...all(w), policy: policyFile(reordered) });
    assert.deepEqual(levels(findings), [
      ...["ok policy.valid", "ok sidecar.reachable", "ok sidecar.store", "ok sidecar.protocol"],
      ...[
        "ok sidecar.admin",
        "ok sidecar.clock",
        "ok envoy.reachable",
        "ok envoy.filter",
        "ok envoy.bypass",
        "ok envoy.running",
      ],
      ...["ok envoy.stats_tags", "ok envoy.counters", "ok envoy.hold_headers", "ok envoy.failure_policy"],
      "ok envoy.client_address",
      ...["ok envoy.buffer", "ok envoy.cluster", "ok policy.key", "ok proxy.reachable", "ok proxy.clock"],
      ...["ok proxy.stranger", "ok proxy.forged_headers", "ok proxy.request", "ok proxy.injection"],
      ...["ok proxy.body", "ok budget.debited"],
    ]);
    assert.match(line(findings, "sidecar.store"), /embedded ledger, version \d/);
    assert.match(line(findings, "policy.key"), /the key is acme\/search\/doctor, tier pro/);
    assert.match(
      line(findings, "budget.debited"),
      /charged to acme\/search\/doctor: tokens-day \+\d+ tokens/,
    );
    assert.equal(w.llm.seen.length, 1, "only one request went on");
    const seen = w.llm.seen[0];
    assert.equal(seen?.headers["x-weir-subject"], "acme/search/doctor", "the forged one was taken off");
    assert.equal(seen?.headers["x-weir-tier"], "pro");
    assert.equal(seen?.headers["x-weir-verdict"], undefined);
    assert.match(seen?.body ?? "", /"max_tokens":1\b/);
  });

  it("is a command: lines or JSON, exit status 0 or 1, and never the key", async () => {
    const { sidecar, proxy, admin } = all(w);
    const run = async (args: string[], env: Record<string, string>) => {
      const child = start(process.execPath, [join(root, "dist/weir.js"), "doctor", ...args], { env });
      const [status] = await new Promise<[number]>((resolve) => {
        child.process.once("close", (code) => resolve([code ?? -1]));
      });
      return { status, output: child.output() };
    };
    const places = ["--sidecar", sidecar, "--proxy", proxy, "--envoy-admin", admin, "--model", "gpt-4o"];
    const well = await run(places, { WEIR_KEY: secret(KEY), WEIR_ADMIN_TOKEN: ADMIN });
    assert.equal(well.status, 0, well.output);
    assert.match(well.output, /^ok {4}proxy\.request {10}a request with the key got 200 ok in \d+ ms$/m);
    assert.match(well.output, /^\d+ checks, 0 warnings, 0 failed$/m);
    const wrong = await run([...places, "--json"], {
      WEIR_KEY: "nobodys-key",
      WEIR_ADMIN_TOKEN: `${ADMIN}x`,
    });
    assert.equal(wrong.status, 1);
    const { ok, checks } = JSON.parse(wrong.output) as { ok: boolean; checks: Finding[] };
    assert.equal(ok, false);
    assert.deepEqual(troubles(checks), ["fail sidecar.admin", "fail policy.key", "fail proxy.request"]);
    for (const { output } of [well, wrong])
      assert.doesNotMatch(output, /doctors-key|nobodys-key|admin-token/);
    assert.equal((await run([], {})).status, 2);
    assert.equal((await run(["--proxy", "127.0.0.1:1"], {})).status, 2);
  });

  it("says that a key is wrong, too old, used up, limited, or of a tier that only shadows", async () => {
    const { proxy, admin } = all(w);
    const as = (key: string) => examine({ ...defaults, proxy, admin, key: secret(key) });
    const wrong = await as("nobodys-key");
    assert.deepEqual(troubles(wrong), ["fail policy.key", "fail proxy.request"]);
    assert.match(line(wrong, "policy.key"), /FAIL.*not in the policy → .*sha256sum/);
    assert.match(
      line(wrong, "proxy.request"),
      /401 invalid_api_key: Incorrect API key provided\. → Check the key/,
    );
    const old = await as("old-key");
    assert.match(line(old, "policy.key"), /FAIL.*not valid now → see expires/);
    assert.match(line(old, "proxy.request"), /401 expired_api_key/);
    const shadowed = await as("shadow-key");
    assert.deepEqual(troubles(shadowed), ["warn proxy.injection"]);
    assert.match(line(shadowed, "proxy.injection"), /seen and let through → .*prompt\.injection: block/);
    assert.equal((await w.chat("used-key", "hello")).status, 200);
    assert.match(line(await as("used-key"), "proxy.request"), /402 insufficient_quota: The budget/);
    assert.equal((await w.chat("narrow-key", "hello")).status, 200);
    assert.deepEqual(troubles(await as("narrow-key")), ["warn proxy.request"]);
  });

  it("says that a policy is not valid, or not the one that Envoy has", async () => {
    const { admin } = all(w);
    const broken = policyFile({ tiers: { pro: { requests: "60/mi" } } });
    assert.match(
      line(await examine({ ...defaults, policy: broken }), "policy.valid"),
      /FAIL.*\/tiers\/pro\/requests: "60\/mi": expected a rate.* → weir check/,
    );
    const other = policyFile({ ...policy, hold_headers: true });
    const findings = await examine({ ...defaults, admin, policy: other });
    assert.deepEqual(troubles(findings), ["warn envoy.policy"]);
    assert.match(line(findings, "envoy.policy"), /another policy than .*policy\.json → deploy it/);
    const missing = await examine({ ...defaults, policy: join(directory, "nothing.yaml") });
    assert.match(line(missing, "policy.valid"), /FAIL.*cannot be read/);
  });

  it("says that an address leads to something else", async () => {
    const llm = `http://127.0.0.1:${w.llm.port}`;
    const sidecar = line(await examine({ ...defaults, sidecar: llm }), "sidecar.reachable");
    assert.match(sidecar, /FAIL.*not a sidecar → give the sidecar's own address/);
    const admin = line(await examine({ ...defaults, admin: llm }), "envoy.reachable");
    assert.match(admin, /FAIL.*no Envoy's admin interface →/);
    const proxy = line(await examine({ ...defaults, proxy: llm, key: secret(KEY) }), "proxy.stranger");
    assert.match(proxy, /FAIL.*200 without x-weir-verdict: the request did not come through the filter/);
    const empty = `http://127.0.0.1:${await freePort()}`;
    const nobody = { ...defaults, sidecar: empty, proxy: empty };
    for (const check of ["sidecar.reachable", "proxy.reachable"])
      assert.match(line(await examine(nobody), check), /FAIL.*nothing listens there → /);
    const unnamed = await examine({ ...defaults, sidecar: "http://weir-sidecar.invalid:8081" });
    assert.match(line(unnamed, "sidecar.reachable"), /the name does not resolve/);
  });

  it("says that the sidecar is down, and that requests are refused for it", async () => {
    await w.stopSidecar();
    try {
      const findings = await examine(all(w));
      assert.match(
        line(findings, "sidecar.reachable"),
        /FAIL.*nothing listens there → start it \(weir sidecar\)/,
      );
      // A lease at hand may still serve; what passed cannot be seen in books that are away.
      const used = await examine({ ...all(w), key: secret("used-key") });
      assert.match(line(used, "proxy.request"), /503 ledger_unavailable: .* → Check the sidecar/);
      // The filter tells what it counts with its tick.
      await until("the failed call", async () => (await w.stat("weir_ledger_failures_total")) > 0);
      assert.match(
        line(await examine(all(w)), "envoy.counters"),
        /warn.*had no answer \(weir_ledger_failures_total \d+\)/,
      );
    } finally {
      await w.startSidecar();
    }
  });
});

describe("weir doctor, where Envoy is set up wrongly", () => {
  const within = async (options: Partial<WorldOptions>, run: (w: World) => Promise<void>) => {
    const w = await world({ policy, adminToken: ADMIN, workers: 1, ...options });
    try {
      await run(w);
    } finally {
      await w.close();
    }
  };
  const without = (text: RegExp) => (config: string) => {
    assert.match(config, text);
    return config.replace(text, "");
  };

  it("says that headers cannot be held: requests with a body hang", () =>
    within({ edit: without(/ *allow_on_headers_stop_iteration: true\n/) }, async (w) => {
      const findings = await examine({ ...all(w), timeoutMs: 1_500 });
      assert.match(
        line(findings, "envoy.hold_headers"),
        /FAIL.*hangs → set allow_on_headers_stop_iteration: true/,
      );
      assert.match(
        line(findings, "proxy.request"),
        /FAIL.*no answer within 1500 ms → .*allow_on_headers_stop_iteration/,
      );
    }));

  it("says that headers could be held, or are not, as the policy says", async () => {
    const lenient = { ...policy, hold_headers: false };
    await within({ policy: lenient }, async (w) => {
      const findings = await examine(all(w));
      assert.deepEqual(troubles(findings), ["warn envoy.hold_headers"]);
      assert.match(line(findings, "envoy.hold_headers"), /could hold headers.* → take hold_headers out/);
    });
    await within({ policy: lenient, template: "weir-no-hold.yaml" }, async (w) => {
      assert.deepEqual(troubles(await examine(all(w))), []);
    });
  });

  it("finds the policy of a file in whichever listener has it", async () => {
    const port = await freePort();
    const edit = (config: string) =>
      config.replace(/( {4}- name: llm\n {6}address:[\s\S]*?)(?=\n {2}clusters:)/, (listener) =>
        [
          listener.replace(/port_value: \d+/, `port_value: ${port}`).replace("name: llm", "name: other"),
          listener.replace(/\bvalue: ".*"/, `value: '{"tiers":{"pro":{"requests":"5/min"}}}'`),
        ]
          .reverse()
          .join("\n"),
      );
    await within({ edit }, async (w) => {
      const directory = mkdtempSync(join(tmpdir(), "weir-doctor-"));
      const file = join(directory, "policy.json");
      const look = async (content: object) => {
        writeFileSync(file, JSON.stringify(content));
        return troubles(await examine({ ...defaults, admin: all(w).admin, policy: file }));
      };
      try {
        assert.deepEqual(await look(policy), []);
        assert.deepEqual(await look({ ...policy, hold_headers: true }), ["warn envoy.policy"]);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });
  });

  it("says that the buffer is smaller than the bodies that the policy lets in", () =>
    within(
      { edit: (config) => config.replace(/(per_connection_buffer_limit_bytes:) \d+/, "$1 65536") },
      async (w) => {
        const findings = await examine(all(w));
        assert.deepEqual(troubles(findings), ["fail envoy.buffer", "fail proxy.body"]);
        assert.match(
          line(findings, "envoy.buffer"),
          /buffers 65536 bytes.*bodies of 1048576.* → set per_connection/,
        );
        assert.match(
          line(findings, "proxy.body"),
          /a body of 262144 bytes, which the policy allows, got 413 without x-weir-verdict → raise/,
        );
      },
    ));

  it("says that traps let requests through, that labels are missing, and that the cluster is slow or has no endpoint", async () => {
    const edit = (config: string) =>
      without(/stats_config:[\s\S]*$/)(config)
        .replace("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN")
        .replace("- name: weir_sidecar\n", "- name: weir_sidecar\n      http2_protocol_options: {}\n");
    await within({ edit }, async (w) => {
      const findings = await examine(all(w));
      assert.deepEqual(troubles(findings), [
        ...["warn envoy.stats_tags", "fail envoy.failure_policy", "warn envoy.cluster_protocol"],
      ]);
      assert.match(line(findings, "envoy.stats_tags"), /no stats_tags for tier, verdict, purpose/);
      assert.match(
        line(findings, "envoy.failure_policy"),
        /requests pass unchecked → set failure_policy: FAIL_RELOAD/,
      );
      assert.match(line(findings, "envoy.cluster_protocol"), /HTTP\/2: it works/);
    });
    const unresolved = (config: string) =>
      config
        .replace("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_CLOSED")
        .replace(/(cluster_name: weir_sidecar[\s\S]*?address: )"[^"]+"/, '$1"sidecar.invalid"');
    await within({ edit: unresolved }, async (w) => {
      const findings = await examine(all(w));
      assert.match(
        line(findings, "envoy.cluster"),
        /FAIL.*weir_sidecar has no endpoint: .*ledger_unavailable → does its host name resolve/,
      );
      assert.match(line(findings, "envoy.failure_policy"), /warn.*FAIL_CLOSED: after a trap/);
      assert.match(line(findings, "proxy.request"), /503 ledger_unavailable/);
    });
  });

  it("says that requests go past the filter: it is disabled, or a route turns it off", async () => {
    const disabled = (config: string) => config.replace(/( *)- name: weir\n/, "$&$1  disabled: true\n");
    const directory = mkdtempSync(join(tmpdir(), "weir-doctor-"));
    // On its own (ECDS), the filter is not where it is disabled.
    const apart = (text: string) => {
      const file = join(directory, "filter.yaml");
      const { config, filter } = discovered(text, file);
      writeFileSync(file, filter);
      return disabled(config);
    };
    try {
      for (const edit of [disabled, apart])
        await within({ edit }, async (w) => {
          const findings = await examine({ ...defaults, admin: all(w).admin });
          assert.match(
            line(findings, "envoy.bypass"),
            /warn.*weir is there with disabled: true.* → take disabled out/,
          );
        });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    const turnedOff = (config: string) =>
      config.replace(
        /( *)routes:\n/,
        '$&$1  - match: { prefix: "/open" }\n$1    route: { cluster: llm }\n$1    typed_per_filter_config:\n' +
          '$1      weir: { "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }\n',
      );
    await within({ edit: turnedOff }, async (w) => {
      const findings = await examine(all(w));
      assert.deepEqual(troubles(findings), ["warn envoy.bypass"]);
      assert.match(line(findings, "envoy.bypass"), /a route or virtual host turns weir off/);
    });
  });

  it("says that there is no cluster for the ledger", () =>
    within({ policy: { ...policy, ledger: { cluster: "elsewhere" } } }, async (w) => {
      const findings = await examine(all(w));
      assert.match(line(findings, "envoy.cluster"), /FAIL.*no cluster elsewhere.* → add a cluster elsewhere/);
    }));

  it("says that the books are those of another ledger", () =>
    within({ sidecars: 1 }, async (w) => {
      const other = await world({ policy, adminToken: ADMIN, workers: 1 });
      try {
        const findings = await examine({ ...all(w), sidecar: all(other).sidecar });
        assert.deepEqual(troubles(findings), ["fail budget.debited"]);
        assert.match(
          line(findings, "budget.debited"),
          /no budget of acme\/search\/doctor was charged.* → is this sidecar/,
        );
      } finally {
        await other.close();
      }
    }));

  it(
    "says that the Redis behind the sidecar may forget budgets",
    {
      skip: !hasRedis() && "no redis-server",
    },
    () =>
      within({ redis: true }, async (w) => {
        await w.redis?.nodes[0]?.command(["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
        const findings = await examine(all(w));
        assert.deepEqual(troubles(findings), ["warn sidecar.eviction"]);
        assert.match(
          line(findings, "sidecar.eviction"),
          /warn.*may forget budgets.* → set maxmemory-policy noeviction in Redis/,
        );
      }),
  );

  it("says that the store behind the sidecar is away", { skip: !hasRedis() && "no redis-server" }, () =>
    within({ redis: true, adminToken: ADMIN }, async (w) => {
      const well = await examine(all(w));
      assert.match(line(well, "sidecar.store"), /redis ledger/);
      assert.deepEqual(troubles(well), []);
      await w.redis?.stop();
      const findings = await examine(all(w));
      const store = line(findings, "sidecar.store");
      // The token is right: nobody is told to change it.
      assert.match(line(findings, "sidecar.admin"), /FAIL.*does not answer → mend the store/);
      assert.match(store, /FAIL.*does not answer \(redis ledger, version .*\) → .*Redis cannot be reached/);
    }),
  );
});

it("each check of weir doctor is explained in the operator's guide", () => {
  const folder = join(root, "sidecar/doctor");
  const sources = [
    ...readdirSync(folder).map((name) => join(folder, name)),
    join(root, "sidecar/cli/doctor.ts"),
  ];
  const checks = sources.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/"((?:policy|sidecar|envoy|proxy|budget|kong)\.[a-z_]+)"/g)].map(
      ([, check]) => check,
    ),
  );
  // Its own section: elsewhere the guide names events of webhooks in the same form.
  const [, guide = ""] = readFileSync(join(root, "docs/operations.md"), "utf8").split(
    "\n## What the doctor looks at\n",
  );
  const named = [...guide.matchAll(/`((?:policy|sidecar|envoy|proxy|budget|kong)\.[a-z_]+)`/g)].map(
    ([, check]) => check,
  );
  assert.deepEqual([...new Set(named)].sort(), [...new Set(checks)].sort());
});

describe("weir doctor, on what real servers seldom show", () => {
  /** A server that answers as it is told, for as long as `run` takes. */
  async function serving(listener: RequestListener, run: (url: string) => Promise<void>): Promise<void> {
    const server = createServer((request, response) => {
      request.resume();
      request.once("end", () => listener(request, response));
    });
    const port = await listening(server);
    try {
      await run(`http://127.0.0.1:${port}`);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  it("warns of clocks that differ, and says which way", () =>
    serving(
      (_request, response) => {
        response.writeHead(200, { date: new Date(Date.now() - 3_600_000).toUTCString() });
        response.end("ok\n");
      },
      async (url) => {
        const clock = line(await examine({ ...defaults, sidecar: url }), "sidecar.clock");
        assert.match(clock, /warn.*the sidecar is 3(59\d|600) s behind the clock here → synchronise/);
      },
    ));

  it("takes a sidecar that is slow for slow, and not for one whose clock is behind", () =>
    serving(
      (request, response) => {
        const answer = () => response.writeHead(200, { date: new Date().toUTCString() }).end("ok\n");
        if (request.url === "/metrics") setTimeout(answer, 4_500);
        else answer();
      },
      async (url) => {
        const findings = await examine({ ...defaults, sidecar: url, timeoutMs: 10_000 });
        assert.match(line(findings, "sidecar.clock"), /ok.*has our time/);
      },
    ));

  it("knows Kong, where a ledger has no cluster name and a body may lie on disk", () =>
    serving(
      (request, response) => {
        const large = Number(request.headers["content-length"]) > 8_192;
        const stranger = request.headers.authorization !== `Bearer ${secret(KEY)}`;
        const verdict = large ? "body_unavailable" : stranger ? "invalid_api_key" : "ok";
        const status = { body_unavailable: 413, invalid_api_key: 401, ok: 200 }[verdict];
        response.writeHead(status ?? 200, { server: "kong/3.9.1", "x-weir-verdict": verdict });
        response.end("{}");
      },
      async (url) => {
        const directory = mkdtempSync(join(tmpdir(), "weir-doctor-"));
        const file = join(directory, "policy.json");
        writeFileSync(file, JSON.stringify(policy));
        try {
          const findings = await examine({ ...defaults, proxy: url, policy: file, key: secret(KEY) });
          assert.match(line(findings, "proxy.reachable"), /answers \(Kong\)/);
          assert.match(
            line(findings, "kong.ledger"),
            /warn.*ledger\.cluster is weir_sidecar, which only the plugin knows.* → with the filter, name the sidecar by host:port/,
          );
          writeFileSync(file, JSON.stringify({ ...policy, ledger: { cluster: "ledger" } }));
          assert.match(
            line(await examine({ ...defaults, proxy: url, policy: file, key: secret(KEY) }), "kong.ledger"),
            /FAIL.*ledger\.cluster is ledger → name the sidecar by host:port/,
          );
          assert.match(
            line(findings, "proxy.body"),
            /FAIL.*413 body_unavailable → raise nginx_http_client_body_buffer_size above 262144/,
          );
        } finally {
          rmSync(directory, { recursive: true, force: true });
        }
      },
    ));
});
