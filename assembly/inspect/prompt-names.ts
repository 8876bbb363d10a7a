// The names by which the finder of prompts decides: closed lists, because what is on none of them is inspected.
import { endOf, is, lenOf, ptrOf, Slice, startsWith, startsWithFolded } from "../slice";

/** An identifier that a provider checks is at most this long. */
const IDENTIFIER_MAX: i32 = 64;
/** A member name longer than this, or with other characters than identifiers have, is text. */
const KEY_MAX: i32 = 40;
/** Of what tools are called with and give back nobody checks anything: there an order fits into more than this, `ignore-previous-instructions`. */
const FREE_MAX: i32 = 24;

/** Members whose value is an identifier or an option that the provider checks, and no model reads. */
export function isOption(key: Slice): bool {
  switch (lenOf(key)) {
    case 2:
      return is(key, "id");
    case 4:
      return is(key, "role") || is(key, "type") || is(key, "user");
    case 5:
      return is(key, "model");
    case 6:
      return is(key, "object") || is(key, "detail") || is(key, "status") || is(key, "effort");
    case 7:
      return is(key, "call_id") || is(key, "item_id") || is(key, "file_id");
    case 8:
      return is(key, "required") || is(key, "mimeType");
    case 9:
      return is(key, "mime_type");
    case 10:
      return is(key, "media_type") || is(key, "truncation");
    case 11:
      return is(key, "tool_use_id") || is(key, "tool_choice");
    case 12:
      return is(key, "tool_call_id") || is(key, "service_tier");
    case 15:
      return is(key, "encoding_format");
    case 16:
      return is(key, "reasoning_effort") || is(key, "prompt_cache_key");
    case 17:
      return is(key, "safety_identifier");
    case 20:
      return is(key, "previous_response_id");
    default:
      return false;
  }
}

/** Letters, digits and `_ - . : / @ +` only, at most IDENTIFIER_MAX bytes. */
export function isIdentifier(raw: Slice): bool {
  return lenOf(raw) <= IDENTIFIER_MAX && plain(raw);
}

/** A member name that is itself text for a model to read. */
export function isTextKey(key: Slice, escaped: bool): bool {
  return escaped || lenOf(key) > KEY_MAX || !plain(key);
}

/** Whether a name or an identifier is text where nobody checks it. */
export function isLong(raw: Slice): bool {
  return lenOf(raw) > FREE_MAX;
}

/** Members whose value has whatever members a tool or a caller gives it. */
export function isFreeMember(key: Slice): bool {
  return (
    is(key, "args") ||
    is(key, "arguments") ||
    is(key, "input") ||
    is(key, "input_examples") ||
    is(key, "response") ||
    is(key, "documents") ||
    is(key, "json")
  );
}

/** Members that hold the description of such values. */
export function isSchemaMember(key: Slice): bool {
  return is(key, "parameters") || endsWith(key, "schema") || endsWith(key, "Schema");
}

function plain(raw: Slice): bool {
  const end = endOf(raw);
  for (let p = ptrOf(raw); p < end; p++) {
    const c: u32 = load<u8>(p);
    const letter = (c | 32) - 97 < 26;
    if (!letter && c - 45 > 13 && c != 95 && c != 64 && c != 43 && c != 36) return false;
  }
  return true;
}

/** Members around binary data or an address: `"inlineData": { "data": … }`. */
export function isMediaHolder(key: Slice): bool {
  return (
    is(key, "image_url") ||
    is(key, "input_audio") ||
    is(key, "source") ||
    is(key, "inlineData") ||
    is(key, "inline_data") ||
    is(key, "fileData") ||
    is(key, "file_data") ||
    is(key, "file") ||
    is(key, "video_url")
  );
}

/** Members that hold binary data or an address in such a holder. */
export function isMediaValue(key: Slice): bool {
  return (
    is(key, "url") || is(key, "data") || is(key, "file_data") || is(key, "fileUri") || is(key, "file_uri")
  );
}

/** Members that hold it in a part itself (the Responses API). */
export function isMediaMember(key: Slice): bool {
  return is(key, "image_url") || is(key, "file_url") || is(key, "file_data");
}

/** Members that hold it in a part whose media type stands beside them (Gemini's interactions, MCP). */
export function isTypedMember(key: Slice): bool {
  return is(key, "data") || is(key, "uri");
}

