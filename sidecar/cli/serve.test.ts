// `weir serve` as it is run: a process of its own before an upstream, until a signal ends it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { listening } from "../../test/support/listening.ts";
import { startSidecar } from "../server.ts";
import { makeSettings } from "../settings.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** Runs `work` with the address of a gateway, and what it said so far; then ends it by SIGTERM, and expects 0. */
async function withGateway(
  policy: string,
  answer: RequestListener,
  options: string[],
  work: (address: string, said: () => string) => Promise<void>,
): Promise<void> {
  const upstream = createServer(answer);
  const port = await listening(upstream);
  const directory = mkdtempSync(join(tmpdir(), "weir-serve-"));
  const file = join(directory, "policy.yaml");
  writeFileSync(file, policy);
  const args = ["serve", "--policy", file, "--upstream", `127.0.0.1:${port}`, "--port", "0", ...options];
  const child = spawn(process.execPath, ["--import", "tsx", main, ...args]);
  try {
    let said = "";
    child.stderr.on("data", (text) => {
      said += text;
    });
    const address = await new Promise<string>((resolve, reject) => {
      child.stdout.on("data", (text) => {
        said += text;
        const ready = /weir: ready (\S+)/.exec(said);
        if (ready) resolve(ready[1] as string);
      });
      child.once("exit", () => reject(new Error(said)));
    });
    await work(address, () => said);
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null], said);
  } finally {
    child.kill("SIGKILL");
    upstream.closeAllConnections();
    upstream.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

test("serve takes bodies as long as the policy's longest, and ends with 0 when told to", async () => {
  const policy = "tiers: { anonymous: { prompt: { max_bytes: 8Mi, injection: off } } }\n";
  const count: RequestListener = (incoming, response) => {
    let bytes = 0;
    incoming.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
    });
    incoming.on("end", () => response.end(`${bytes}`));
  };
  await withGateway(policy, count, [], async (address, said) => {
    const send = async (bytes: number) => {
      const [start, end] = ['{"model":"m","messages":[{"role":"user","content":"', '"}]}'];
      const body = start + "a".repeat(bytes - start.length - end.length) + end;
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${address}/v1/chat/completions`, { method: "POST", headers, body });
      return [answer.status, await answer.text()];
    };
    // Longer than the 4 MiB that a policy without max_bytes gets.
    assert.deepEqual(await send(6 << 20), [200, `${6 << 20}`], said());
    const [status, text] = await send((8 << 20) + 1);
    assert.equal(status, 413);
    assert.match(`${text}`, /"code":"body_too_large"/);
  });
});

test("serve gives its leases back before it ends: what nobody used costs nothing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-serve-ledger-"));
  const sidecar = await startSidecar(makeSettings({ port: 0, ledger: { kind: "embedded", directory } }));
  try {
    const policy =
      "tiers: { anonymous: { requests: 100/day, budgets: [{ meter: requests, limit: 1000, window: day }] } }\n";
    const answer: RequestListener = (_incoming, response) => {
      response.setHeader("content-type", "application/json");
      response.end("{}");
    };
    await withGateway(policy, answer, ["--sidecar", `127.0.0.1:${sidecar.port}`], async (address, said) => {
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hello" }] });
      const { status } = await fetch(`${address}/v1/chat/completions`, { method: "POST", headers, body });
      assert.equal(status, 200, said());
    });
    const budgets = await sidecar.ledger.budgets("anonymous");
    assert.deepEqual(
      budgets.map(({ spent, outstanding }) => [spent, outstanding]),
      [[1, 0]],
    );
  } finally {
    await sidecar.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
