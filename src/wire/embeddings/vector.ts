/** Decodes and encodes vectors: numbers, or their bytes as base64. */
import { Either, Encoding } from "effect"
import type { Json } from "../json.js"
import { number, string } from "../json.js"

/**
 * The type of a vector's numbers. `binary` and `ubinary` have eight numbers of one bit in each byte (Voyage and Cohere, API
 * reference: `output_dtype`, `embedding_types`).
 */
export type NumberType = "float" | "int8" | "uint8" | "binary" | "ubinary"

const types: ReadonlySet<string> = new Set(["float", "int8", "uint8", "binary", "ubinary"])

const isType = (name: string | undefined): name is NumberType => name !== undefined && types.has(name)

/** Perplexity's names (API reference, embeddings). */
const formats: Readonly<Record<string, NumberType>> = { base64_int8: "int8", base64_binary: "ubinary" }

/** The encoding of vectors that a request asks for. */
export interface VectorEncoding {
  /** Absent when the request names no type. */
  readonly type?: NumberType | undefined
  readonly base64: boolean
  readonly dimensions?: number | undefined
}

/** The encoding that a request asks for. `output_dtype`: Voyage, Mistral; `embedding_type`: Jina. */
export const requestedEncoding = (request: Json): VectorEncoding => {
  const format = string(request, "encoding_format") ?? string(request, "embedding_type")
  return {
    type: [string(request, "output_dtype"), formats[format ?? ""], format].find((name) => isType(name)),
    base64: format?.startsWith("base64") ?? false,
    dimensions: number(request, "dimensions") ?? number(request, "output_dimension")
  }
}

const numbers = (values: ReadonlyArray<unknown>): ReadonlyArray<number> | undefined =>
  values.every((value): value is number => typeof value === "number") ? values : undefined

/**
 * Whether bytes are doubles converted from floats, as some servers send them: the bits that a float does not have are zero in
 * each. Real floats do not have that many zeros in every second number.
 */
const areDoubles = (view: DataView): boolean => {
  if (view.byteLength % 8 !== 0) return false
  for (let at = 0; at < view.byteLength; at += 8) if ((view.getUint32(at, true) & 0x1fffffff) !== 0) return false
  return true
}

/** Larger than every number of a real vector. Bytes of other types, read as floats, practically always exceed it somewhere. */
const maxFloat = 1e6

const areFloats = (view: DataView): boolean => {
  if (view.byteLength % 4 !== 0) return false
  for (let at = 0; at < view.byteLength; at += 4) if (!(Math.abs(view.getFloat32(at, true)) < maxFloat)) return false
  return true
}

type Layout = Exclude<NumberType, "float"> | "float32" | "float64"

/** The bytes of one number. */
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
 * The layout of bytes: the requested type, unless the length contradicts the dimensions; without a type, the layout whose length
 * matches the dimensions; else floats, the default of base64 (OpenAI, API reference: embeddings/create), if the bytes can be
 * floats. Undefined when none applies.
 */
const layoutOf = (view: DataView, dimensions: number | undefined, encoding: VectorEncoding): Layout | undefined => {
  const { type } = encoding
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
  encoding: VectorEncoding
): ReadonlyArray<number> | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const layout = layoutOf(view, dimensions, encoding)
  if (layout === undefined) return undefined
  const width = Math.max(1, widths[layout])
  const read = readers[layout]
  return Array.from({ length: view.byteLength / width }, (_, index) => read(view, index * width))
}

/** The numbers of an encoded vector; undefined when it cannot be decoded. `dimensions` is the requested number of them. */
export const decode = (
  value: unknown,
  dimensions?: number,
  encoding: VectorEncoding = { base64: true }
): ReadonlyArray<number> | undefined => {
  if (Array.isArray(value)) return numbers(value)
  if (typeof value !== "string") return undefined
  const bytes = Encoding.decodeBase64(value)
  return Either.isRight(bytes) ? fromBytes(bytes.right, dimensions, encoding) : undefined
}

/** Floats of 4 bytes, little-endian, in base64, as OpenAI sends them. */
export const toBase64 = (vector: ReadonlyArray<number>): string => {
  const view = new DataView(new ArrayBuffer(vector.length * 4))
  vector.forEach((value, index) => view.setFloat32(index * 4, value, true))
  return Encoding.encodeBase64(new Uint8Array(view.buffer))
}

const isSigned = (type: NumberType): boolean => type === "int8" || type === "binary"

/** The vector in the requested encoding; as numbers when the requested type cannot represent them. */
export const encode = (vector: ReadonlyArray<number>, { base64, type = "float" }: VectorEncoding): unknown => {
  if (!base64) return vector
  if (type === "float") return toBase64(vector)
  const [least, most] = isSigned(type) ? [-128, 127] : [0, 255]
  return vector.every((value) => Number.isInteger(value) && value >= least && value <= most)
    ? Encoding.encodeBase64(Uint8Array.from(vector))
    : vector
}
