/** Stored answers of `/v1/responses`: their format, their keys in the store, and their items. */
import { randomUUID } from "node:crypto"
import type { Deferred } from "effect"
import { Option, Schema } from "effect"
import type { Json } from "../../wire/json.js"
import { isRecord, records, string } from "../../wire/json.js"
import type { Service as ResponseStore } from "../ResponseStore.js"

const Fields = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/** The account of an upstream key. */
export const Account = Schema.Struct({ provider: Schema.String, keyId: Schema.String })

export interface Account extends Schema.Schema.Type<typeof Account> {}

/** The account that has an answer, too: that of a provider that uses the same protocol. */
const Owner = Schema.Struct({
  ...Account.fields,
  /** The id of the answer there. */
  id: Schema.String
})

export interface Owner extends Schema.Schema.Type<typeof Owner> {}

const optional = <A, I>(schema: Schema.Schema<A, I>) => Schema.optionalWith(schema, { exact: true })

/**
 * The version of a stored text is 1; a text of another version counts as absent. Raise it when gateways of the last release would
 * misread one.
 */
const storedVersion = 1

const Stored = Schema.Struct({
  version: Schema.Literal(storedVersion),
  /** The resource as the client got it. */
  response: Fields,
  /** The items of its own request; those of earlier requests are with the answers before it. */
  input: Schema.Array(Fields),
  /** The id of the answer before it. */
  previous: optional(Schema.String),
  owner: optional(Owner)
})

export interface Stored extends Schema.Schema.Type<typeof Stored> {}

const text = Schema.parseJson(Stored)

const decodeText = Schema.decodeUnknownOption(text)

/** Undefined for a text that this version does not read. */
export const decode = (stored: string): Stored | undefined => Option.getOrUndefined(decodeText(stored))

export const encode = (stored: Omit<Stored, "version">): string => JSON.stringify({ version: storedVersion, ...stored })

/** What the store has under a key. Every key contains the id of the client key, so that no other client key finds it. */
export type Kind = "response" | "item" | "cancel" | "alive"

export const keyOf = (callerId: string, kind: Kind, id: string): string => JSON.stringify([callerId, kind, id])

/** An id that only one answer has. */
export const newId = (): string => `resp_${randomUUID().replaceAll("-", "")}`

/** The items of the `input` of a request; a text is one message. */
export const inputItems = (input: unknown): ReadonlyArray<Json> => {
  if (typeof input === "string") {
    return [{ type: "message", role: "user", content: [{ type: "input_text", text: input }] }]
  }
  return Array.isArray(input) ? input.filter(isRecord) : []
}

export const outputItems = ({ response }: Pick<Stored, "response">): ReadonlyArray<Json> => records(response, "output")

const endStates: ReadonlySet<unknown> = new Set(["completed", "incomplete", "failed", "cancelled"])

/** Whether an answer is complete, or will never be. */
export const hasEnded = ({ response }: Pick<Stored, "response">): boolean => endStates.has(response["status"])

const isReference = (item: unknown): boolean => isRecord(item) && item["type"] === "item_reference"

/** The id of the item that an item of a request refers to. */
export const referredId = (item: Json): string | undefined => (isReference(item) ? string(item, "id") : undefined)

/** Whether a request refers to earlier answers. */
export const refers = ({ input, previous_response_id: previous }: Json): boolean =>
  typeof previous === "string" || (Array.isArray(input) && input.some(isReference))

/** Whether the client wants to refer to the answer of this request. OpenAI, API reference: responses/create (`store`). */
export const isToBeStored = ({ store }: Json): boolean => store !== false

/** A call in the background of this process. */
export interface Job {
  cancel: () => void
  isCancelled: boolean
  /** Succeeds when its end is stored. */
  readonly ended: Deferred.Deferred<void>
}

/** What a gateway with a store of responses has. */
export interface StoredResponses {
  readonly store: ResponseStore
  /** The calls in the background, by the keys of their answers. */
  readonly jobs: Map<string, Job>
  /** The most of them at one time. */
  readonly maxJobs: number
}
