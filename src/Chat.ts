/**
 * The vocabulary of a call: what is asked (`ChatRequest`) and what comes back (`ChatResponse`), the same for every
 * provider.
 *
 * @example
 * ```ts
 * import { Chat } from "effect-llm"
 *
 * const request: Chat.ChatRequest.Input = {
 *   messages: [Chat.system("Answer in one word."), Chat.user("The capital of France?")],
 *   temperature: 0
 * }
 * ```
 *
 * @since 0.1.0
 */
import { Encoding, Schema } from "effect"
import { Attempt } from "./Attempt.js"
import { Cost } from "./Cost.js"
import { Usage } from "./Usage.js"

const JsonObject = Schema.Record({ key: Schema.String, value: Schema.Unknown })

const NonEmptyId = Schema.NonEmptyString

/** http(s) for what the provider fetches itself, `data:` for bytes. */
const MediaUrl = Schema.String.pipe(
  Schema.filter((url) => /^(https?:\/\/|data:)/i.test(url) || "expected an http(s): or data: URL")
)

// -------------------------------------------------------------------------------------
// parts
// -------------------------------------------------------------------------------------

/**
 * A mark: the provider shall remember the prompt up to and with what bears it, so that the next request with the same
 * beginning is cheaper. For providers that cache only what they are told to; the others cache by themselves or not at all,
 * and do not see it.
 *
 * @since 0.1.0
 * @category parts
 */
export const CacheControl = Schema.Struct({
  /** For how long. The provider's default where absent. */
  ttl: Schema.optionalWith(Schema.Literal("5m", "1h"), { exact: true })
}).annotations({ identifier: "CacheControl" })

/**
 * @since 0.1.0
 * @category parts
 */
export type CacheControl = typeof CacheControl.Type

const cacheControl = Schema.optionalWith(CacheControl, { exact: true })

/**
 * @since 0.1.0
 * @category parts
 */
