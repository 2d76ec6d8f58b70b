/** What a cache writes into its store, and how it reads it again. What cannot be read is not there. */
import { Either, Encoding, Option, Schema } from "effect"
import type { ChatResponse } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"

const Times = {
  /** Milliseconds since the epoch. */
  at: Schema.Number,
  /** Milliseconds since the epoch; null: for ever. */
  until: Schema.NullOr(Schema.Number)
}

const ResponseEntry = Schema.Struct({ ...Times, response: Chat.ChatResponse })

export type ResponseEntry = typeof ResponseEntry.Type

const readResponse = Schema.decodeUnknownOption(Schema.parseJson(ResponseEntry))

/** Whether an entry may still be used. Stores that let values expire do so by themselves; files do not. */
export const fresh = (entry: { readonly until: number | null }, now: number): boolean =>
  entry.until === null || entry.until > now

export const untilOf = (now: number, ttl: number): number | null => (Number.isFinite(ttl) ? now + ttl : null)

export const decodeResponse: (text: string) => Option.Option<ResponseEntry> = readResponse

/** None where it is no JSON, as a provider's metadata may be in a test. */
export const encodeResponse = (entry: ResponseEntry): Option.Option<string> =>
  Option.liftThrowable(() => JSON.stringify(entry))()

/**
 * An answer as it is kept: without the keys, attempts, time and price of the call that made it, with the tokens it took to make
 * it.
 */
export const kept = ({ cached, cost: _, ...response }: ChatResponse): ChatResponse => ({
  ...response,
  usage: cached?.usage ?? response.usage,
  latency: 0,
  keyId: "",
  attempts: []
})

const VectorEntry = Schema.Struct({
  ...Times,
  provider: Schema.String,
  model: Schema.String,
  /** Bits of a number. */
  width: Schema.Literal(32, 64),
  /** The numbers, little-endian, in base64. */
  vector: Schema.String
})

const readVector = Schema.decodeUnknownOption(Schema.parseJson(VectorEntry))

/** The vector of one text, and who made it. */
export interface KeptVector {
  readonly at: number
  readonly until: number | null
  readonly provider: string
  readonly model: string
  readonly vector: ReadonlyArray<number>
}

/** As floats where that loses nothing, which is so for what came as base64, and where it is allowed to lose something. */
const widthOf = (vector: ReadonlyArray<number>, single: boolean): 32 | 64 =>
  single || vector.every((value) => Math.fround(value) === value) ? 32 : 64

export const encodeVector = ({ vector, ...about }: KeptVector, single: boolean): string => {
  const width = widthOf(vector, single)
  const view = new DataView(new ArrayBuffer((vector.length * width) / 8))
  vector.forEach((value, index) =>
    width === 32 ? view.setFloat32(index * 4, value, true) : view.setFloat64(index * 8, value, true)
  )
  return JSON.stringify({ ...about, width, vector: Encoding.encodeBase64(new Uint8Array(view.buffer)) })
}

const numbers = (bytes: Uint8Array, width: 32 | 64): ReadonlyArray<number> | undefined => {
  const size = width / 8
  if (bytes.length % size !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / size }, (_, index) =>
    width === 32 ? view.getFloat32(index * 4, true) : view.getFloat64(index * 8, true)
  )
}

export const decodeVector = (text: string): Option.Option<KeptVector> =>
  Option.flatMap(readVector(text), ({ vector, width, ...about }) =>
    Option.map(
      Option.flatMapNullable(Either.getRight(Encoding.decodeBase64(vector)), (bytes) => numbers(bytes, width)),
      (vector) => ({ ...about, vector })
    )
  )
