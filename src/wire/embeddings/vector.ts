/** A vector as providers write it: numbers, or their bytes as base64. */
import { Either, Encoding } from "effect"
import type { Json } from "../json.js"
import { number, string } from "../json.js"

/**
 * What the numbers of a vector are. `binary` and `ubinary` have eight of them, a bit each, in a byte (Voyage and Cohere, API reference:
 * `output_dtype`, `embedding_types`).
 */
export type NumberType = "float" | "int8" | "uint8" | "binary" | "ubinary"

const types: ReadonlySet<string> = new Set(["float", "int8", "uint8", "binary", "ubinary"])

const isType = (name: string | undefined): name is NumberType => name !== undefined && types.has(name)

/** Perplexity's names (API reference, embeddings). */
const formats: Readonly<Record<string, NumberType>> = { base64_int8: "int8", base64_binary: "ubinary" }

/** What a request wants to know of how its vectors are written. */
export interface Asked {
  /** The type that it names, where it names one. */
  readonly type?: NumberType | undefined
  /** Whether it wants base64. */
  readonly base64: boolean
  /** How many numbers it wants. */
  readonly dimensions?: number | undefined
}

/** `output_dtype`: Voyage, Mistral; `embedding_type`: Jina. */
export const askedBy = (request: Json): Asked => {
  const format = string(request, "encoding_format") ?? string(request, "embedding_type")
  const named = [string(request, "output_dtype"), formats[format ?? ""], format].find((name) => isType(name))
  return {
    type: named,
    base64: format?.startsWith("base64") ?? false,
    dimensions: number(request, "dimensions") ?? number(request, "output_dimension")
  }
}

const numbers = (values: ReadonlyArray<unknown>): ReadonlyArray<number> | undefined =>
  values.every((value): value is number => typeof value === "number") ? values : undefined

/**
 * Doubles made from narrower numbers, as some servers send them: what a float lacks is zero in each of them. In real floats
 * that many zeros in every second place do not occur.
 */
const areDoubles = (view: DataView): boolean => {
  if (view.byteLength % 8 !== 0) return false
  for (let at = 0; at < view.byteLength; at += 8) if ((view.getUint32(at, true) & 0x1fffffff) !== 0) return false
  return true
}

/** No model writes larger numbers. Bytes of other types, read as floats, are as good as never all smaller. */
const mostOfAFloat = 1e6

const areFloats = (view: DataView): boolean => {
  if (view.byteLength % 4 !== 0) return false
  for (let at = 0; at < view.byteLength; at += 4)
    if (!(Math.abs(view.getFloat32(at, true)) < mostOfAFloat)) return false
  return true
}

type Layout = Exclude<NumberType, "float"> | "float32" | "float64"

/** Bytes of a number. */
const widths: Readonly<Record<Layout, number>> = {
  float32: 4,
  float64: 8,
  int8: 1,
  uint8: 1,
  binary: 1 / 8,
  ubinary: 1 / 8
}

const floats: ReadonlyArray<Layout> = ["float32", "float64"]

/**
 * How the bytes are to be read: as the type that was asked for, where the length fits it; else by the length that the number of
 * dimensions asks for; else as floats, which base64 means by itself (OpenAI, API reference: embeddings/create), unless the numbers are
 * none. Nothing where none of this tells.
 */
const layoutOf = (view: DataView, dimensions: number | undefined, asked: Asked): Layout | undefined => {
  const { type } = asked
  const candidates: ReadonlyArray<Layout> =
    type === undefined ? [...floats, "int8", "ubinary"] : type === "float" ? floats : [type]
  const fitting = candidates.find((layout) => widths[layout] * (dimensions ?? 0) === view.byteLength)
  if (fitting !== undefined && dimensions !== undefined) return fitting
  if (type !== undefined && type !== "float") return dimensions === undefined ? type : undefined
  if (areDoubles(view)) return "float64"
  return (type === "float" ? view.byteLength % 4 === 0 : areFloats(view)) ? "float32" : undefined
}

const readers: Readonly<Record<Layout, (view: DataView, at: number) => number>> = {
  int8: (view, at) => view.getInt8(at),
  uint8: (view, at) => view.getUint8(at),
  binary: (view, at) => view.getInt8(at),
  ubinary: (view, at) => view.getUint8(at),
  float32: (view, at) => view.getFloat32(at, true),
  float64: (view, at) => view.getFloat64(at, true)
}

const fromBytes = (
  bytes: Uint8Array,
  dimensions: number | undefined,
  asked: Asked
): ReadonlyArray<number> | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const layout = layoutOf(view, dimensions, asked)
  if (layout === undefined) return undefined
  const width = Math.max(1, widths[layout])
  const read = readers[layout]
  return Array.from({ length: view.byteLength / width }, (_, index) => read(view, index * width))
}

/** The numbers, or nothing where these are none. `dimensions`: how many were asked for. */
export const decode = (
  value: unknown,
  dimensions?: number,
  asked: Asked = { base64: true }
): ReadonlyArray<number> | undefined => {
  if (Array.isArray(value)) return numbers(value)
  if (typeof value !== "string") return undefined
  const bytes = Encoding.decodeBase64(value)
  return Either.isRight(bytes) ? fromBytes(bytes.right, dimensions, asked) : undefined
}

/** As OpenAI writes them: floats of 4 bytes, little-endian, in base64. */
export const toBase64 = (vector: ReadonlyArray<number>): string => {
  const view = new DataView(new ArrayBuffer(vector.length * 4))
  vector.forEach((value, index) => view.setFloat32(index * 4, value, true))
  return Encoding.encodeBase64(new Uint8Array(view.buffer))
}

const isSigned = (type: NumberType): boolean => type === "int8" || type === "binary"

/**
 * The vector as the request wants it: base64 of the type that was asked for, or numbers, also where that type cannot hold
 * them.
 */
export const encode = (vector: ReadonlyArray<number>, { base64, type = "float" }: Asked): unknown => {
  if (!base64) return vector
  if (type === "float") return toBase64(vector)
  const [least, most] = isSigned(type) ? [-128, 127] : [0, 255]
  return vector.every((value) => Number.isInteger(value) && value >= least && value <= most)
    ? Encoding.encodeBase64(Uint8Array.from(vector))
    : vector
}
