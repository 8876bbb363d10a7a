/**
 * The sidecar's control service without a sidecar: callouts of the Node host that ask for it are answered in this process,
 * through the same codec and the same compiler; all others go on.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { CalloutDispatcher } from "../../host/callouts.ts";
import { CompileRulesRequestSchema, CompileRulesResponseSchema, Control } from "../gen/weir/v1/control_pb.ts";
import { controlHandlers } from "./service.ts";

const FRAME = 5;
const TRAILER = Buffer.from("grpc-status: 0\r\n");
const PATH = `/${Control.typeName}/${Control.method.compileRules.name}`;

function frame(flags: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

export function controlCallouts(next: CalloutDispatcher): CalloutDispatcher {
  const { compileRules } = controlHandlers();
  return async (target, headers, body, timeoutMs) => {
    if (!headers.some(([name, value]) => name === ":path" && value === PATH))
      return next(target, headers, body, timeoutMs);
    const request = fromBinary(CompileRulesRequestSchema, body.subarray(FRAME));
    const answer = create(CompileRulesResponseSchema, await compileRules(request));
    const message = frame(0, toBinary(CompileRulesResponseSchema, answer));
    return { headers: [[":status", "200"]], body: Buffer.concat([message, frame(0x80, TRAILER)]) };
  };
}
