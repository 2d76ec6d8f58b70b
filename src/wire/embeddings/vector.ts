/** A vector as providers write it: numbers, or their bytes as base64. */
import { Either, Encoding } from "effect"

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

/** How many bytes a number has. OpenAI documents 4, little-endian; others send doubles or, asked for it, single bytes. */
const widthOf = (view: DataView, dimensions: number | undefined): 1 | 4 | 8 | undefined => {
  const width = dimensions === undefined ? undefined : view.byteLength / dimensions
  if (width === 1 || width === 4 || width === 8) return width
  if (areDoubles(view)) return 8
  return view.byteLength % 4 === 0 ? 4 : undefined
}

const readers = {
  1: (view: DataView, at: number) => view.getInt8(at),
  4: (view: DataView, at: number) => view.getFloat32(at, true),
  8: (view: DataView, at: number) => view.getFloat64(at, true)
}

const fromBytes = (bytes: Uint8Array, dimensions: number | undefined): ReadonlyArray<number> | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const width = widthOf(view, dimensions)
  if (width === undefined) return undefined
  const read = readers[width]
  return Array.from({ length: view.byteLength / width }, (_, index) => read(view, index * width))
}

/** The numbers, or nothing where these are none. `dimensions`: how many were asked for. */
export const decode = (value: unknown, dimensions?: number): ReadonlyArray<number> | undefined => {
  if (Array.isArray(value)) return numbers(value)
  if (typeof value !== "string") return undefined
  const bytes = Encoding.decodeBase64(value)
  return Either.isRight(bytes) ? fromBytes(bytes.right, dimensions) : undefined
}

/** As OpenAI writes them: floats of 4 bytes, little-endian, in base64. */
export const toBase64 = (vector: ReadonlyArray<number>): string => {
  const view = new DataView(new ArrayBuffer(vector.length * 4))
  vector.forEach((value, index) => view.setFloat32(index * 4, value, true))
  return Encoding.encodeBase64(new Uint8Array(view.buffer))
}
