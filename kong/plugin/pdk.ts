// The part of Kong's plugin development kit that the plugin uses, as kong-pdk 0.6 bridges it: every call is one
// message to the nginx worker and back. `exit` ends the request in Kong, not the JavaScript: return after it.

export type KongHeaders = Record<string, string | string[]>;

export interface KongPdk {
  request: {
    getMethod(): Promise<string>;
    getScheme(): Promise<string>;
    getHost(): Promise<string>;
    getPathWithQuery(): Promise<string>;
    getHeaders(max: number): Promise<KongHeaders>;
    getRawBody(maxAllowedFileSize: number): Promise<string | Uint8Array | null | undefined>;
  };
  client: { getIp(): Promise<string>; getPort(): Promise<number> };
  service: {
    request: {
      setHeader(name: string, value: string): Promise<void>;
      clearHeader(name: string): Promise<void>;
      setRawBody(body: string): Promise<void>;
    };
    response: {
      getStatus(): Promise<number | null | undefined>;
      getHeaders(max: number): Promise<KongHeaders>;
      getRawBody(): Promise<string | Uint8Array | null | undefined>;
    };
  };
  response: {
    exit(status: number, body: string, headers: Record<string, string>): Promise<void>;
    setHeader(name: string, value: string): Promise<void>;
    getStatus(): Promise<number>;
  };
  ctx: {
    shared: { set(key: string, value: string): Promise<void>; get(key: string): Promise<string | null> };
  };
}