/** Whether a binary value of the member `key` in `holder` is one only if the holder says so; that of others is their address, or sound. */
export function needsType(key: Slice, holder: Slice): bool {
  return is(key, "data") && !is(holder, "input_audio");
}

/** Whether a file's content is told by its address or begins with its type. Without either a server goes by the file's name. */
export function isTypedFile(raw: Slice): bool {
  return startsWithFolded(raw, "data:") || startsWithFolded(raw, "http:") || startsWithFolded(raw, "https:");
}

export function isFileData(key: Slice): bool {
  return is(key, "file_data");
}

/** Whether a media type says that the data is text after all, as SVG is. */
export function isTextType(type: Slice): bool {
  return !(
    (startsWith(type, "image/") && !startsWithFolded(type, "image/svg")) ||
    startsWith(type, "audio/") ||
    startsWith(type, "video/") ||
    is(type, "application/pdf")
  );
}

/** An address, or base64 of an image, sound, film or PDF, as opposed to text: no space, no escape but `\/`, ASCII. */
export function isOpaque(raw: Slice, escaped: bool): bool {
  if (startsWithFolded(raw, "data:") && isTextType(slash(raw))) return false;
  let p = ptrOf(raw);
  const end = endOf(raw);
  if (ASC_FEATURE_SIMD) {
    if (!escaped) {
      for (; p + 16 <= end; p += 16) {
        const v = v128.load(p);
        // DEL becomes the least of all, as the bytes of other scripts are.
        if (i8x16.bitmask(i8x16.le_s(i8x16.add(v, i8x16.splat(1)), i8x16.splat(33)))) return false;
      }
    }
  }
  for (; p < end; p++) {
    const c: u32 = load<u8>(p);
    if (c <= 32 || c >= 127) return false;
    if (c == 92 && load<u8>(++p) != 47) return false;
  }
  return true;
}

/** The part of a `data:` address from its media type on. */
function slash(raw: Slice): Slice {
  const ptr = ptrOf(raw) + 5;
  let end = ptr;
  while (end < endOf(raw) && load<u8>(end) != 59 && load<u8>(end) != 44) end++;
  return ((<u64>ptr) << 32) | <u64>(end - ptr);
}

/** Members whose text comes from outside, wherever in a conversation they stand. */
export function isOutsideMember(key: Slice): bool {
  return (
    is(key, "functionResponse") ||
    is(key, "function_response") ||
    is(key, "codeExecutionResult") ||
    is(key, "code_execution_result") ||
    is(key, "toolResult") ||
    is(key, "searchResult") ||
    is(key, "document") ||
    is(key, "documents") ||
    is(key, "results") ||
    is(key, "output") ||
    is(key, "outputs")
  );
}

/** Types of parts and items whose text comes from outside: results, documents, files, searches. */
export function isOutsideType(type: Slice): bool {
  return (
    endsWith(type, "_result") ||
    (endsWith(type, "_output") && !is(type, "model_output")) ||
    is(type, "document") ||
    is(type, "file") ||
    is(type, "input_file") ||
    is(type, "file_search_call") ||
    is(type, "web_search_call") ||
    is(type, "mcp_call") ||
    is(type, "mcp_list_tools")
  );
}

/** Types of items that the model itself wrote. */
export function isModelType(type: Slice): bool {
  return endsWith(type, "_call") || is(type, "reasoning") || is(type, "model_output") || is(type, "thought");
}

/** Types of parts and items that are understood. */
export function isKnownType(type: Slice): bool {
  return (
    is(type, "text") ||
    is(type, "user_input") ||
    is(type, "input_text") ||
    is(type, "output_text") ||
    is(type, "image_url") ||
    is(type, "input_image") ||
    is(type, "image") ||
    is(type, "input_audio") ||
    is(type, "refusal") ||
    is(type, "message") ||
    is(type, "thinking") ||
    is(type, "redacted_thinking") ||
    is(type, "tool_use") ||
    is(type, "server_tool_use") ||
    is(type, "function") ||
    is(type, "item_reference") ||
    isOutsideType(type) ||
    isModelType(type)
  );
}

function endsWith(s: Slice, text: string): bool {
  const from = lenOf(s) - text.length;
  return from >= 0 && startsWith(((<u64>(ptrOf(s) + from)) << 32) | <u64>text.length, text);
}
