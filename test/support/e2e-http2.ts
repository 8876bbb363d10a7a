/** A request over HTTP/2 that ends with trailers, which `fetch` and HTTP/1.1 through Envoy cannot have. */
import { connect } from "node:http2";
import { secret } from "./e2e.ts";

/** Sends `body` to chat completions with the key of this name, then trailers; gives status and verdict. */
export function sendWithTrailers(
  url: string,
  key: string,
  body: string,
  trailers: Record<string, string>,
): Promise<[number | undefined, unknown]> {
  const session = connect(url);
  return new Promise<[number | undefined, unknown]>((resolve, reject) => {
    const request = session.request(
      {
        ":method": "POST",
        ":path": "/v1/chat/completions",
        authorization: `Bearer ${secret(key)}`,
        "content-type": "application/json",
      },
      { waitForTrailers: true },
    );
    request.on("wantTrailers", () => request.sendTrailers(trailers));
    request.on("response", (headers) => {
      request.resume();
      request.on("end", () => resolve([headers[":status"], headers["x-weir-verdict"]]));
    });
    request.on("error", reject);
    if (body === "") request.end();
    else request.end(body);
  }).finally(() => session.close());
}
