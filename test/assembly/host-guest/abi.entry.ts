// The raw imports of proxy-wasm 0.2.1 that the test guest calls. Each returns a status.

@external("env", "proxy_log")
export declare function log(level: u32, ptr: usize, len: usize): u32;
@external("env", "proxy_get_current_time_nanoseconds")
export declare function time(out: usize): u32;
@external("env", "proxy_set_tick_period_milliseconds")
export declare function tick(ms: u32): u32;
@external("env", "proxy_get_status")
export declare function status(code: usize, ptr: usize, len: usize): u32;
@external("env", "proxy_get_property")
export declare function getProperty(path: usize, pathLen: usize, ptr: usize, len: usize): u32;
@external("env", "proxy_set_property")
export declare function setProperty(path: usize, pathLen: usize, value: usize, valueLen: usize): u32;
@external("env", "proxy_continue_stream")
export declare function continueStream(type: u32): u32;
@external("env", "proxy_close_stream")
export declare function closeStream(type: u32): u32;
@external("env", "proxy_send_local_response")
export declare function local(status: u32, details: usize, detailsLen: usize, body: usize, bodyLen: usize, headers: usize, headersLen: usize, grpc: i32): u32;
@external("env", "proxy_get_shared_data")
export declare function getShared(key: usize, keyLen: usize, ptr: usize, len: usize, cas: usize): u32;
@external("env", "proxy_set_shared_data")
export declare function setShared(key: usize, keyLen: usize, value: usize, valueLen: usize, cas: u32): u32;
@external("env", "proxy_register_shared_queue")
export declare function registerQueue(name: usize, nameLen: usize, id: usize): u32;
@external("env", "proxy_enqueue_shared_queue")
export declare function enqueue(id: u32, data: usize, len: usize): u32;
@external("env", "proxy_dequeue_shared_queue")
export declare function dequeue(id: u32, ptr: usize, len: usize): u32;
@external("env", "proxy_get_header_map_value")
export declare function getHeader(type: u32, key: usize, keyLen: usize, ptr: usize, len: usize): u32;
@external("env", "proxy_add_header_map_value")
export declare function addHeader(type: u32, key: usize, keyLen: usize, value: usize, valueLen: usize): u32;
@external("env", "proxy_replace_header_map_value")
export declare function replaceHeader(type: u32, key: usize, keyLen: usize, value: usize, valueLen: usize): u32;
@external("env", "proxy_remove_header_map_value")
export declare function removeHeader(type: u32, key: usize, keyLen: usize): u32;
@external("env", "proxy_get_header_map_pairs")
export declare function getPairs(type: u32, ptr: usize, len: usize): u32;
@external("env", "proxy_set_header_map_pairs")
export declare function setPairs(type: u32, ptr: usize, len: usize): u32;
@external("env", "proxy_get_buffer_bytes")
export declare function getBuffer(type: u32, start: u32, length: u32, ptr: usize, len: usize): u32;
@external("env", "proxy_get_buffer_status")
export declare function bufferStatus(type: u32, length: usize, flags: usize): u32;
@external("env", "proxy_set_buffer_bytes")
export declare function setBuffer(type: u32, start: u32, length: u32, data: usize, dataLen: usize): u32;
@external("env", "proxy_http_call")
export declare function httpCall(target: usize, targetLen: usize, headers: usize, headersLen: usize, body: usize, bodyLen: usize, trailers: usize, trailersLen: usize, timeout: u32, token: usize): u32;
@external("env", "proxy_set_effective_context")
export declare function effective(id: u32): u32;
@external("env", "proxy_done")
export declare function done(): u32;
@external("env", "proxy_call_foreign_function")
export declare function foreign(name: usize, nameLen: usize, args: usize, argsLen: usize, ptr: usize, len: usize): u32;
@external("env", "proxy_define_metric")
export declare function defineMetric(kind: u32, name: usize, nameLen: usize, id: usize): u32;
@external("env", "proxy_increment_metric")
export declare function incrementMetric(id: u32, offset: i64): u32;
@external("env", "proxy_record_metric")
export declare function recordMetric(id: u32, value: u64): u32;
@external("env", "proxy_get_metric")
export declare function getMetric(id: u32, out: usize): u32;
