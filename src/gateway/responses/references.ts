/**
 * Resolves what a request to `/v1/responses` refers to: `previous_response_id` and `item_reference`. Every provider gets the items
 * themselves, except for the account that has all of them: it gets the ids.
 */
import { Effect, Option } from "effect"
import type { Json } from "../../wire/json.js"
import { string } from "../../wire/json.js"
import type { Body } from "../http/body.js"
import * as HttpErrors from "../http/error.js"
import type { Service as ResponseStore, ResponseStoreError } from "../ResponseStore.js"
import type { Owner, Stored } from "./model.js"
import { decode, hasEnded, inputItems, keyOf, outputItems, referredId } from "./model.js"

type Read<A> = Effect.Effect<A, HttpErrors.HttpError>

/** The store cannot be read: a retry can succeed. */
const unavailable = (error: ResponseStoreError): Read<never> =>
  Effect.zipRight(Effect.logWarning(error.message), Effect.fail(HttpErrors.responsesUnavailable))

/** An operation of the store, whose failures are answered with 503. */
export const stored = <A>(operation: Effect.Effect<A, ResponseStoreError>): Read<A> =>
  Effect.catchAll(operation, unavailable)

/** The answer with this id that this client key got. */
export const find = (store: ResponseStore, callerId: string, id: string): Read<Stored | undefined> =>
  Effect.map(stored(store.get(keyOf(callerId, "response", id))), (text) =>
    Option.isNone(text) ? undefined : decode(text.value)
  )

const previousAnswer = (store: ResponseStore, callerId: string, id: string): Read<Stored> =>
  Effect.flatMap(find(store, callerId, id), (found) => {
    if (found === undefined) return Effect.fail(HttpErrors.unknownPreviousResponse(id))
    return hasEnded(found) ? Effect.succeed(found) : Effect.fail(HttpErrors.unfinishedPreviousResponse(id))
  })

/** The longest conversation that is resolved: its answers are read one by one. */
const maxAnswers = 1000

/** A conversation up to an answer, the latest answer first. */
const conversation = (store: ResponseStore, callerId: string, id: string): Read<ReadonlyArray<Stored>> =>
  Effect.gen(function* () {
    const answers: Array<Stored> = []
    let next: string | undefined = id
    while (next !== undefined && answers.length < maxAnswers) {
      const answer: Stored = yield* previousAnswer(store, callerId, next)
      answers.push(answer)
      next = answer.previous
    }
    return answers
  })

/** All items of the conversation that ends with an answer, but for those of the answer itself. */
export const inputOf = (store: ResponseStore, callerId: string, answer: Stored): Read<ReadonlyArray<Json>> =>
  answer.previous === undefined
    ? Effect.succeed(answer.input)
    : Effect.map(conversation(store, callerId, answer.previous), (before) => [
        ...before.toReversed().flatMap((each) => [...each.input, ...outputItems(each)]),
        ...answer.input
      ])

/** An item, and the answer that it was found in; absent for one that the request itself contains. */
interface Found {
  readonly item: Json
  readonly answer?: Stored
}

const findItem = (store: ResponseStore, callerId: string, id: string): Read<Found> =>
  Effect.gen(function* () {
    const answerId = yield* stored(store.get(keyOf(callerId, "item", id)))
    const answer = Option.isNone(answerId) ? undefined : yield* find(store, callerId, answerId.value)
    const item = answer && outputItems(answer).find((each) => each["id"] === id)
    return item === undefined || answer === undefined
      ? yield* Effect.fail(HttpErrors.unknownItem(id))
      : { item, answer }
  })

/** Items that another account than their maker's accepts by their content, without the id that only the maker knows. */
const withoutId: ReadonlySet<unknown> = new Set(["message", "function_call", "custom_tool_call"])

/**
 * An item for an account that does not have it: without ids that only its maker knows. Reasoning that is not encrypted is a mere id
 * for servers of this protocol, so it is left out where one made it or is to read it.
 */
const portable = (item: Json, isOfServer: boolean): ReadonlyArray<Json> => {
  const type = item["type"] ?? "message"
  if (type === "reasoning") return isOfServer && typeof item["encrypted_content"] !== "string" ? [] : [item]
  if (!withoutId.has(type)) return [item]
  const { id: _, status: __, ...content } = item
  return [content]
}

/** A request whose references are resolved. */
export interface Resolved {
  /** The request with the items themselves. `isNative`: for a server of this protocol. */
  readonly expanded: (isNative: boolean) => Body
  /** The account that has everything that the request refers to, and the request for it. */
  readonly owned: { readonly owner: Owner; readonly body: Body } | undefined
  /** The items of this request, without references. */
  readonly input: ReadonlyArray<Json>
  readonly previous: string | undefined
}

/** The same request as an ordinary one. */
export const withoutBackground = ({ expanded, owned, ...resolved }: Resolved): Resolved => {
  const ordinary = ({ json: { background: _, ...json } }: Body): Body => bodyOf(json)
  return {
    ...resolved,
    expanded: (isNative) => ordinary(expanded(isNative)),
    owned: owned && { ...owned, body: ordinary(owned.body) }
  }
}

const bodyOf = (json: Record<string, unknown>): Body => ({ json, text: JSON.stringify(json) })

export const resolve = (store: ResponseStore, callerId: string, { json }: Body): Read<Resolved> =>
  Effect.gen(function* () {
    const previous = string(json, "previous_response_id")
    const before = previous === undefined ? [] : yield* conversation(store, callerId, previous)
    const own = yield* Effect.forEach(inputItems(json["input"]), (item): Read<Found> => {
      const id = referredId(item)
      return id === undefined ? Effect.succeed({ item }) : findItem(store, callerId, id)
    })
    const [latest] = before
    const makers = [latest, ...own.map(({ answer }) => answer)].filter((answer) => answer !== undefined)
    const owner = makers[0]?.owner
    const hasAll =
      owner !== undefined &&
      makers.every((made) => made.owner?.keyId === owner.keyId && made.owner.provider === owner.provider)
    const history = before
      .toReversed()
      .flatMap((answer) => [...answer.input, ...outputItems(answer)].map((item) => ({ item, answer })))
    const { previous_response_id: _, ...rest } = json
    return {
      expanded: (isNative) =>
        bodyOf({
          ...rest,
          input: [...history, ...own].flatMap(({ answer, item }) =>
            answer === undefined ? [item] : portable(item, isNative || answer.owner !== undefined)
          )
        }),
      owned: hasAll
        ? {
            owner,
            body: bodyOf(latest?.owner === undefined ? json : { ...json, previous_response_id: latest.owner.id })
          }
        : undefined,
      input: own.map(({ item }) => item),
      previous
    }
  })
