/** About what an image, a sound or a file counts: by the rules that providers document, which differ. */
import { Either, Encoding } from "effect"
import type { AudioPart, FilePart, ImagePart } from "../vocabulary/Chat.js"

const base64Bytes = /^data:([^;,]*)[^,]*;base64,/i

interface Bytes {
  readonly mediaType: string
  readonly length: number
  /** The beginning, decoded as far as is asked for. */
  readonly head: (bytes: number) => DataView | undefined
}

/** What a `data:` URL holds, without decoding more of it than is asked for. */
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

/** The size in pixels, where it stands at the beginning of the bytes: in PNG and GIF. */
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

/** OpenAI's guide "Images and vision" for GPT-4o: what every image counts, and what each tile of 512 pixels square adds. */
const perImage = 85
const perTile = 170

/** An image whose size is not known is taken for one of 1024 pixels square: four tiles. */
const usualTiles = 4

/** The image is made to fit into 2048 pixels square, then its shorter side to be 768 pixels at the greatest. */
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
// sounds and files
// -------------------------------------------------------------------------------------

/** OpenAI's guide "Managing costs" of the Realtime API: a token for each 100 ms of the user's speech. */
const perSecond = 10

/** Where a sound cannot be measured: 128 kbit a second, and a minute. */
const usualBytesPerSecond = 16_000
const usualSeconds = 60

export const ofAudio = (part: AudioPart): number => {
  const bytes = bytesOf(part.url)
  if (bytes === undefined) return usualSeconds * perSecond
  const head = bytes.head(32)
  const declared = head?.getUint32(0) === 0x52494646 ? head.getUint32(28, true) : 0
  return Math.ceil((bytes.length / (declared === 0 ? usualBytesPerSecond : declared)) * perSecond)
}

/** Anthropic's guide "PDF support": 1,500 to 3,000 tokens a page. How many pages there are is not known here. */
const perDocument = 1500

/** Text files go in as text: four bytes a token. */
const bytesPerToken = 4

export const ofFile = (part: FilePart): number => {
  const bytes = part.url === undefined ? undefined : bytesOf(part.url)
  return bytes !== undefined && /^text\/|json$|xml$/.test(bytes.mediaType)
    ? Math.ceil(bytes.length / bytesPerToken)
    : perDocument
}
