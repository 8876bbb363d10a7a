// The documentation is checked like code: every policy in it is one that the filter takes, every link leads somewhere,
// and what it says of statuses agrees with the catalogue.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { problemsOf } from "../../sidecar/cli/check.ts";
import { Pseudonyms } from "../../sidecar/events/pseudonyms.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file: string) => readFileSync(join(root, file), "utf8");
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...(readdirSync(join(root, "docs"), { recursive: true }) as string[])
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
];

/** The contents of a page's code blocks of a language. */
const blocks = (page: string, language: string) =>
  [...read(page).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? "");

/** The anchors that a page's headings make, as GitHub makes them. */
const anchors = (page: string) =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );

describe("the documentation", () => {
  it("shows only policies that the filter takes", () => {
    const policies = pages.flatMap((page) => blocks(page, "yaml").map((text) => ({ page, text })));
    assert.ok(policies.length >= 10, `${policies.length} policies found`);
    for (const { page, text } of policies)
      assert.deepEqual(problemsOf(JSON.stringify(parse(text))), [], `${page}:\n${text}`);
  });

  it("shows a problem as the filter words it", () => {
    const policy = parse(blocks("README.md", "yaml")[0] ?? "");
    policy.tiers.pro.requests = "60/mi";
    const [problem = ""] = problemsOf(JSON.stringify(policy));
    assert.ok(read("README.md").includes(problem), problem);
  });

  it("shows how a caller's events are found, also where a subject begins with a digit", () => {
    const shown = blocks("docs/operations.md", "sh").find((text) => text.includes("openssl"));
    const key = "a key of the test, long";
    for (const subject of ["acme/search/key-7", "7eleven/search", "007/x"]) {
      const command = shown?.replace("acme/search/key-7", subject) ?? "false";
      const env = { ...process.env, WEIR_EVENTS_KEY: key };
      const found = execFileSync("bash", ["-c", command], { env, encoding: "utf8" });
      assert.equal(found, new Pseudonyms(key).of("subject", subject), subject);
    }
  });

  it("links only to what is there", () => {
    for (const page of pages) {
      for (const [, target = ""] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [path = "", anchor] = target.split("#");
        const file = path === "" ? page : join(dirname(page), path);
        assert.ok(existsSync(join(root, file)), `${page}: ${target}`);
        if (anchor) assert.ok(anchors(file).includes(anchor), `${page}: ${target}`);
      }
    }
  });

  it("names every verdict in the README under its status, and explains each in the operator's guide", () => {
    const entries = JSON.parse(read("catalog/verdicts.json")) as { code: string; status: number }[];
    const rows = read("README.md")
      .split("\n")
      .filter((line) => /^\| \d{3}/.test(line));
    const guide = read("docs/operations.md");
    for (const { code, status } of entries) {
      const row = rows.find((line) => line.includes(`\`${code}\``));
      assert.ok(row?.split("|")[1]?.includes(String(status)), `README: ${code} under ${status}`);
      assert.ok(guide.includes(`\`${code}\``), `docs/operations.md: ${code}`);
    }
  });

  it("shows the tour's rows as the tour names them", () => {
    const tour = read("demo/scenarios.ts") + read("demo/tour.ts");
    const shown = [...read("README.md").matchAll(/^✓ (.*?) {2,}/gm)].map((match) => match[1] ?? "");
    assert.ok(shown.length >= 20, `${shown.length} rows shown`);
    const unknown = shown.filter((row) => !tour.includes(`"${row}"`));
    assert.deepEqual(unknown, []);
  });

  it("tells the filter's bounds as the sources have them", () => {
    const sources = (readdirSync(join(root, "assembly"), { recursive: true }) as string[])
      .filter((name) => name.endsWith(".ts"))
      .map((name) => read(join("assembly", name)));
    const constant = (name: string) => {
      for (const keyword of ["export const", "const"]) {
        for (const text of sources) {
          const match = text.match(
            new RegExp(`^${keyword} ${name}(?:: \\w+)? = ([\\d_]+)(?: << (\\d+))?;`, "m"),
          );
          if (match) return Number(match[1]?.replaceAll("_", "")) * 2 ** Number(match[2] ?? 0);
        }
      }
      return assert.fail(`${name}: no such constant`);
    };
    const rows = [...read("ARCHITECTURE.md").matchAll(/^\| [^|]+ \| ([^|]+) \| `([A-Z_]+)` \|/gm)];
    assert.ok(rows.length >= 20, `${rows.length} rows`);
    for (const [, shown = "", name = ""] of rows) {
      const value = constant(name);
      const forms = [
        value.toLocaleString("en"),
        `${value} B`,
        `${value / 1024} KiB`,
        `${value / 2 ** 20} MiB`,
      ];
      assert.ok(forms.includes(shown), `${name}: ${shown}: expected one of ${forms.join(", ")}`);
    }
  });
});
