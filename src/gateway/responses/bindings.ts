/**
 * Ids of what accounts keep beside answers: conversations, containers, and the files in them. Each belongs to the client key that got it
 * first, and a request that names it goes to the upstream key that made it.
 */
import { Effect, Option, Schema } from "effect"
import type { Json } from "../../wire/json.js"
import { isRecord, record, records } from "../../wire/json.js"
import * as HttpErrors from "../http/error.js"
import type { Service as ResponseStore } from "../ResponseStore.js"
import type { Account } from "./model.js"
import { Account as AccountSchema, outputItems } from "./model.js"
import { stored } from "./references.js"

/** Raise the version when gateways of the last release would misread a text. */
const Binding = Schema.parseJson(
  Schema.Struct({
    version: Schema.Literal(1),
    client: Schema.String,
    account: Schema.optionalWith(AccountSchema, { exact: true })
  })
)

const decode = Schema.decodeUnknownOption(Binding)

/** One key for all clients: it is what keeps them apart. */
const keyOf = (id: string): string => JSON.stringify(["bound", id])

const strings = (values: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  values.filter((value): value is string => typeof value === "string" && value !== "")

const idOf = (value: unknown): unknown => (isRecord(value) ? value["id"] : value)

/** The ids in the parts of an item. */
const idsInParts = (item: Json): ReadonlyArray<unknown> =>
  records(item, "content").flatMap((part) => [
    part["file_id"],
    ...records(part, "annotations").flatMap((annotation) => [annotation["container_id"], annotation["file_id"]])
  ])

const idsInItem = (item: Json): ReadonlyArray<unknown> => [item["container_id"], ...idsInParts(item)]

/** The ids that a request names. OpenAI, API reference: responses/create. */
export const namedBy = ({ conversation, input, tools }: Json): ReadonlyArray<string> => {
  const ofTools = Array.isArray(tools)
    ? tools.filter(isRecord).flatMap((tool) => {
        const { container } = tool
        return isRecord(container) && Array.isArray(container["file_ids"]) ? container["file_ids"] : [container]
      })
    : []
  const items = Array.isArray(input) ? input.filter(isRecord) : []
  return strings([idOf(conversation), ...ofTools, ...items.flatMap(idsInItem)])
}

/** The ids that an answer contains. */
const handedOut = (response: Json): ReadonlyArray<string> =>
  strings([record(response, "conversation")?.["id"], ...outputItems({ response }).flatMap(idsInItem)])

/** Whether the answer to a request can contain such ids. */
export const canGetIds = ({ conversation, tools }: Json): boolean =>
  (conversation !== undefined && conversation !== null) ||
  (Array.isArray(tools) && tools.some((tool) => isRecord(tool) && tool["type"] !== "function"))

/** Binds the ids in an answer to the client key that gets it. */
export const bind = (
  store: Pick<ResponseStore, "unsafeSet">,
  client: string,
  response: Json,
  account: Account | undefined
): void => {
  const from = account && { provider: account.provider, keyId: account.keyId }
  for (const id of new Set(handedOut(response))) {
    store.unsafeSet(keyOf(id), JSON.stringify({ version: 1, client, ...(from && { account: from }) }))
  }
}

/** The account that has what a request names; fails for an id of another client key, as if it did not exist. */
export const accountOf = (
  store: ResponseStore,
  client: string,
  ids: ReadonlyArray<string>
): Effect.Effect<Account | undefined, HttpErrors.HttpError> =>
  Effect.gen(function* () {
    let account: Account | undefined
    for (const id of new Set(ids)) {
      const text = yield* stored(store.get(keyOf(id)))
      const binding = Option.getOrUndefined(Option.flatMap(text, decode))
      if (binding === undefined) continue
      if (binding.client !== client) return yield* Effect.fail(HttpErrors.unknownId(id))
      account ??= binding.account
    }
    return account
  })
