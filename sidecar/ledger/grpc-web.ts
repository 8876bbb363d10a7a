/**
 * The edge's way in: unary gRPC-Web over HTTP/1.1, straight on node:http. Connect answers the same calls, and all others;
 * but it is made for streams of either direction, and its pipeline of async iterators, abort signals and web headers
 * costs ≈ 0.6 ms of CPU per Acquire where this costs ≈ 0.14 ms (bench/ledger.ts shows both). The edge sends nothing else.
 *
 *   request    [flags 0][length, 4 bytes][message]                 one frame, content-type application/grpc-web[+proto]
 *   response   [flags 0][length][message] [flags 0x80][length]["grpc-status: 0\r\n"]
 *   error      [flags 0x80][length]["grpc-status: 3\r\ngrpc-message: …\r\n"]
 *
 * What it does not know (compression, text encoding, other methods) it leaves to the next handler. A grpc-timeout is not
 * looked at: a command that came in is applied, whether its caller still waits or not, and repeating it is safe.
 *
 * Source: github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md.
 * Bounds: `bytesMax` per message; the server bounds the time that a request may take to arrive.
 */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Around } from "../otel/spans.ts";
import type { Request, Response } from "../port.ts";

/** One method: bytes of the request message to bytes of the answer. Rejects with ConnectError. */
export type UnaryMethod = (message: Uint8Array) => Promise<Uint8Array>;

const HEAD_BYTES = 5;
const TRAILER_FLAG = 0x80;
export const CONTENT_TYPE = "application/grpc-web+proto";
const OK = Buffer.from("grpc-status: 0\r\n");

/** Makes a method of a handler of messages. */
export function unary<I extends DescMessage, O extends DescMessage>(
  input: I,
  output: O,
  handle: (request: MessageShape<I>) => Promise<MessageShape<O>>,
): UnaryMethod {
  return async (bytes) => {
    let request: MessageShape<I>;
    try {
      request = fromBinary(input, bytes);
    } catch {
      throw new ConnectError("the message cannot be decoded", Code.InvalidArgument);
    }
    return toBinary(output, await handle(request));
  };
}

/** The body of an answer: the message, if there is one, and the trailer. */
function framed(message: Uint8Array | undefined, trailer: Uint8Array): Buffer {
  const length = message === undefined ? 0 : HEAD_BYTES + message.length;
  const body = Buffer.allocUnsafe(length + HEAD_BYTES + trailer.length);
  if (message !== undefined) {
    body[0] = 0;
    body.writeUInt32BE(message.length, 1);
    body.set(message, HEAD_BYTES);
  }
  body[length] = TRAILER_FLAG;
  body.writeUInt32BE(trailer.length, length + 1);
  body.set(trailer, length + HEAD_BYTES);
  return body;
}

function send(response: Response, body: Buffer): void {
  response.statusCode = 200;
  response.setHeader("content-type", CONTENT_TYPE);
  response.setHeader("content-length", body.length);
  response.end(body);
}

/** As gRPC wants a message: UTF-8, what is not printable ASCII percent-encoded. Never throws, whatever the text. */
function percentEncode(text: string): string {
  const hex = (byte: string): string => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
  return Buffer.from(text)
    .toString("latin1")
    .replaceAll(/[^ -$&-~]/g, hex);
}

function refusal(thrown: unknown): Buffer {
  // What somebody did not mean to say to a caller stays here.
  const { code, rawMessage } =
    thrown instanceof ConnectError ? thrown : new ConnectError("internal error", Code.Internal);
  const trailer = `grpc-status: ${code}\r\ngrpc-message: ${percentEncode(rawMessage)}\r\n`;
  return framed(undefined, Buffer.from(trailer));
}

/** The message of a body of one frame. Throws ConnectError. */
function messageOf(body: Buffer, bytesMax: number): Buffer {
  if (body.length < HEAD_BYTES) throw new ConnectError("no message", Code.InvalidArgument);
  const length = body.readUInt32BE(1);
  if (length > bytesMax)
    throw new ConnectError(
      `message of ${length} bytes: expected at most ${bytesMax}`,
      Code.ResourceExhausted,
    );
  if (body[0] !== 0 || body.length !== HEAD_BYTES + length)
    throw new ConnectError("expected one message, not compressed", Code.InvalidArgument);
  return body.subarray(HEAD_BYTES);
}

/** Calls a method with a request's body and gives the answer's; also what went wrong is an answer. */
export async function callUnary(method: UnaryMethod, body: Buffer, bytesMax: number): Promise<Buffer> {
  try {
    return framed(await method(messageOf(body, bytesMax)), OK);
  } catch (thrown) {
    return refusal(thrown);
  }
}

function isPlainGrpcWeb({ httpVersionMajor, method, headers }: Request): boolean {
  const type = headers["content-type"];
  const encoding = headers["grpc-encoding"];
  return (
    httpVersionMajor === 1 &&
    method === "POST" &&
    (type === CONTENT_TYPE || type === "application/grpc-web") &&
    (encoding === undefined || encoding === "identity")
  );
}

/** A handler that takes the calls of these methods, by path, and answers false to all others. */
export function serveUnary(
  methods: ReadonlyMap<string, UnaryMethod>,
  bytesMax: number,
  around: Around = (_path, _traceparent, work) => work(),
): (request: Request, response: Response) => boolean {
  return (request, response) => {
    const path = request.url ?? "";
    const method = methods.get(path);
    if (method === undefined || !isPlainGrpcWeb(request)) return false;
    const { traceparent } = request.headers;
    const traced: UnaryMethod = (message) => around(path, traceparent?.toString(), () => method(message));
    const chunks: Buffer[] = [];
    let length = 0;
    request.on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= HEAD_BYTES + bytesMax) chunks.push(chunk);
      else if (!response.headersSent) {
        // The rest is not read to its end: the connection goes with the answer.
        response.setHeader("connection", "close");
        send(
          response,
          refusal(new ConnectError(`expected at most ${bytesMax} bytes`, Code.ResourceExhausted)),
        );
      }
    });
    request.on("end", () => {
      if (response.headersSent) return;
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      void callUnary(traced, body, bytesMax).then((answer) => send(response, answer));
    });
    return true;
  };
}
