// The names by which the finder of prompts decides: closed lists, because what is on none of them is inspected.
import { equalsDecoded } from "../json/text";
import { endOf, lenOf, ptrOf, Slice, startsWith, startsWithFolded } from "../slice";

/** An identifier that a provider checks is at most this long. */
const IDENTIFIER_MAX: i32 = 64;
/** A member name longer than this, or with other characters than identifiers have, is text. */
const KEY_MAX: i32 = 40;
/** Of what tools are called with and give back nobody checks anything: there an order fits into more than this, `ignore-previous-instructions`. */
const FREE_MAX: i32 = 24;

function named(raw: Slice, name: string): bool {
  return lenOf(raw) == name.length && equalsDecoded(raw, false, name);
}

/** Members whose value is an identifier or an option that the provider checks, and no model reads. */
export function isOption(key: Slice): bool {
  switch (lenOf(key)) {
    case 2:
      return named(key, "id");
    case 4:
      return named(key, "role") || named(key, "type") || named(key, "user");
    case 5:
      return named(key, "model");
    case 6:
      return named(key, "object") || named(key, "detail") || named(key, "status") || named(key, "effort");
    case 7:
      return named(key, "call_id") || named(key, "item_id") || named(key, "file_id");
    case 8:
      return named(key, "required") || named(key, "mimeType");
    case 9:
      return named(key, "mime_type");
    case 10:
      return named(key, "media_type") || named(key, "truncation");
    case 11:
      return named(key, "tool_use_id") || named(key, "tool_choice");
    case 12:
      return named(key, "tool_call_id") || named(key, "service_tier");
    case 15:
      return named(key, "encoding_format");
    case 16:
      return named(key, "reasoning_effort") || named(key, "prompt_cache_key");
    case 17:
      return named(key, "safety_identifier");
    case 20:
      return named(key, "previous_response_id");
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
    named(key, "args") ||
    named(key, "arguments") ||
    named(key, "input") ||
    named(key, "input_examples") ||
    named(key, "response") ||
    named(key, "documents") ||
    named(key, "json")
  );
}

/** Members that hold the description of such values. */
export function isSchemaMember(key: Slice): bool {
  return named(key, "parameters") || endsWith(key, "schema") || endsWith(key, "Schema");
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
    named(key, "image_url") ||
    named(key, "input_audio") ||
    named(key, "source") ||
    named(key, "inlineData") ||
    named(key, "inline_data") ||
    named(key, "fileData") ||
    named(key, "file_data") ||
    named(key, "file") ||
    named(key, "video_url")
  );
}

/** Members that hold binary data or an address in such a holder. */
export function isMediaValue(key: Slice): bool {
  return (
    named(key, "url") ||
    named(key, "data") ||
    named(key, "file_data") ||
    named(key, "fileUri") ||
    named(key, "file_uri")
  );
}

/** Members that hold it in a part itself (the Responses API). */
export function isMediaMember(key: Slice): bool {
  return named(key, "image_url") || named(key, "file_url") || named(key, "file_data");
}

/** Whether a binary value of the member `key` in `holder` is one only if the holder says so; that of others is their address, or sound. */
export function needsType(key: Slice, holder: Slice): bool {
  return named(key, "data") && !named(holder, "input_audio");
}

/** Whether a file's content is told by its address or begins with its type. Without either a server goes by the file's name. */
export function isTypedFile(raw: Slice): bool {
  return startsWithFolded(raw, "data:") || startsWithFolded(raw, "http:") || startsWithFolded(raw, "https:");
}

export function isFileData(key: Slice): bool {
  return named(key, "file_data");
}

/** Whether a media type says that the data is text after all, as SVG is. */
export function isTextType(type: Slice): bool {
  return !(
    (startsWith(type, "image/") && !startsWithFolded(type, "image/svg")) ||
    startsWith(type, "audio/") ||
    startsWith(type, "video/") ||
    named(type, "application/pdf")
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
        if (i8x16.bitmask(i8x16.le_s(v, i8x16.splat(32)))) return false;
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
    named(key, "functionResponse") ||
    named(key, "function_response") ||
    named(key, "codeExecutionResult") ||
    named(key, "code_execution_result") ||
    named(key, "toolResult") ||
    named(key, "searchResult") ||
    named(key, "document") ||
    named(key, "documents") ||
    named(key, "results") ||
    named(key, "output") ||
    named(key, "outputs")
  );
}

/** Types of parts and items whose text comes from outside: results, documents, files, searches. */
export function isOutsideType(type: Slice): bool {
  return (
    endsWith(type, "_result") ||
    endsWith(type, "_output") ||
    named(type, "document") ||
    named(type, "file") ||
    named(type, "input_file") ||
    named(type, "file_search_call") ||
    named(type, "web_search_call") ||
    named(type, "mcp_call") ||
    named(type, "mcp_list_tools")
  );
}

/** Types of items that the model itself wrote. */
export function isModelType(type: Slice): bool {
  return endsWith(type, "_call") || named(type, "reasoning");
}

/** Types of parts and items that are understood. */
export function isKnownType(type: Slice): bool {
  return (
    named(type, "text") ||
    named(type, "input_text") ||
    named(type, "output_text") ||
    named(type, "image_url") ||
    named(type, "input_image") ||
    named(type, "image") ||
    named(type, "input_audio") ||
    named(type, "refusal") ||
    named(type, "message") ||
    named(type, "thinking") ||
    named(type, "redacted_thinking") ||
    named(type, "tool_use") ||
    named(type, "server_tool_use") ||
    named(type, "function") ||
    named(type, "item_reference") ||
    isOutsideType(type) ||
    isModelType(type)
  );
}

function endsWith(s: Slice, text: string): bool {
  const from = lenOf(s) - text.length;
  return from >= 0 && startsWith(((<u64>(ptrOf(s) + from)) << 32) | <u64>text.length, text);
}
