/** Encoding of the entries in a store. An entry of another version, or that cannot be decoded, counts as missing. */
import { Either, Encoding, Option, Schema } from "effect"
import type { ChatResponse } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"

/**
 * The version of the cache format: the JSON of an entry and the content of a key (`key.ts`). Both contain it, so entries of another
 * version are misses, and processes of two versions can share a store. Version 1, of 0.1.0, was not written; version 2, which no
 * release had, stored responses without `content`.
 *
 * Raise it when an entry or a key changes: their fields, the meaning of a field, or the schema of `ChatResponse`. Entries of version 3 have
 * `raw` and `account` or not: a reader that does not know a field leaves it out.
 */
export const version = 3

const Common = {
  version: Schema.Literal(version),
  /** Milliseconds since the epoch. */
  at: Schema.Number,
  /** Milliseconds since the epoch; null: no expiry. */
  until: Schema.NullOr(Schema.Number)
}

/** The response is stored without the views of its content. */
const StoredResponseEntry = Schema.Struct({
  ...Common,
  response: Schema.Struct(
    { content: Schema.Array(Chat.AssistantPart) },
    Schema.Record({ key: Schema.String, value: Schema.Unknown })
  ),
  /** What a faithful provider sent, for a gateway's clients of its protocol. */
  raw: Schema.optionalWith(Schema.Struct({ protocol: Schema.String, text: Schema.String }), { exact: true }),
  /** The account that made its signatures, as a hash. */
  account: Schema.optionalWith(Schema.String, { exact: true })
})

export interface ResponseEntry extends Omit<typeof StoredResponseEntry.Type, "version" | "response"> {
  readonly response: ChatResponse
}

/** Whether an entry has not expired. Checked here as well because some stores, such as files, never expire values. */
export const isFresh = (entry: { readonly until: number | null }, now: number): boolean =>
  entry.until === null || entry.until > now

export const expiryOf = (now: number, ttl: number): number | null => (Number.isFinite(ttl) ? now + ttl : null)

const decodeResponseEntry = Schema.decodeUnknownOption(Schema.parseJson(StoredResponseEntry))

const validateResponse = Schema.validateOption(Chat.ChatResponse)

export const decodeResponse = (text: string): Option.Option<ResponseEntry> =>
  Option.flatMap(decodeResponseEntry(text), ({ response: { content, ...fields }, version: _, ...entry }) =>
    Option.map(validateResponse(Chat.withContent(fields, content)), (response) => ({ ...entry, response }))
  )

/** None when the response cannot be written as JSON, such as a provider's metadata in a test. */
export const encodeResponse = ({ response, ...entry }: ResponseEntry): Option.Option<string> => {
  const { reasoning: _, refusal: __, text: ___, toolCalls: ____, ...stored } = response
  return Option.liftThrowable(() => JSON.stringify({ version, ...entry, response: stored }))()
}

/** The response as it is stored: with the original usage, but without the key id, attempts, latency and cost of its call. */
export const withoutCallData = ({ cached, cost: _, ...response }: ChatResponse): ChatResponse => ({
  ...response,
  usage: cached?.usage ?? response.usage,
  latency: 0,
  keyId: "",
  attempts: []
})

const VectorEntry = Schema.Struct({
  ...Common,
  provider: Schema.String,
  model: Schema.String,
  /** Bits of a number. */
  width: Schema.Literal(32, 64),
  /** The numbers, little-endian, in base64. */
  vector: Schema.String
})

const decodeVectorEntry = Schema.decodeUnknownOption(Schema.parseJson(VectorEntry))

/** The vector of one text, with the provider and model that made it. */
export interface StoredVector {
  readonly at: number
  readonly until: number | null
  readonly provider: string
  readonly model: string
  readonly vector: ReadonlyArray<number>
}

/** 32 bits when that is exact (as for vectors received as base64) or `single` is true. */
const widthOf = (vector: ReadonlyArray<number>, single: boolean): 32 | 64 =>
  single || vector.every((value) => Math.fround(value) === value) ? 32 : 64

export const encodeVector = ({ vector, ...metadata }: StoredVector, single: boolean): string => {
  const width = widthOf(vector, single)
  const view = new DataView(new ArrayBuffer((vector.length * width) / 8))
  vector.forEach((value, index) =>
    width === 32 ? view.setFloat32(index * 4, value, true) : view.setFloat64(index * 8, value, true)
  )
  return JSON.stringify({ version, ...metadata, width, vector: Encoding.encodeBase64(new Uint8Array(view.buffer)) })
}

const readNumbers = (bytes: Uint8Array, width: 32 | 64): ReadonlyArray<number> | undefined => {
  const size = width / 8
  if (bytes.length % size !== 0) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / size }, (_, index) =>
    width === 32 ? view.getFloat32(index * 4, true) : view.getFloat64(index * 8, true)
  )
}

export const decodeVector = (text: string): Option.Option<StoredVector> =>
  Option.flatMap(decodeVectorEntry(text), ({ vector, version: _, width, ...metadata }) =>
    Option.map(
      Option.flatMapNullable(Either.getRight(Encoding.decodeBase64(vector)), (bytes) => readNumbers(bytes, width)),
      (vector) => ({ ...metadata, vector })
    )
  )
