/** The sidecar over its one port, by each protocol, with the embedded ledger. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import {
  Ledger as LedgerService,
  Meter,
  OnExpiry,
  Outcome,
  ReportStatus,
  Window,
} from "./gen/weir/v1/ledger_pb.ts";
import { type Sidecar, startSidecar } from "./server.ts";
import { makeSettings } from "./settings.ts";

const directory = mkdtempSync(join(tmpdir(), "weir-sidecar-"));
const settings = makeSettings({
  port: 0,
  ledger: { kind: "embedded", directory },
  requestBytesMax: 4_096,
  stopGraceMs: 2_000,
});

function request(subject: string, leaseId: string, limit: bigint, need: bigint) {
  return {
    leaseId,
    edge: "edge-1",
    subject,
    ttlMs: 60_000,
    onExpiry: OnExpiry.CHARGE_REPORTED,
    budgets: [
      { name: "monthly", subject, meter: Meter.TOKENS, limit, window: Window.MONTH, need, want: need },
    ],
  };
}

describe("the sidecar", () => {
  let sidecar: Sidecar;
  let transports: Record<string, Transport>;

  before(async () => {
    sidecar = await startSidecar(settings);
    const baseUrl = `http://127.0.0.1:${sidecar.port}`;
    transports = {
      gRPC: createGrpcTransport({ baseUrl }),
      "gRPC-Web": createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
      "Connect over HTTP/1.1": createConnectTransport({ baseUrl, httpVersion: "1.1" }),
      "Connect over HTTP/2": createConnectTransport({ baseUrl, httpVersion: "2" }),
    };
  });
  after(async () => {
    await sidecar.close();
    rmSync(directory, { recursive: true, force: true });
  });

  for (const name of ["gRPC", "gRPC-Web", "Connect over HTTP/1.1", "Connect over HTTP/2"])
    it(`acquires, settles, releases and denies by ${name}`, async () => {
      const client = createClient(LedgerService, transports[name] as Transport);
      const subject = `org-${name.replaceAll(/\W/g, "")}/key`;
      const granted = await client.acquire(request(subject, "lease-1", 100n, 60n));
      assert.equal(granted.outcome, Outcome.GRANTED);
      assert.deepEqual([granted.granted, granted.remaining], [[60n], [40n]]);
      const report = { leaseId: "lease-1", subject, sequence: 1n, spent: [90n], final: true };
      const bad = { ...report, subject: "" };
      const settled = await client.settle({ edge: "edge-1", reports: [report, bad, report] });
      assert.deepEqual(
        settled.results.map(({ status }) => status),
        [ReportStatus.APPLIED, ReportStatus.INVALID, ReportStatus.STALE],
      );
      assert.deepEqual(
        settled.results[0]?.notices.map(({ budget, percent }) => [budget, percent]),
        [["monthly", 80]],
      );
      const denied = await client.acquire(request(subject, "lease-2", 100n, 60n));
      assert.equal(denied.outcome, Outcome.DENIED);
      assert.deepEqual([denied.deniedBudget, denied.limit, denied.used], ["monthly", 100n, 90n]);
      assert.deepEqual([denied.window, denied.never, denied.busy], ["month", false, false]);
      assert.ok(denied.resetSeconds > 0 && denied.resetSeconds <= 31 * 86_400);
      const released = await client.release({ edge: "edge-1", leaseId: "lease-1", subject });
      assert.equal(released.status, ReportStatus.CLOSED);
    });

  it("refuses a malformed request with path, value and expectation", async () => {
    const client = createClient(LedgerService, transports.gRPC as Transport);
    await assert.rejects(
      client.acquire({ ...request("org", "lease", 1n << 60n, 1n) }),
      (error: ConnectError) =>
        error.code === Code.InvalidArgument && /budgets\[0\]\.limit: \d+: expected/.test(error.message),
    );
    await assert.rejects(
      client.acquire({ ...request("org", "lease", 1n, 1n), ttlMs: 1 }),
      (error: ConnectError) => error.code === Code.InvalidArgument && /ttl_ms: 1:/.test(error.message),
    );
  });

  it("refuses a deadline that no timer can wait for, instead of ending the call at once", async () => {
    const ask = (timeout: string) =>
      fetch(`http://127.0.0.1:${sidecar.port}/weir.v1.Ledger/Settle`, {
        method: "POST",
        headers: { "content-type": "application/json", "connect-timeout-ms": timeout },
        body: "{}",
      });
    const { message } = (await (await ask("2147483648")).json()) as { message: string };
    assert.equal(message, "timeout 2147483648ms must be <= 2147483647");
    assert.equal((await ask("2147483647")).status, 200);
  });

  it("refuses a message above the limit", async () => {
    const client = createClient(LedgerService, transports["gRPC-Web"] as Transport);
    await assert.rejects(
      client.acquire(request("x".repeat(8_192), "lease", 1n, 1n)),
      (error) => ConnectError.from(error).code === Code.ResourceExhausted,
    );
  });

  it("says that it is well, and that other paths are not there", async () => {
    const url = `http://127.0.0.1:${sidecar.port}`;
    const health = await fetch(`${url}/healthz`);
    assert.deepEqual([health.status, await health.text()], [200, "ok\n"]);
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    assert.equal((await fetch(`${url}/nothing`)).status, 404);
  });

  it("recognises the protocol however the first bytes are cut", async () => {
    for (const pieces of [
      ["P", "OST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"],
      ["GE", "T /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"],
    ]) {
      const socket = connectTcp(sidecar.port, "127.0.0.1");
      socket.setNoDelay(true);
      const answer: Buffer[] = [];
      socket.on("data", (chunk) => answer.push(chunk));
      const closed = new Promise((resolve) => socket.once("close", resolve));
      for (const piece of pieces) {
        socket.write(piece);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await closed;
      assert.match(Buffer.concat(answer).toString(), /^HTTP\/1\.1 (404|200)/);
    }
  });

  it("refuses a request whose host is none, by each protocol, and lives on", async () => {
    const post = `POST /weir.v1.Ledger/Acquire HTTP/1.1\r\ncontent-length: 0\r\nconnection: close\r\n`;
    for (const request of [
      `${post}host: [\r\n\r\n`,
      `${post}host:\r\n\r\n`,
      `${post.replace("1.1", "1.0")}\r\n`,
    ]) {
      const socket = connectTcp(sidecar.port, "127.0.0.1");
      socket.end(request);
      const [answer] = await once(socket, "data");
      assert.match(String(answer), /^HTTP\/1\.1 400 [\s\S]*expected a host/);
    }
    const session = connectHttp2(`http://127.0.0.1:${sidecar.port}`);
    const stream = session.request({
      ":method": "POST",
      ":path": "/weir.v1.Ledger/Acquire",
      ":authority": "[",
    });
    const [headers] = await once(stream, "response");
    assert.equal(headers[":status"], 400);
    session.destroy();
  });

  it("finishes requests under way when it stops, and keeps what it answered", async () => {
    const client = createClient(LedgerService, transports.gRPC as Transport);
    const subject = "org-stop/key";
    const replies = Array.from({ length: 20 }, (_, i) =>
      client.acquire(request(subject, `stop-${i}`, 1_000n, 10n)),
    );
    await replies[0];
    await sidecar.close();
    const outcomes = await Promise.allSettled(replies);
    const granted = outcomes.filter((reply) => reply.status === "fulfilled").length;
    assert.equal(granted, 20);
    sidecar = await startSidecar(settings);
    const [record] = await sidecar.ledger.budgets("org-stop");
    assert.equal(record?.outstanding, granted * 10);
  });

  it("keeps every report that it answered while it stopped, and takes all of them again once it is back", async () => {
    const baseUrl = `http://127.0.0.1:${sidecar.port}`;
    const client = createClient(LedgerService, createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }));
    const subject = "org-stop-reports/key";
    const leases = Array.from({ length: 20 }, (_, i) => `report-${i}`);
    for (const leaseId of leases) await client.acquire(request(subject, leaseId, 1_000n, 10n));
    const settle = async (leaseId: string) => {
      const report = { leaseId, subject, sequence: 1n, spent: [7n], final: true };
      const { results } = await client.settle({ edge: "edge-1", reports: [report] });
      return results[0]?.status;
    };
    // Those that the stop cuts off are looked at together: none may fail unheard before that.
    const under = leases.map(settle);
    const ended = Promise.allSettled(under);
    await under[0];
    await sidecar.close();
    const answered = (await ended).filter(({ status }) => status === "fulfilled").length;
    sidecar = await startSidecar({ ...settings, port: sidecar.port });
    const spent = async () => (await sidecar.ledger.budgets("org-stop-reports"))[0]?.spent ?? 0;
    assert.ok((await spent()) >= 7 * answered, "an answered report is kept");
    await Promise.all(leases.map(settle));
    assert.equal(await spent(), 140);
  });
});
