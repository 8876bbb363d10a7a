/** A batch of reports of which the ledger takes only some: a node of a cluster is away, and with it some organisations. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { WeirError } from "../errors.ts";
import { ReportStatus, SettleRequestSchema } from "../gen/weir/v1/ledger_pb.ts";
import { LocalLedger } from "./local.ts";
import { ledgerHandlers } from "./service.ts";
import { acquire, budget } from "./testing.ts";

async function opened() {
  const ledger = new LocalLedger();
  const leases = ["here", "away"].map((org) => acquire([budget(org, 100, { need: 10 })]));
  for (const lease of leases) await ledger.acquire(lease);
  const settle = ledger.settle.bind(ledger);
  const away = new Set(["away"]);
  ledger.settle = async (command) => {
    if (away.has(command.subject)) throw new WeirError("refused", "its node is away");
    return settle(command);
  };
  const told: string[] = [];
  const handlers = ledgerHandlers(ledger, { onError: ({ message }) => told.push(message) });
  const reports = leases.map(({ leaseId, subject }) => ({
    ...{ leaseId, subject, sequence: 1n, spent: [7n], final: true },
  }));
  const send = (partly: boolean) =>
    handlers.settle(create(SettleRequestSchema, { edge: "e", reports, partly }));
  return { ledger, away, told, send };
}

describe("reports of several organisations in one message", () => {
  it("are answered one by one for an edge that knows it; what failed has no status, and is told", async () => {
    const { ledger, away, told, send } = await opened();
    const statuses = async () => (await send(true)).results.map(({ status }) => status);
    assert.deepEqual(await statuses(), [ReportStatus.APPLIED, ReportStatus.UNSPECIFIED]);
    assert.deepEqual(told, ["its node is away"]);
    away.clear();
    assert.deepEqual(await statuses(), [ReportStatus.STALE, ReportStatus.APPLIED]);
    for (const org of ["here", "away"]) assert.equal((await ledger.budgets(org))[0]?.spent, 7);
  });

  it("fail together for an edge that would take a missing status for an answer, and when all of them fail", async () => {
    const { away, send } = await opened();
    const isRefused = (thrown: unknown) => ConnectError.from(thrown).code === Code.FailedPrecondition;
    await assert.rejects(send(false), isRefused);
    away.add("here");
    await assert.rejects(send(true), isRefused);
  });
});
