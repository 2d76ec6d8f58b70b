/** Encodes parts as content blocks. Source: Anthropic, "Messages" API reference; "Vision", "PDF support", "Files API". */
import { Either, Encoding } from "effect"
import type {
  AudioPart,
  CacheControl,
  FilePart,
  ImagePart,
  TextPart,
  ToolMessage,
  UserMessage
} from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { string } from "../../json.js"
import type { WireFailure } from "../../Wire.js"
import { parseDataUrl, unsupported } from "../../requestFields.js"
import { native } from "../native.js"

export type Encoded<A> = Either.Either<A, WireFailure>

/** The prompt is cached up to and including the block with this field ("Prompt caching"). */
export const cacheControlField = (cacheControl: CacheControl | undefined): Json =>
  cacheControl === undefined ? {} : { cache_control: { type: "ephemeral", ...cacheControl } }

export const textBlock = (part: TextPart): Json =>
  native.encode({ type: "text", text: part.text, ...cacheControlField(part.cacheControl) }, part)

/** The API rejects texts that are empty or only whitespace. */
export const isNotBlank = (block: Json): boolean =>
  block["type"] !== "text" || (string(block, "text") ?? "").trim() !== ""

const imageBlock = (part: ImagePart): Encoded<Json> => {
  const inline = parseDataUrl(part.url)
  if (inline?.base64 === false) return unsupported("image data other than base64")
  return Either.right({
    type: "image",
    source:
      inline === undefined
        ? { type: "url", url: part.url }
        : {
            type: "base64",
            media_type: inline.mediaType === "image/jpg" ? "image/jpeg" : inline.mediaType,
            data: inline.data
          },
    ...cacheControlField(part.cacheControl)
  })
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text of a `data:` URL; undefined when it is not base64 or percent-encoded UTF-8. */
const plainText = (data: string, base64: boolean): string | undefined => {
  try {
    // `decodeBase64String` would replace invalid UTF-8 instead of failing.
    return base64 ? utf8.decode(Either.getOrThrow(Encoding.decodeBase64(data))) : decodeURIComponent(data)
  } catch {
    return undefined
  }
}

/** The source of a document. Text of any media type is sent as plain text. */
const documentSource = (part: FilePart): Encoded<Json> => {
  if (part.fileId !== undefined) return Either.right({ type: "file", file_id: part.fileId })
  const url = part.url ?? ""
  const inline = parseDataUrl(url)
  if (inline === undefined) return Either.right({ type: "url", url })
  const { base64, data, mediaType } = inline
  if (/^text\/|[/+](?:json|xml|yaml)$/.test(mediaType) || mediaType === "") {
    const text = plainText(data, base64)
    return text === undefined
      ? unsupported("text file that is not UTF-8")
      : Either.right({ type: "text", media_type: "text/plain", data: text })
  }
  return base64
    ? Either.right({ type: "base64", media_type: mediaType, data })
    : unsupported("file data other than base64")
}

const documentBlock = (part: FilePart): Encoded<Json> =>
  Either.map(documentSource(part), (source) => ({
    type: "document",
    source,
    ...(part.filename === undefined ? {} : { title: part.filename }),
    ...cacheControlField(part.cacheControl)
  }))

const mediaBlock = (part: ImagePart | FilePart | AudioPart): Encoded<Json> => {
  switch (part.type) {
    case "image":
      return imageBlock(part)
    case "file":
      return documentBlock(part)
    case "audio":
      return unsupported("audio input")
  }
}

type ContentPart = Exclude<(UserMessage | ToolMessage)["content"], string>[number]

const partBlocks = (part: ContentPart, provider: string): Encoded<ReadonlyArray<Json>> => {
  switch (part.type) {
    case "text":
      return Either.right([textBlock(part)].filter(isNotBlank))
    case "provider": {
      const block = native.readableFields(part, provider)
      return Either.right(block === undefined ? [] : [block])
    }
    default:
      return Either.map(mediaBlock(part), (encoded) => [native.encode(encoded, part)])
  }
}

/** The blocks of a user message or a tool result, without blank texts and parts of other providers. */
export const contentBlocks = (parts: ReadonlyArray<ContentPart>, provider: string): Encoded<ReadonlyArray<Json>> =>
  Either.map(Either.all(parts.map((part) => partBlocks(part, provider))), (blocks) => blocks.flat())
