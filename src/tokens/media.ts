/** Approximate tokens of images, audio and files, by the rules that providers document. */
import { Either, Encoding } from "effect"
import type { AudioPart, FilePart, ImagePart } from "../vocabulary/Chat.js"

const base64Bytes = /^data:([^;,]*)[^,]*;base64,/i

interface Bytes {
  readonly mediaType: string
  readonly length: number
  /** The first bytes, without decoding the rest; undefined if there are fewer. */
  readonly head: (bytes: number) => DataView | undefined
}

/** The content of a `data:` URL, decoded only as far as needed. */
const bytesOf = (url: string): Bytes | undefined => {
  const [prefix, mediaType = ""] = base64Bytes.exec(url) ?? []
  if (prefix === undefined) return undefined
  const padding = url.endsWith("==") ? 2 : url.endsWith("=") ? 1 : 0
  return {
    mediaType: mediaType.toLowerCase(),
    length: Math.floor(((url.length - prefix.length) * 3) / 4) - padding,
    head: (bytes) => {
      const decoded = Encoding.decodeBase64(url.slice(prefix.length, prefix.length + Math.ceil(bytes / 3) * 4))
      return Either.isRight(decoded) && decoded.right.length >= bytes
        ? new DataView(decoded.right.buffer, decoded.right.byteOffset, bytes)
        : undefined
    }
  }
}

// -------------------------------------------------------------------------------------
// images
// -------------------------------------------------------------------------------------

interface Size {
  readonly width: number
  readonly height: number
}

/** The size in pixels of a PNG or GIF, which begins with it. */
const sizeOf = (url: string): Size | undefined => {
  const bytes = bytesOf(url)
  if (bytes?.mediaType === "image/png") {
    const head = bytes.head(24)
    return head?.getUint32(0) === 0x89504e47 ? { width: head.getUint32(16), height: head.getUint32(20) } : undefined
  }
  if (bytes?.mediaType === "image/gif") {
    const head = bytes.head(10)
    return head?.getUint32(0) === 0x47494638
      ? { width: head.getUint16(6, true), height: head.getUint16(8, true) }
      : undefined
  }
  return undefined
}

/** OpenAI's guide "Images and vision" for GPT-4o: tokens per image, and per tile of 512 × 512 pixels. */
const perImage = 85
const perTile = 170

/** An image of unknown size counts as 1024 × 1024 pixels: four tiles. */
const usualTiles = 4

/** The image is scaled down to fit into 2048 × 2048 pixels, then until its shorter side is at most 768 pixels. */
const tiles = ({ height, width }: Size): number => {
  const fitting = Math.min(1, 2048 / Math.max(width, height))
  const scale = Math.min(fitting, 768 / Math.min(width, height))
  return Math.ceil((width * scale) / 512) * Math.ceil((height * scale) / 512)
}

export const ofImage = (part: ImagePart): number => {
  if (part.detail === "low") return perImage
  const size = sizeOf(part.url)
  return perImage + perTile * (size === undefined || size.width * size.height === 0 ? usualTiles : tiles(size))
}

// -------------------------------------------------------------------------------------
// audio and files
// -------------------------------------------------------------------------------------

/** OpenAI's guide "Managing costs" of the Realtime API: one token for each 100 ms of the user's speech. */
const perSecond = 10

/** Without a known length: 128 kbit a second, and one minute. */
const usualBytesPerSecond = 16_000
const usualSeconds = 60

export const ofAudio = (part: AudioPart): number => {
  const bytes = bytesOf(part.url)
  if (bytes === undefined) return usualSeconds * perSecond
  const head = bytes.head(32)
  const declared = head?.getUint32(0) === 0x52494646 ? head.getUint32(28, true) : 0
  return Math.ceil((bytes.length / (declared === 0 ? usualBytesPerSecond : declared)) * perSecond)
}

/** Anthropic's guide "PDF support": 1,500 to 3,000 tokens a page. The number of pages is unknown here. */
const perDocument = 1500

/** Text files count as text: four bytes a token. */
const bytesPerToken = 4

export const ofFile = (part: FilePart): number => {
  const bytes = part.url === undefined ? undefined : bytesOf(part.url)
  return bytes !== undefined && /^text\/|json$|xml$/.test(bytes.mediaType)
    ? Math.ceil(bytes.length / bytesPerToken)
    : perDocument
}
