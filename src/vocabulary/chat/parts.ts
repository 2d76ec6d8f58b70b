/** Parts of a message's content. Exported by `Chat`. */
import { Encoding, Schema } from "effect"
import { MediaUrl, Native, native, NonEmptyId } from "./fields.js"

export { Native }

/**
 * Asks the provider to cache the prompt up to and including this part, so that later requests with the same prefix are cheaper.
 * For providers with explicit prompt caching; it is not sent to others, which cache automatically or not at all.
 *
 * @since 0.1.0
 * @category parts
 */
export interface CacheControl extends Schema.Schema.Type<typeof cacheControlSchema> {}

const cacheControlSchema = Schema.Struct({
  /** How long the prompt is cached. The provider's default when absent. */
  ttl: Schema.optionalWith(Schema.Literal("5m", "1h"), { exact: true })
}).annotations({ identifier: "CacheControl" })

/**
 * @since 0.1.0
 * @category parts
 */
export const CacheControl: Schema.Schema<CacheControl> = cacheControlSchema

const cacheControl = Schema.optionalWith(CacheControl, { exact: true })

/** The provider that sent the part in an answer. Signatures and native fields of the part are sent back to it alone. */
const provider = Schema.optionalWith(Schema.String, { exact: true })

/**
 * Text.
 *
 * @since 0.1.0
 * @category parts
 */
export interface TextPart extends Schema.Schema.Type<typeof textPartSchema> {}

