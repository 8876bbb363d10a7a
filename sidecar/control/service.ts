/**
 * The protocol's side of what edges ask for beside budgets: proto/weir/v1/control.proto. One edge asks once for each
 * worker, and again after each restart, so tables are kept by the hash of their rules.
 *
 * Bounds: KEPT_MAX tables; rules.ts bounds each, and the time that one takes to compile, which is spent on the one thread
 * that also answers for the ledger.
 */
import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { WeirError } from "../errors.ts";
import {
  type CompileRulesRequest,
  CompileRulesRequestSchema,
  type CompileRulesResponse,
  CompileRulesResponseSchema,
  Control,
} from "../gen/weir/v1/control_pb.ts";
import { type UnaryMethod, unary } from "../ledger/grpc-web.ts";
import { type Compiled, compileOwnRules } from "./rules.ts";

const KEPT_MAX = 64;

export interface ControlHooks {
  /** Rules that do not compile; once for each set of rules. */
  readonly onError?: (error: WeirError) => void;
}

export interface ControlHandlers {
  compileRules(request: CompileRulesRequest): Promise<CompileRulesResponse>;
}

export function controlHandlers(hooks: ControlHooks = {}): ControlHandlers {
  const kept = new Map<string, Compiled>();

  const compile = (request: CompileRulesRequest): Compiled => {
    const key = createHash("sha256").update(toBinary(CompileRulesRequestSchema, request)).digest("base64");
    const known = kept.get(key);
    if (known) return known;
    const compiled = compileOwnRules(
      request.rules.map(({ id, phrase, pattern, shadow }) => ({
        id,
        ...(phrase !== "" && { phrase }),
        ...(pattern !== "" && { pattern }),
        action: shadow ? "shadow" : "block",
      })),
    );
    const { problems } = compiled;
    if (problems.length > 0)
      hooks.onError?.(
        new WeirError("invalid_argument", `a policy's rules do not compile: ${problems.join("; ")}`),
      );
    kept.set(key, compiled);
    if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value as string);
    return compiled;
  };

  return {
    compileRules: async (request) => {
      const { table, problems } = compile(request);
      return create(CompileRulesResponseSchema, { table, problems: [...problems] });
    },
  };
}

/** Adds the service to a router. */
export function serveControl(router: ConnectRouter, handlers: ControlHandlers): void {
  router.service(Control, { ...handlers });
}

/** The same methods for grpc-web.ts, by path. */
export function controlMethods(handlers: ControlHandlers): Map<string, UnaryMethod> {
  const { compileRules } = Control.method;
  return new Map([
    [
      `/${Control.typeName}/${compileRules.name}`,
      unary(compileRules.input, compileRules.output, handlers.compileRules),
    ],
  ]);
}
