/** What a message may hold. Public by way of `Chat`. */
import { Encoding, Schema } from "effect"
import * as Fields from "./fields.js"
import { MediaUrl, native, NonEmptyId } from "./fields.js"

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

/**
 * What is said in the words of one protocol, where the vocabulary has none: fields by the name of the wire whose words they are,
 * such as `{ "chat-completions": { prefix: true } }`. That wire writes them, over whatever the vocabulary says, and no other does.
 *
 * @since 0.1.0
 * @category parts
 */
export const Native = Fields.Native

/**
 * @since 0.1.0
 * @category parts
 */
export type Native = typeof Native.Type

const cacheControl = Schema.optionalWith(CacheControl, { exact: true })

/**
 * Text, as it is.
 *
 * @since 0.1.0
 * @category parts
 */
export const TextPart = Schema.Struct({
  type: Schema.Literal("text"),
  text: Schema.String,
  cacheControl,
  native
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
  cacheControl,
  native
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
  url: MediaUrl,
  native
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
  provider: Schema.optionalWith(Schema.String, { exact: true }),
  native
}).annotations({ identifier: "ReasoningPart" })

/**
 * @since 0.1.0
 * @category parts
 */
export type ReasoningPart = typeof ReasoningPart.Type

/**
 * A part that only one protocol has, as it stands there. Where another is spoken, a request with one is `Unsupported`.
 *
 * @since 0.1.0
 * @category parts
 */
export const NativePart = Schema.Struct({
  type: Schema.Literal("native"),
  native: Native
}).annotations({ identifier: "NativePart" })

/**
 * @since 0.1.0
 * @category parts
 */
export type NativePart = typeof NativePart.Type

/**
 * What a message of the user may hold.
 *
 * @since 0.1.0
 * @category parts
 */
export const UserPart = Schema.Union(TextPart, ImagePart, AudioPart, FilePart, NativePart)

/**
 * @since 0.1.0
 * @category parts
 */
export type UserPart = typeof UserPart.Type

/**
 * What an answer may hold, when it is sent back in the next turn.
 *
 * @since 0.1.0
 * @category parts
 */
export const AssistantPart = Schema.Union(TextPart, ReasoningPart, NativePart)

/**
 * @since 0.1.0
 * @category parts
 */
export type AssistantPart = typeof AssistantPart.Type

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

/**
 * A text part.
 *
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
 * The text of a message's content: its text parts, joined.
 *
 * @since 0.1.0
 * @category accessors
 */
export const textOf = (content: string | ReadonlyArray<UserPart | AssistantPart>): string =>
  typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "")).join("")
