/** The books of a running sidecar, asked for over its admin service (admin.ts). */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { type ErrorCode, WeirError } from "../errors.ts";
import { LedgerAdmin } from "../gen/weir/v1/ledger_admin_pb.ts";
import type { Book, Books } from "./admin-books.ts";
import { budgetRecord, journalEntry, leaseRecord, TOKEN_EXPECTED } from "./admin-messages.ts";
import {
  type AdjustReply,
  type BudgetRecord,
  type JournalEntry,
  type LeaseRecord,
  organisationOf,
} from "./types.ts";

/** Answers after which nothing was done; of every other failure nobody knows. */
const REFUSALS: ReadonlyMap<Code, ErrorCode> = new Map([
  [Code.InvalidArgument, "invalid_argument"],
  [Code.Unauthenticated, "invalid_argument"],
  [Code.Unimplemented, "invalid_argument"],
  [Code.NotFound, "invalid_argument"],
  [Code.AlreadyExists, "conflict"],
  [Code.FailedPrecondition, "refused"],
]);

/** What an error that came from `baseUrl` means for who asked. */
function reasonOf(baseUrl: string, code: Code, message: string): string {
  if (code === Code.Unauthenticated && message === TOKEN_EXPECTED)
    return "the sidecar refused the token: WEIR_ADMIN_TOKEN must be the one it was started with";
  if (code === Code.Unauthenticated)
    return `what answers at ${baseUrl} wants another login than a sidecar does: is it the proxy? expected the sidecar's own address`;
  if (code === Code.Unimplemented || code === Code.NotFound)
    return `no admin service answers at ${baseUrl}: start the sidecar with WEIR_ADMIN_TOKEN set, or give the sidecar's own address`;
  return `the sidecar at ${baseUrl}: ${message}`;
}

/** A hundred thousand budgets take a busy sidecar a quarter of it. */
const BOOK_MS = 60_000;

/** The books of a running sidecar. Calls throw WeirError with what the sidecar said, `unavailable` if it may have been done. */
export function remoteBooks(baseUrl: string, token: string): Books {
  const transport = createConnectTransport({ baseUrl, httpVersion: "1.1", defaultTimeoutMs: 10_000 });
  const client = createClient(LedgerAdmin, transport);
  const headers = { authorization: `Bearer ${token}` };
  const asked = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (thrown) {
      const { code, rawMessage } = ConnectError.from(thrown);
      const hint = reasonOf(baseUrl, code, rawMessage);
      throw new WeirError(REFUSALS.get(code) ?? "unavailable", hint, thrown);
    }
  };
  const book = (subject: string): Promise<Book> =>
    asked(
      (async () => {
        const all = {
          now: Date.now(),
          budgets: [] as BudgetRecord[],
          leases: [] as LeaseRecord[],
          journal: [] as JournalEntry[],
        };
        const request = { organisation: organisationOf(subject), subject };
        for await (const part of client.getOrganisation(request, { headers, timeoutMs: BOOK_MS })) {
          if (part.nowMs > 0n) all.now = Number(part.nowMs);
          all.budgets.push(...part.budgets.map(budgetRecord));
          all.leases.push(...part.leases.map(leaseRecord));
          all.journal.push(...part.journal.map(journalEntry));
        }
        return all;
      })(),
    );
  return {
    organisations: async () => (await asked(client.listOrganisations({}, { headers }))).organisations,
    budgets: async (subject) => (await book(subject)).budgets,
    book,
    adjust: async ({ id, subject, budget, amount, by, reason }) => {
      const request = { id, organisation: subject, budget, amount: BigInt(amount), by, reason };
      const { status, spent } = await asked(client.adjust(request, { headers }));
      return { status: status as AdjustReply["status"], spent: Number(spent), notices: [] };
    },
    close: async () => undefined,
  };
}
