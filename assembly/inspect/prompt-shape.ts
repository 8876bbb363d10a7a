// Which API a request speaks: by its path if that is exactly a known one, else by the members of its body.
//
// The only normalisation of a path: what follows the first `?` is cut off. Any prefix may come before a known
// ending. A path with a percent sign, a backslash, a semicolon, `#`, `//` or a dot segment could mean another
// place to the server behind us than to us, so it is never guessed at: Unknown, whatever the body. So is any
// method but POST. Only `%3A` divides no path, and the slash in an ARN of Bedrock's (prompt-bedrock.ts); AWS' clients write both
// in the names of models: with them the body tells. A trailing slash or another case is simply not a known ending.
import { Tape } from "../json/tape";
import { is, lenOf, NONE, ptrOf, Slice, startsWith, sub } from "../slice";
import { arnSlash } from "./prompt-bedrock";

export enum Shape {
  Unknown = 0,
  Chat = 1,
  Responses = 2,
  Completions = 3,
  Embeddings = 4,
  Messages = 5,
  Gemini = 6,
  /** Ollama's own API. */
  OllamaChat = 7,
  OllamaGenerate = 8,
  /** Gemini's other API. */
  Interactions = 9,
}

export function findShape(tape: Tape, path: Slice, method: Slice): i32 {
  if (!is(method, "POST")) return Shape.Unknown;
  const clean = plainPath(path);
  if (clean == NONE) return isOdd(withoutQuery(path), true) ? Shape.Unknown : byBody(tape);
  const known = byPath(clean);
  return known != Shape.Unknown ? known : byBody(tape);
}

/** `path` without its query; NONE when servers could disagree about what it names. */
export function plainPath(path: Slice): Slice {
  const clean = withoutQuery(path);
  return isOddPath(clean) ? NONE : clean;
}

/** Whether `path` is one of those that count a prompt's tokens: no model is asked, and providers charge nothing. */
export function asksForCount(path: Slice): bool {
  const clean = withoutQuery(path);
  const counts =
    // Bedrock's, whose models have colons in their names.
    endsWith(clean, "/count-tokens") ||
    endsWith(clean, "/v1/messages/count_tokens") ||
    endsWith(clean, "/v1/responses/input_tokens") ||
    endsWith(clean, ":countTokens");
  // Last, as it reads the whole path, and hardly any request gets here.
  return counts && !isOdd(clean, true);
}

/** Whether a plain path is one of those whose answers are no text of a model, so that no limit of it can be asked for. */
export function writesNoText(clean: Slice): bool {
  return (
    endsWith(clean, "/moderations") ||
    endsWith(clean, "/images/generations") ||
    endsWith(clean, "/images/edits") ||
    endsWith(clean, "/videos") ||
    endsWith(clean, "/audio/speech") ||
    endsWith(clean, "/rerank") ||
    endsWith(clean, "/tokenize") ||
    // It is answered with what a model wrote, enciphered, and takes no limit.
    endsWith(clean, "/v1/responses/compact") ||
    // Gemini keeps a prompt there, and refuses what says how to answer it.
    endsWith(clean, "/cachedContents")
  );
}

/** Whether a plain path is that of Cohere's chats, which have the body of a chat, tell usage unasked and refuse members that they do not know. */
export function isCohereChat(clean: Slice): bool {
  return endsWith(clean, "/v2/chat");
}

/** Whether the path alone tells which API it is, so that a POST to it says all that it wants in its body. */
export function isApiPath(path: Slice): bool {
  const clean = plainPath(path);
  return clean != NONE && byPath(clean) != Shape.Unknown;
}

/** The member that holds the prompt. */
export function mainMember(shape: i32, tape: Tape): string {
  if (shape == Shape.Completions || shape == Shape.OllamaGenerate) return "prompt";
  if (shape == Shape.Embeddings) return embedded(tape);
  if (shape == Shape.Responses || shape == Shape.Interactions) return "input";
  return shape == Shape.Gemini ? "contents" : "messages";
}

/** What is to be embedded: as OpenAI and Ollama name it, Cohere, Hugging Face's servers, Gemini, Gemini for several at once, and Ollama at first. */
function embedded(tape: Tape): string {
  if (tape.member(0, "texts") >= 0) return "texts";
  if (tape.member(0, "inputs") >= 0) return "inputs";
  if (tape.member(0, "content") >= 0) return "content";
  if (tape.member(0, "requests") >= 0) return "requests";
  return tape.member(0, "prompt") >= 0 && tape.member(0, "input") < 0 ? "prompt" : "input";
}

