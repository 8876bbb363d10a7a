/**
 * An OTLP receiver over HTTP: decodes what comes by OpenTelemetry's own .proto files (test/otel/proto, as of their v1.11.0)
 * with a decoder that has nothing to do with the exporter's, and keeps spans and log records in plain form.
 */
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { gunzipSync } from "node:zlib";
import { createFileRegistry, type FileRegistry, fromBinary, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { root } from "../../demo/processes.ts";
import { listening } from "../support/listening.ts";

export type Value = string | number | boolean | readonly Value[];

export interface Span {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  kind: string;
  startNs: bigint;
  endNs: bigint;
  status: string;
  attributes: Record<string, Value>;
  resource: Record<string, Value>;
}

export interface LogRecord {
  eventName: string;
  traceId: string;
  spanId: string;
  severity: string;
  body: Value;
  attributes: Record<string, Value>;
}

export interface OtlpReceiver {
  readonly url: string;
  readonly spans: Span[];
  readonly logs: LogRecord[];
  /** Headers of each request. */
  readonly requests: Record<string, string | string[] | undefined>[];
  /** Every message that came, as JSON. */
  readonly raw: string[];
  /** What the next requests are answered with; 200 unless told. */
  status: number;
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: OTLP's JSON form, read as its .proto says.
type Json = any;

let registry: FileRegistry | undefined;

function schemas(): FileRegistry {
  const args = ["--no-install", "buf", "build", "test/otel/proto", "-o", "-#format=binpb"];
  registry ??= createFileRegistry(
    fromBinary(FileDescriptorSetSchema, execFileSync("npx", args, { cwd: root })),
  );
  return registry;
}

function decode(name: string, bytes: Uint8Array): Json {
  const schema = schemas().getMessage(name);
  if (!schema) throw new Error(`${name}: no such message`);
  return toJson(schema, fromBinary(schema, bytes, { readUnknownFields: false }), { registry: schemas() });
}

const hex = (base64: string | undefined): string => Buffer.from(base64 ?? "", "base64").toString("hex");

function plain(value: Json): Value {
  if (value?.arrayValue) return (value.arrayValue.values ?? []).map(plain);
  if (value?.intValue !== undefined) return Number(value.intValue);
  return value?.stringValue ?? value?.boolValue ?? value?.doubleValue ?? "";
}

const attributesOf = (list: Json[] = []): Record<string, Value> =>
  Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));

function spansOf(message: Json): Span[] {
  return (message.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }: Json) =>
    scopeSpans.flatMap(({ spans = [] }: Json) =>
      spans.map((span: Json) => ({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        name: span.name,
        kind: span.kind,
        startNs: BigInt(span.startTimeUnixNano),
        endNs: BigInt(span.endTimeUnixNano),
        status: span.status?.code ?? "STATUS_CODE_UNSET",
        attributes: attributesOf(span.attributes),
        resource: attributesOf(resource?.attributes),
      })),
    ),
  );
}

function logsOf(message: Json): LogRecord[] {
  return (message.resourceLogs ?? []).flatMap(({ scopeLogs = [] }: Json) =>
    scopeLogs.flatMap(({ logRecords = [] }: Json) =>
      logRecords.map((record: Json) => ({
        eventName: record.eventName ?? "",
        traceId: hex(record.traceId),
        spanId: hex(record.spanId),
        severity: record.severityText ?? "",
        body: plain(record.body),
        attributes: attributesOf(record.attributes),
      })),
    ),
  );
}

export async function startReceiver(): Promise<OtlpReceiver> {
  schemas();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    receiver.requests.push(request.headers);
    if (receiver.status === 200)
      take(request.url ?? "", request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body);
    response.writeHead(receiver.status, { "content-type": "application/x-protobuf" }).end();
  });
  const take = (path: string, body: Uint8Array) => {
    const signal = path === "/v1/traces" ? "trace" : "logs";
    const type = signal === "trace" ? "Trace" : "Logs";
    const message = decode(`opentelemetry.proto.collector.${signal}.v1.Export${type}ServiceRequest`, body);
    receiver.raw.push(JSON.stringify(message));
    if (signal === "trace") receiver.spans.push(...spansOf(message));
    else receiver.logs.push(...logsOf(message));
  };
  const port = await listening(server);
  const receiver: OtlpReceiver = {
    url: `http://127.0.0.1:${port}`,
    spans: [],
    logs: [],
    requests: [],
    raw: [],
    status: 200,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return receiver;
}