const textPartSchema = Schema.Struct({
  type: Schema.Literal("text"),
  text: Schema.String,
  cacheControl,
  provider,
  native
}).annotations({ identifier: "TextPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export const TextPart: Schema.Schema<TextPart> = textPartSchema

/**
 * An image, by URL or as bytes in a `data:` URL (see {@link image}).
 *
 * @since 0.1.0
 * @category parts
 */
export interface ImagePart extends Schema.Schema.Type<typeof imagePartSchema> {}

const imagePartSchema = Schema.Struct({
  type: Schema.Literal("image"),
  url: MediaUrl,
  /** Level of detail at which the model processes the image. The provider's default when absent. */
  detail: Schema.optionalWith(Schema.Literal("low", "high", "auto"), { exact: true }),
  cacheControl,
  native
}).annotations({ identifier: "ImagePart" })

/**
 * @since 0.1.0
 * @category parts
 */
export const ImagePart: Schema.Schema<ImagePart> = imagePartSchema

/**
 * Audio as bytes in a `data:` URL, such as `data:audio/wav;base64,…` (see {@link audio}).
 *
 * @since 0.1.0
 * @category parts
 */
export interface AudioPart extends Schema.Schema.Type<typeof audioPartSchema> {}

const audioPartSchema = Schema.Struct({
  type: Schema.Literal("audio"),
  url: MediaUrl,
  native
}).annotations({ identifier: "AudioPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export const AudioPart: Schema.Schema<AudioPart> = audioPartSchema

/**
 * A document such as a PDF: by URL, as bytes in a `data:` URL (see {@link file}), or by the provider's id of an uploaded file.
 * Exactly one of `url` and `fileId` is required.
 *
 * @since 0.1.0
 * @category parts
 */
export interface FilePart extends Schema.Schema.Type<typeof filePartSchema> {}

const filePartSchema = Schema.Struct({
  type: Schema.Literal("file"),
  url: Schema.optionalWith(MediaUrl, { exact: true }),
  fileId: Schema.optionalWith(NonEmptyId, { exact: true }),
  filename: Schema.optionalWith(Schema.String, { exact: true }),
  cacheControl,
  native
}).pipe(
  Schema.filter((part) => (part.url === undefined) !== (part.fileId === undefined) || "expected one of url and fileId"),
  Schema.annotations({ identifier: "FilePart" })
)

/**
 * @since 0.1.0
 * @category parts
 */
export const FilePart: Schema.Schema<FilePart> = filePartSchema

/**
 * Reasoning of the model, with the fields that its provider requires unchanged in the next turn.
 *
 * `signature`, `id` and `format` are valid only for `provider`, the provider that sent the reasoning: a wire sends them back to
 * that provider only.
 *
 * @since 0.1.0
 * @category parts
 */
export interface ReasoningPart extends Schema.Schema.Type<typeof reasoningPartSchema> {}

const reasoningPartSchema = Schema.Struct({
  type: Schema.Literal("reasoning"),
  /** Readable text; empty when the provider sends only an encrypted form. */
  text: Schema.String,
  /** The provider's signature or encrypted form of the reasoning. */
  signature: Schema.optionalWith(Schema.String, { exact: true }),
  /** The provider's id of the reasoning. */
  id: Schema.optionalWith(Schema.String, { exact: true }),
  /** The provider's name for the kind of reasoning, such as `reasoning.summary`. */
  format: Schema.optionalWith(Schema.String, { exact: true }),
  provider,
  native
}).annotations({ identifier: "ReasoningPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export const ReasoningPart: Schema.Schema<ReasoningPart> = reasoningPartSchema

/**
 * The model's refusal to answer. Providers that have no field for it receive it as text.
 *
 * @since 0.2.0
 * @category parts
 */
export interface RefusalPart extends Schema.Schema.Type<typeof refusalPartSchema> {}

const refusalPartSchema = Schema.Struct({
  type: Schema.Literal("refusal"),
  text: Schema.String,
  provider,
  native
}).annotations({ identifier: "RefusalPart" })

/**
 * @since 0.2.0
 * @category parts
 */
export const RefusalPart: Schema.Schema<RefusalPart> = refusalPartSchema

/**
 * A tool call that the model requests.
 *
 * `arguments` is the unchanged text of the model: JSON in nearly every case, never empty (`{}` when there are no arguments), and
 * truncated when the response reached its token limit. Decode it with `Schema.parseJson`.
 *
 * @since 0.1.0
 * @category parts
 */
export interface ToolCall extends Schema.Schema.Type<typeof toolCallSchema> {}

const toolCallSchema = Schema.Struct({
  type: Schema.Literal("tool-call"),
  id: NonEmptyId,
  name: Schema.NonEmptyString,
  arguments: Schema.String,
  /** Whether `arguments` is free text, which some providers support. Absent for a function with JSON arguments. */
  custom: Schema.optionalWith(Schema.Literal(true), { exact: true }),
  /** The provider's signature of the reasoning before this call (Gemini), valid only for `provider`. */
  signature: Schema.optionalWith(Schema.String, { exact: true }),
  provider,
  native
}).annotations({ identifier: "ToolCall" })

/**
 * @since 0.1.0
 * @category parts
 */
export const ToolCall: Schema.Schema<ToolCall> = toolCallSchema

/**
 * A part that only one protocol has, unchanged, in `native`: the call or the result of a tool that the provider runs, a compacted
 * history, a file in a provider's container.
 *
 * A part with `provider` is from an answer of that provider: it is sent back to it in its place, and left out for every other
 * provider. A part without `provider` is of the caller: a request with it to another protocol fails with `UnsupportedError`.
 *
 * @since 0.2.0
 * @category parts
 */
export interface ProviderPart extends Schema.Schema.Type<typeof providerPartSchema> {}

const providerPartSchema = Schema.Struct({
  type: Schema.Literal("provider"),
  native: Native,
  provider
}).annotations({ identifier: "ProviderPart" })

/**
 * @since 0.2.0
 * @category parts
 */
export const ProviderPart: Schema.Schema<ProviderPart> = providerPartSchema

/**
 * A part of a user message.
 *
 * @since 0.1.0
 * @category parts
 */
export type UserPart = TextPart | ImagePart | AudioPart | FilePart | ProviderPart

/**
 * @since 0.1.0
 * @category parts
 */
export const UserPart: Schema.Schema<UserPart> = Schema.Union(TextPart, ImagePart, AudioPart, FilePart, ProviderPart)

/**
 * A part of an assistant message and of a response.
 *
 * @since 0.1.0
 * @category parts
 */
export type AssistantPart = TextPart | RefusalPart | ReasoningPart | ToolCall | ProviderPart

/**
 * @since 0.1.0
 * @category parts
 */
export const AssistantPart: Schema.Schema<AssistantPart> = Schema.Union(
  TextPart,
  RefusalPart,
  ReasoningPart,
  ToolCall,
  ProviderPart
)

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * Makes a text part.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (text: string): TextPart => ({ type: "text", text })

const mediaUrl = (source: string | Uint8Array, mediaType: string): string =>
  typeof source === "string" ? source : `data:${mediaType};base64,${Encoding.encodeBase64(source)}`

/**
 * Makes an image part from a URL or from bytes.
 *
 * @example
 * ```ts
 * import { Chat } from "effect-llm"
 *
 * const byUrl = Chat.image("https://example.com/cat.png", { detail: "low" })
 * const byBytes = (bytes: Uint8Array) => Chat.image(bytes, { mediaType: "image/jpeg" })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const image = (
  source: string | Uint8Array,
  options?: {
    /** Media type of the bytes. Ignored for a URL. @default "image/png" */
    readonly mediaType?: string
    readonly detail?: "low" | "high" | "auto"
  }
): ImagePart => ({
  type: "image",
  url: mediaUrl(source, options?.mediaType ?? "image/png"),
  ...(options?.detail === undefined ? {} : { detail: options.detail })
})

/**
 * Makes an audio part from a `data:` URL or from bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const audio = (
  source: string | Uint8Array,
  options?: {
    /** Media type of the bytes. Ignored for a URL. @default "audio/wav" */
    readonly mediaType?: string
  }
): AudioPart => ({ type: "audio", url: mediaUrl(source, options?.mediaType ?? "audio/wav") })

/**
 * Makes a file part from a URL or from bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const file = (
  source: string | Uint8Array,
  options?: {
    /** Media type of the bytes. Ignored for a URL. @default "application/pdf" */
    readonly mediaType?: string
    readonly filename?: string
  }
): FilePart => ({
  type: "file",
  url: mediaUrl(source, options?.mediaType ?? "application/pdf"),
  ...(options?.filename === undefined ? {} : { filename: options.filename })
})