export function withoutQuery(path: Slice): Slice {
  const len = lenOf(path);
  for (let i = 0; i < len; i++) if (load<u8>(ptrOf(path) + i) == 63) return sub(path, 0, i);
  return path;
}

/** Whether servers could disagree about what `path` names. */
export function isOddPath(path: Slice): bool {
  return isOdd(path, false);
}

/** `names`: a colon may be written as `%3A`, and the slash of an ARN as `%2F`. */
function isOdd(path: Slice, names: bool): bool {
  const ptr = ptrOf(path);
  const len = lenOf(path);
  let segment = 0;
  for (let i = 0; i <= len; i++) {
    const c: u32 = i < len ? load<u8>(ptr + i) : 47;
    // Nearly every byte is one, and a path is read several times.
    if ((c | 32) - 97 < 26) continue;
    if (names && c == 37 && len - i > 2) {
      const isColon = load<u8>(ptr + i, 1) == 51 && (load<u8>(ptr + i, 2) | 32) == 97;
      if (isColon || arnSlash(path) == i) {
        i += 2;
        continue;
      }
    }
    if (c <= 32 || c >= 127 || c == 37 || c == 92 || c == 59 || c == 35) return true;
    if (c != 47) continue;
    const size = i - segment;
    if (i > 0 && i < len && size == 0) return true;
    if (size == 1 && load<u8>(ptr + segment) == 46) return true;
    if (size == 2 && load<u16>(ptr + segment) == 0x2e2e) return true;
    segment = i + 1;
  }
  return false;
}

function endsWith(path: Slice, text: string): bool {
  const from = lenOf(path) - text.length;
  return from >= 0 && startsWith(sub(path, from, lenOf(path)), text);
}

function byPath(path: Slice): i32 {
  if (endsWith(path, "/chat/completions")) return Shape.Chat;
  if (endsWith(path, "/v1/responses") || endsWith(path, "/openai/responses")) return Shape.Responses;
  if (endsWith(path, "/v1/responses/input_tokens") || endsWith(path, "/v1/responses/compact"))
    return Shape.Responses;
  if (endsWith(path, "/v1/completions")) return Shape.Completions;
  // Azure and some gateways have no version before it.
  if (endsWith(path, "/embeddings")) return Shape.Embeddings;
  if (endsWith(path, "/v1/messages") || endsWith(path, "/v1/messages/count_tokens")) return Shape.Messages;
  if (endsWith(path, ":generateContent") || isGeminiStream(path) || endsWith(path, ":countTokens"))
    return Shape.Gemini;
  if (endsWith(path, "/interactions")) return Shape.Interactions;
  if (endsWith(path, "/api/chat")) return Shape.OllamaChat;
  if (endsWith(path, "/api/generate")) return Shape.OllamaGenerate;
  // Ollama, Cohere and Hugging Face's servers; Gemini, and Gemini for several texts at once.
  if (endsWith(path, "/embed")) return Shape.Embeddings;
  if (endsWith(path, ":embedContent") || endsWith(path, ":batchEmbedContents")) return Shape.Embeddings;
  return Shape.Unknown;
}

/** Whether `shape` is one of Ollama's own API, which keeps the answer's limit among its options and streams unless told not to. */
export function isOllama(shape: i32): bool {
  return shape == Shape.OllamaChat || shape == Shape.OllamaGenerate;
}

export function isGeminiStream(path: Slice): bool {
  return endsWith(path, ":streamGenerateContent");
}

/** Exactly one of the members that hold prompts must be there. */
function byBody(tape: Tape): i32 {
  const messages = tape.member(0, "messages") >= 0;
  const input = tape.member(0, "input") >= 0;
  const prompt = tape.member(0, "prompt") >= 0;
  const contents = tape.member(0, "contents") >= 0;
  if (<i32>messages + <i32>input + <i32>prompt + <i32>contents != 1) return Shape.Unknown;
  if (contents) return Shape.Gemini;
  if (prompt) return Shape.Completions;
  if (messages) {
    const anthropic = tape.member(0, "system") >= 0 || tape.member(0, "anthropic_version") >= 0;
    return anthropic ? Shape.Messages : Shape.Chat;
  }
  // Never embeddings, which have no answer to bound: no member that a server may pass over says so.
  return Shape.Responses;
}
