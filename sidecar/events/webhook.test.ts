/** Webhooks: signed so that another implementation agrees, repeated until taken, never followed elsewhere. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Outcome } from "./queue.ts";
import { type Received, startScripted } from "./testing.ts";
import { openWebhooks } from "./webhook.ts";

const TEXT_SECRET = "a-secret-of-the-test";
const BYTES_SECRET = `whsec_${Buffer.from("some bytes that are a key").toString("base64")}`;

/** Verifies as a receiver in Python would, by the standard's text alone. */
const PYTHON = `
import base64, hashlib, hmac, json, sys
given = json.load(sys.stdin)
secret, headers = given["secret"], given["headers"]
key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
signed = headers["webhook-id"] + "." + headers["webhook-timestamp"] + "." + given["body"]
version, signature = headers["webhook-signature"].split(",", 1)
expected = hmac.new(key, signed.encode(), hashlib.sha256).digest()
print(version == "v1" and hmac.compare_digest(base64.b64decode(signature), expected))
`;

const verified = (secret: string, received: Received): boolean =>
  execFileSync("python3", ["-c", PYTHON], { input: JSON.stringify({ secret, ...received }) })
    .toString()
    .trim() === "True";

function counting() {
  const counts: Record<Outcome, number> = { delivered: 0, dropped: 0, failed: 0 };
  const failures: string[] = [];
  return {
    counts,
    failures,
    onOutcome: (outcome: Outcome, count: number) => {
      counts[outcome] += count;
    },
    onFailure: (error: unknown) => void failures.push(String(error)),
  };
}

const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await sleep(5);
};

describe("webhooks", () => {
  for (const secret of [TEXT_SECRET, BYTES_SECRET])
    it(`are signed as Python's own hmac says, with ${secret === TEXT_SECRET ? "a text" : "bytes"} for a secret`, async () => {
      const receiver = await startScripted();
      const told = counting();
      const webhooks = openWebhooks({ url: receiver.url, secret, ...told });
      webhooks.send("budget.notice", { budget: "tokens", subject: "acme", percent: 80 });
      await webhooks.close(5_000);
      await receiver.close();
      const [received] = receiver.received;
      assert.ok(received);
      assert.equal(verified(secret, received), true);
      assert.equal(verified(secret, { ...received, body: `${received.body} ` }), false, "another body");
      assert.equal(verified(`${secret}x`.replace("whsec_", "whsec_YWJj"), received), false, "another secret");
      const { type, time, data } = JSON.parse(received.body);
      assert.deepEqual([type, data], ["budget.notice", { budget: "tokens", subject: "acme", percent: 80 }]);
      assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
      assert.equal(told.counts.delivered, 1);
      assert.equal(JSON.stringify(received).includes(secret), false);
    });

  it("are repeated with the same id until the receiver takes them, in their order", async () => {
    let calls = 0;
    const receiver = await startScripted((_, response) => {
      response.statusCode = ++calls <= 2 ? 503 : 204;
      response.end();
    });
    const told = counting();
    const webhooks = openWebhooks({ url: receiver.url, secret: TEXT_SECRET, backoffMs: 5, ...told });
    webhooks.send("a", {});
    webhooks.send("b", {});
    await until(() => told.counts.delivered === 2);
    await webhooks.close(1_000);
    await receiver.close();
    const ids = receiver.received.map(({ headers }) => headers["webhook-id"]);
    assert.equal(ids.length, 4);
    assert.equal(new Set(ids.slice(0, 3)).size, 1);
    assert.notEqual(ids[3], ids[0]);
    assert.deepEqual(
      receiver.received.map(({ body }) => JSON.parse(body).type),
      ["a", "a", "a", "b"],
    );
    assert.match(told.failures[0] ?? "", /answered 503/);
  });

  it("are given up after some attempts", async () => {
    const receiver = await startScripted((_, response) => {
      response.statusCode = 500;
      response.end();
    });
    const told = counting();
    const webhooks = openWebhooks({ url: receiver.url, secret: TEXT_SECRET, backoffMs: 1, ...told });
    webhooks.send("a", {});
    await until(() => told.counts.failed === 1);
    await webhooks.close(1_000);
    await receiver.close();
    assert.equal(receiver.received.length, 6);
  });

  it("do not follow a redirect", async () => {
    const elsewhere = await startScripted();
    const receiver = await startScripted((_, response) => {
      response.writeHead(307, { location: elsewhere.url }).end();
    });
    const told = counting();
    const webhooks = openWebhooks({ url: receiver.url, secret: TEXT_SECRET, backoffMs: 1, ...told });
    webhooks.send("a", {});
    await until(() => told.counts.failed === 1);
    await webhooks.close(1_000);
    await Promise.all([receiver.close(), elsewhere.close()]);
    assert.equal(elsewhere.received.length, 0);
  });
});
