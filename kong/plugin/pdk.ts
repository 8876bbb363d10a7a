// The part of Kong's plugin development kit that the plugin uses, as kong-pdk 0.6 bridges it: every call is one
// message to the nginx worker and back. `exit` ends the request in Kong, not the JavaScript: return after it.
//
// Kong 3.0 and later hand bodies over as bytes and headers as lists (kong/runloop/plugin_servers/rpc/mp_rpc.lua); older
// ones made text of bodies, which loses what is not UTF-8.

export type KongHeaders = Record<string, string | string[]>;

export interface KongPdk {
  request: {
    getMethod(): Promise<string>;
    getPathWithQuery(): Promise<string>;
    getHeaders(max: number): Promise<KongHeaders>;
    getRawBody(maxAllowedFileSize: number): Promise<string | Uint8Array | null | undefined>;
  };
  client: { getIp(): Promise<string> };
  service: {
    request: {
      setHeaders(headers: Record<string, string>): Promise<void>;
      clearHeader(name: string): Promise<void>;
      setRawBody(body: Uint8Array): Promise<void>;
    };
    response: {
      getStatus(): Promise<number | null | undefined>;
      getHeaders(max: number): Promise<KongHeaders>;
      getRawBody(): Promise<string | Uint8Array | null | undefined>;
    };
  };
  response: {
    exit(status: number, body: Uint8Array, headers: KongHeaders): Promise<void>;
    setHeaders(headers: KongHeaders): Promise<void>;
    clearHeader(name: string): Promise<void>;
    getStatus(): Promise<number>;
  };
  ctx: {
    shared: { set(key: string, value: string): Promise<void>; get(key: string): Promise<string | null> };
  };
}
