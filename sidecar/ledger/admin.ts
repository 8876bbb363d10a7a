/**
 * The books of a ledger over the wire (proto/weir/v1/ledger_admin.proto), for people; remote-books.ts asks for them.
 *
 * A bearer token guards every call; it is compared by its digest, in constant time. Without a token in the settings the
 * service is not there at all.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { WeirError } from "../errors.ts";
import {
  AdjustResponseSchema,
  GetOrganisationResponseSchema,
  LedgerAdmin,
  ListOrganisationsResponseSchema,
} from "../gen/weir/v1/ledger_admin_pb.ts";
import { bookOf } from "./admin-books.ts";
import { budgetState, journalLine, leaseState, TOKEN_EXPECTED } from "./admin-messages.ts";
import { connectCode, type ServiceHooks } from "./service.ts";
import type { Ledger } from "./types.ts";

/** What one message has of budgets, leases or lines: making it takes a few milliseconds, in which no proxy is answered. */
const PART = 500;

function* parts<T>(items: readonly T[]): Generator<T[]> {
  for (let i = 0; i < items.length; i += PART) yield items.slice(i, i + PART);
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Adds the service to a router. */
export function serveAdmin(router: ConnectRouter, ledger: Ledger, token: string, hooks: ServiceHooks): void {
  const expected = digest(`Bearer ${token}`);

  const guarded = async <T>(context: HandlerContext, work: () => Promise<T>): Promise<T> => {
    const given = digest(context.requestHeader.get("authorization") ?? "");
    if (!timingSafeEqual(given, expected)) throw new ConnectError(TOKEN_EXPECTED, Code.Unauthenticated);
    try {
      return await work();
    } catch (thrown) {
      const error = WeirError.from(thrown);
      hooks.onError?.(error);
      throw new ConnectError(error.message, connectCode(error.code));
    }
  };

  router.service(LedgerAdmin, {
    listOrganisations: (_request, context) =>
      guarded(context, async () =>
        create(ListOrganisationsResponseSchema, { organisations: await ledger.organisations() }),
      ),
    getOrganisation: async function* ({ organisation, subject }, context) {
      const { now, budgets, leases, journal } = await guarded(context, () =>
        bookOf(ledger, subject || organisation),
      );
      const part = (some: MessageInitShape<typeof GetOrganisationResponseSchema>) =>
        create(GetOrganisationResponseSchema, some);
      yield part({ nowMs: BigInt(now) });
      for (const some of parts(budgets)) yield part({ budgets: some.map(budgetState) });
      for (const some of parts(leases)) yield part({ leases: some.map(leaseState) });
      for (const some of parts(journal)) yield part({ journal: some.map(journalLine) });
    },
    adjust: (request, context) =>
      guarded(context, async () => {
        const { id, organisation: subject, budget, by, reason } = request;
        const amount = Number(request.amount);
        const reply = await ledger.adjust({ kind: "adjust", id, subject, budget, amount, by, reason });
        if (reply.notices.length > 0) hooks.onNotices?.(reply.notices);
        return create(AdjustResponseSchema, { status: reply.status, spent: BigInt(reply.spent) });
      }),
  });
}