/**
 * Makes a tool call, whose arguments are a JSON text.
 *
 * @since 0.2.0
 * @category constructors
 */
export const toolCall = (id: string, name: string, args: string): ToolCall => ({
  type: "tool-call",
  id,
  name,
  arguments: args
})

/**
 * Returns the text of a message's content: its text parts joined.
 *
 * @since 0.1.0
 * @category accessors
 */
export const textOf = (content: string | ReadonlyArray<UserPart | AssistantPart>): string =>
  typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join("")

/**
 * Returns the tool calls of an assistant message's content, in order.
 *
 * @since 0.2.0
 * @category accessors
 */
export const toolCallsOf = (content: string | ReadonlyArray<AssistantPart>): ReadonlyArray<ToolCall> =>
  typeof content === "string" ? [] : content.filter((part) => part.type === "tool-call")

/**
 * Returns the reasoning of an assistant message's content: the texts of its reasoning parts joined.
 *
 * @since 0.2.0
 * @category accessors
 */
export const reasoningOf = (content: string | ReadonlyArray<AssistantPart>): string =>
  typeof content === "string" ? "" : content.map((part) => (part.type === "reasoning" ? part.text : "")).join("")

/**
 * Returns the refusal of an assistant message's content: its refusal parts joined.
 *
 * @since 0.2.0
 * @category accessors
 */
export const refusalOf = (content: string | ReadonlyArray<AssistantPart>): string =>
  typeof content === "string" ? "" : content.map((part) => (part.type === "refusal" ? part.text : "")).join("")