export const TextPart = Schema.Struct({
  type: Schema.Literal("text"),
  text: Schema.String,
  cacheControl
}).annotations({ identifier: "TextPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export type TextPart = typeof TextPart.Type

/**
 * An image, by URL or as bytes in a `data:` URL (see {@link image}).
 *
 * @since 0.1.0
 * @category parts
 */
export const ImagePart = Schema.Struct({
  type: Schema.Literal("image"),
  url: MediaUrl,
  /** How closely the model looks; the provider's default where absent. */
  detail: Schema.optionalWith(Schema.Literal("low", "high", "auto"), { exact: true }),
  cacheControl
}).annotations({ identifier: "ImagePart" })

/**
 * @since 0.1.0
 * @category parts
 */
export type ImagePart = typeof ImagePart.Type

/**
 * Recorded sound as bytes in a `data:` URL, such as `data:audio/wav;base64,…` (see {@link audio}).
 *
 * @since 0.1.0
 * @category parts
 */
export const AudioPart = Schema.Struct({
  type: Schema.Literal("audio"),
  url: MediaUrl
}).annotations({ identifier: "AudioPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export type AudioPart = typeof AudioPart.Type

/**
 * A document such as a PDF: by URL, as bytes in a `data:` URL (see {@link file}), or by the id the provider gave it when
 * it was uploaded.
 *
 * @since 0.1.0
 * @category parts
 */
export const FilePart = Schema.Struct({
  type: Schema.Literal("file"),
  url: Schema.optionalWith(MediaUrl, { exact: true }),
  fileId: Schema.optionalWith(NonEmptyId, { exact: true }),
  filename: Schema.optionalWith(Schema.String, { exact: true }),
  cacheControl
}).pipe(
  Schema.filter((part) => (part.url === undefined) !== (part.fileId === undefined) || "expected one of url and fileId"),
  Schema.annotations({ identifier: "FilePart" })
)

/**
 * @since 0.1.0
 * @category parts
 */
export type FilePart = typeof FilePart.Type

/**
 * What a model thought, with whatever its provider wants to see again unchanged in the next turn.
 *
 * `signature`, `id` and `format` mean something only to the provider named in `provider`: a wire sends them back there
 * and nowhere else.
 *
 * @since 0.1.0
 * @category parts
 */
export const ReasoningPart = Schema.Struct({
  type: Schema.Literal("reasoning"),
  /** What may be shown; empty where the provider only sends a sealed form. */
  text: Schema.String,
  /** The provider's signature or sealed (encrypted) form of the thought. */
  signature: Schema.optionalWith(Schema.String, { exact: true }),
  /** The provider's id of the thought. */
  id: Schema.optionalWith(Schema.String, { exact: true }),
  /** The provider's own word for the kind of thought, such as `reasoning.summary`. */
  format: Schema.optionalWith(Schema.String, { exact: true }),
  /** The provider that thought it. */
  provider: Schema.optionalWith(Schema.String, { exact: true })
}).annotations({ identifier: "ReasoningPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export type ReasoningPart = typeof ReasoningPart.Type

// -------------------------------------------------------------------------------------
// tools
// -------------------------------------------------------------------------------------

/**
 * A function that the model may ask to have called.
 *
 * @since 0.1.0
 * @category tools
 */
export const ToolDefinition = Schema.Struct({
  name: Schema.String.pipe(Schema.pattern(/^[a-zA-Z0-9_.-]{1,128}$/)),
  description: Schema.optionalWith(Schema.String, { exact: true }),
  /** JSON Schema of the arguments, an object schema. Absent: the function takes none. */
  parameters: Schema.optionalWith(JsonObject, { exact: true }),
  /** Ask the provider to hold the model to the schema exactly. The provider's default where absent. */
  strict: Schema.optionalWith(Schema.Boolean, { exact: true }),
  cacheControl
}).annotations({ identifier: "ToolDefinition" })

/**
 * @since 0.1.0
 * @category tools
 */
export type ToolDefinition = typeof ToolDefinition.Type

/**
 * A call that the model asks for.
 *
 * `arguments` is the text as the model wrote it: JSON in nearly every case, never empty (`{}` stands for no arguments),
 * and cut off where the answer hit its token limit. Decode it with `Schema.parseJson`.
 *
 * @since 0.1.0
 * @category tools
 */
export const ToolCall = Schema.Struct({
  id: NonEmptyId,
  name: Schema.NonEmptyString,
  arguments: Schema.String,
  /** `custom`: `arguments` is free text, as some providers let a tool take. Absent: a function with JSON arguments. */
  type: Schema.optionalWith(Schema.Literal("custom"), { exact: true })
}).annotations({ identifier: "ToolCall" })

/**
 * @since 0.1.0
 * @category tools
 */
export type ToolCall = typeof ToolCall.Type

/**
 * Whether and which tool the model calls: as it likes, not at all, at least one, or the one named.
 *
 * @since 0.1.0
 * @category tools
 */
export const ToolChoice = Schema.Union(
  Schema.Literal("auto", "none", "required"),
  Schema.Struct({ name: Schema.NonEmptyString })
).annotations({ identifier: "ToolChoice" })

/**
 * @since 0.1.0
 * @category tools
 */
export type ToolChoice = typeof ToolChoice.Type

// -------------------------------------------------------------------------------------
// messages
// -------------------------------------------------------------------------------------

const SystemContent = Schema.Union(Schema.String, Schema.Array(TextPart))

/**
 * What the model is told beforehand.
 *
 * @since 0.1.0
 * @category messages
 */
export const SystemMessage = Schema.Struct({
  role: Schema.Literal("system"),
  content: SystemContent
}).annotations({ identifier: "SystemMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type SystemMessage = typeof SystemMessage.Type

/**
 * OpenAI's newer name of a system message. Elsewhere it is sent as one.
 *
 * @since 0.1.0
 * @category messages
 */
export const DeveloperMessage = Schema.Struct({
  role: Schema.Literal("developer"),
  content: SystemContent
}).annotations({ identifier: "DeveloperMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type DeveloperMessage = typeof DeveloperMessage.Type

/**
 * @since 0.1.0
 * @category parts
 */
export const UserPart = Schema.Union(TextPart, ImagePart, AudioPart, FilePart)

/**
 * @since 0.1.0
 * @category parts
 */
export type UserPart = typeof UserPart.Type

/**
 * @since 0.1.0
 * @category messages
 */
export const UserMessage = Schema.Struct({
  role: Schema.Literal("user"),
  content: Schema.Union(Schema.String, Schema.Array(UserPart)),
  name: Schema.optionalWith(Schema.String, { exact: true })
}).annotations({ identifier: "UserMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type UserMessage = typeof UserMessage.Type

/**
 * @since 0.1.0
 * @category parts
 */
export const AssistantPart = Schema.Union(TextPart, ReasoningPart)

/**
 * @since 0.1.0
 * @category parts
 */
export type AssistantPart = typeof AssistantPart.Type

/**
 * What the model said before. Made from an answer by {@link toMessage}.
 *
 * @since 0.1.0
 * @category messages
 */
export const AssistantMessage = Schema.Struct({
  role: Schema.Literal("assistant"),
  content: Schema.Union(Schema.String, Schema.Array(AssistantPart)),
  toolCalls: Schema.optionalWith(Schema.Array(ToolCall), { exact: true })
}).annotations({ identifier: "AssistantMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type AssistantMessage = typeof AssistantMessage.Type

/**
 * What a tool returned for the call with the id `toolCallId`.
 *
 * @since 0.1.0
 * @category messages
 */
export const ToolMessage = Schema.Struct({
  role: Schema.Literal("tool"),
  toolCallId: NonEmptyId,
  content: Schema.Union(Schema.String, Schema.Array(Schema.Union(TextPart, ImagePart, FilePart))),
  /** The tool failed. Providers that have a mark for it get it; the others read the content alone. */
  isError: Schema.optionalWith(Schema.Boolean, { exact: true }),
  cacheControl
}).annotations({ identifier: "ToolMessage" })

/**
 * @since 0.1.0
 * @category messages
 */
export type ToolMessage = typeof ToolMessage.Type

/**
 * @since 0.1.0
 * @category messages
 */
export const Message = Schema.Union(SystemMessage, DeveloperMessage, UserMessage, AssistantMessage, ToolMessage)

/**
 * @since 0.1.0
 * @category messages
 */
export type Message = typeof Message.Type

// -------------------------------------------------------------------------------------
// request
// -------------------------------------------------------------------------------------

/**
 * The shape of the answer: free text, any JSON, or JSON that fits a schema.
 *
 * @since 0.1.0
 * @category request
 */
export const ResponseFormat = Schema.Union(
  Schema.Literal("text", "json"),
  Schema.Struct({
    name: Schema.NonEmptyString,
    /** JSON Schema of the answer. */
    schema: JsonObject,
    description: Schema.optionalWith(Schema.String, { exact: true }),
    /** Hold the model to the schema exactly. The provider's default where absent. */
    strict: Schema.optionalWith(Schema.Boolean, { exact: true })
  })
).annotations({ identifier: "ResponseFormat" })

/**
 * @since 0.1.0
 * @category request
 */
export type ResponseFormat = typeof ResponseFormat.Type

/**
 * How much a model that can think should do so.
 *
 * @since 0.1.0
 * @category request
 */
export const Reasoning = Schema.Struct({
  effort: Schema.optionalWith(Schema.Literal("none", "minimal", "low", "medium", "high", "xhigh"), { exact: true }),
  /** The most tokens to think with, for providers that count instead of grading. */
  budgetTokens: Schema.optionalWith(Schema.Int.pipe(Schema.nonNegative()), { exact: true }),
  /** Ask for a summary of the thoughts, for providers that do not show them whole. */
  summary: Schema.optionalWith(Schema.Literal("auto", "concise", "detailed"), { exact: true })
}).annotations({ identifier: "Reasoning" })

/**
 * @since 0.1.0
 * @category request
 */
export type Reasoning = typeof Reasoning.Type

/**
 * One question to a model. Everything but the messages is optional, and what is absent is the provider's default.
 *
 * @since 0.1.0
 * @category request
 */
export const ChatRequest = Schema.Struct({
  messages: Schema.Array(Message).pipe(Schema.minItems(1)),
  /** Overrides the model of the `LLM` for this request. */
  model: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
  tools: Schema.optionalWith(Schema.Array(ToolDefinition), { exact: true }),
  toolChoice: Schema.optionalWith(ToolChoice, { exact: true }),
  /** Whether the model may ask for several calls in one answer. */
  parallelToolCalls: Schema.optionalWith(Schema.Boolean, { exact: true }),
  responseFormat: Schema.optionalWith(ResponseFormat, { exact: true }),
  temperature: Schema.optionalWith(Schema.Finite.pipe(Schema.nonNegative()), { exact: true }),
  topP: Schema.optionalWith(Schema.Finite.pipe(Schema.between(0, 1)), { exact: true }),
  /** The most tokens the answer may have, thinking included. */
  maxTokens: Schema.optionalWith(Schema.Int.pipe(Schema.positive()), { exact: true }),
  /** Texts at which the model stops. */
  stop: Schema.optionalWith(Schema.Array(Schema.NonEmptyString), { exact: true }),
  seed: Schema.optionalWith(Schema.Int, { exact: true }),
  reasoning: Schema.optionalWith(Reasoning, { exact: true }),
  /** A stable name of your end user, for the provider's abuse detection. */
  user: Schema.optionalWith(Schema.String, { exact: true }),
  metadata: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.String }), { exact: true }),
  /**
   * Fields sent to the provider as they are, over whatever the vocabulary says. `tools` is appended instead: that is how
   * a provider's own tools (web search and the like) are asked for.
   */
  extra: Schema.optionalWith(JsonObject, { exact: true })
}).annotations({ identifier: "ChatRequest" })

/**
 * @since 0.1.0
 * @category request
 */
export type ChatRequest = typeof ChatRequest.Type

/**
 * @since 0.1.0
 * @category request
 */
export declare namespace ChatRequest {
  /** What `chat` takes: a bare string is one user message. */
  export type Input = string | typeof ChatRequest.Encoded
}

// -------------------------------------------------------------------------------------
// response
// -------------------------------------------------------------------------------------

/**
 * Why the model stopped. The provider's own word stands beside it in `rawFinishReason`.
 *
 * @since 0.1.0
 * @category response
 */
export const FinishReason = Schema.Literal("stop", "length", "tool-calls", "content-filter", "other")

/**
 * @since 0.1.0
 * @category response
 */
export type FinishReason = typeof FinishReason.Type

/**
 * Where an answer came from that nobody was asked for.
 *
 * @since 0.1.0
 * @category response
 */
export const Cached = Schema.Struct({
  /** `store`: kept from an earlier call. `flight`: an equal call that was under way at the same time brought it. */
  source: Schema.Literal("store", "flight"),
  /** How long ago the answer was made, in milliseconds. */
  age: Schema.Number,
  /** What it took to make the answer, and so what this call saved. */
  usage: Usage
}).annotations({ identifier: "Cached" })

/**
 * @since 0.1.0
 * @category response
 */
export type Cached = typeof Cached.Type

/**
 * A whole answer.
 *
 * @since 0.1.0
 * @category response
 */
export const ChatResponse = Schema.Struct({
  /** The provider's id of the answer; empty where it sends none. */
  id: Schema.String,
  /** The provider that answered. */
  provider: Schema.String,
  /** The model that answered, in the provider's words: often more exact than the one asked for. */
  model: Schema.String,
  text: Schema.String,
  /** What may be shown of the model's thoughts: the texts of `reasoningParts`, joined. */
  reasoning: Schema.String,
  /** The thoughts with their signatures, to be sent back in the next turn (see {@link toMessage}). */
  reasoningParts: Schema.Array(ReasoningPart),
  /** The model's own words where it declined to answer; empty otherwise. */
  refusal: Schema.String,
  toolCalls: Schema.Array(ToolCall),
  finishReason: FinishReason,
  /** The provider's own word for why the model stopped; empty where it sends none. */
  rawFinishReason: Schema.String,
  usage: Usage,
  /** What the answer cost; absent where no price is known, or nobody asked for it with `Pricing.make()`. */
  cost: Schema.optionalWith(Cost, { exact: true }),
  /** From the moment the attempt that succeeded was sent until the answer was complete, in milliseconds. */
  latency: Schema.Number,
  /** The id (never the secret) of the key that was used. */
  keyId: Schema.String,
  /** Every attempt made for this answer, in order; the last is the one that succeeded. */
  attempts: Schema.Array(Attempt),
  /** What else the provider said, in its own words: citations, safety ratings, service tier … */
  providerMetadata: JsonObject,
  /**
   * Present where no provider was asked for this call. Such an answer consumed nothing: its `usage` is zero, it has no
   * `attempts` and no `keyId`, and its `latency` is that of finding it.
   */
  cached: Schema.optionalWith(Cached, { exact: true })
}).annotations({ identifier: "ChatResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export type ChatResponse = typeof ChatResponse.Type

/**
 * As much of an answer as had arrived when its stream broke.
 *
 * @since 0.1.0
 * @category response
 */
export const PartialResponse = Schema.Struct({
  id: Schema.String,
  model: Schema.String,
  text: Schema.String,
  reasoning: Schema.String,
  /** The calls that were complete. */
  toolCalls: Schema.Array(ToolCall),
  /** What was consumed so far; an estimate unless the provider had sent its counts. */
  usage: Usage
}).annotations({ identifier: "PartialResponse" })

/**
 * @since 0.1.0
 * @category response
 */
export type PartialResponse = typeof PartialResponse.Type

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * @since 0.1.0
 * @category constructors
 */
export const text = (text: string): TextPart => ({ type: "text", text })

const mediaUrl = (source: string | Uint8Array, mediaType: string): string =>
  typeof source === "string" ? source : `data:${mediaType};base64,${Encoding.encodeBase64(source)}`

/**
 * An image part from a URL or from bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const image = (
  source: string | Uint8Array,
  options?: {
    /** Of the bytes. @default "image/png" */
    readonly mediaType?: string
    readonly detail?: "low" | "high" | "auto"
  }
): ImagePart => ({
  type: "image",
  url: mediaUrl(source, options?.mediaType ?? "image/png"),
  ...(options?.detail === undefined ? {} : { detail: options.detail })
})

/**
 * An audio part from a `data:` URL or from bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const audio = (
  source: string | Uint8Array,
  options?: {
    /** Of the bytes. @default "audio/wav" */
    readonly mediaType?: string
  }
): AudioPart => ({ type: "audio", url: mediaUrl(source, options?.mediaType ?? "audio/wav") })

/**
 * A file part from a URL or from bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const file = (
  source: string | Uint8Array,
  options?: {
    /** Of the bytes. @default "application/pdf" */
    readonly mediaType?: string
    readonly filename?: string
  }
): FilePart => ({
  type: "file",
  url: mediaUrl(source, options?.mediaType ?? "application/pdf"),
  ...(options?.filename === undefined ? {} : { filename: options.filename })
})

/**
 * @since 0.1.0
 * @category constructors
 */
export const system = (content: string): SystemMessage => ({ role: "system", content })

/**
 * @since 0.1.0
 * @category constructors
 */
export const user = (content: string | ReadonlyArray<UserPart>): UserMessage => ({ role: "user", content })

/**
 * @since 0.1.0
 * @category constructors
 */
export const assistant = (content: string, toolCalls?: ReadonlyArray<ToolCall>): AssistantMessage => ({
  role: "assistant",
  content,
  ...(toolCalls === undefined ? {} : { toolCalls })
})

/**
 * What a tool returned for a call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toolResult = (call: ToolCall | string, content: string): ToolMessage => ({
  role: "tool",
  toolCallId: typeof call === "string" ? call : call.id,
  content
})

/**
 * The answer as a message, to be put behind the question in the next turn. It carries the thoughts with their signatures
 * and the tool calls, so that providers which want to see them again do.
 *
 * @since 0.1.0
 * @category constructors
 */
export const toMessage = (response: Pick<ChatResponse, "text" | "reasoningParts" | "toolCalls">): AssistantMessage => ({
  role: "assistant",
  content:
    response.reasoningParts.length === 0
      ? response.text
      : [...response.reasoningParts, ...(response.text === "" ? [] : [text(response.text)])],
  ...(response.toolCalls.length === 0 ? {} : { toolCalls: response.toolCalls })
})

/**
 * The text of a message's content: its text parts, joined.
 *
 * @since 0.1.0
 * @category accessors
 */
export const textOf = (content: string | ReadonlyArray<UserPart | AssistantPart>): string =>
  typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join("")
