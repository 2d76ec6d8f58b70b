/** Requests of the simple API: messages and any other field of Chat Completions, with an optional model. */
import { Effect, Option, Ref } from "effect"
import * as Balance from "../../routing/Balance.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Service as LLMService } from "../../call/model.js"
import type { Listed } from "../../models/model.js"
import type { Caller } from "../auth/model.js"
import * as Body from "../http/body.js"
import * as HttpErrors from "../http/error.js"
import * as Protocol from "../chat/protocols.js"
import type { GatewayContext } from "../http/context.js"
import type { HotCall } from "../http/hotRoute.js"
import { withoutGroups, wrapModel } from "../http/context.js"
import * as CustomTools from "../chat/customTools.js"
import * as UnsupportedFields from "../chat/unsupportedFields.js"
import { fromEither } from "../../internal/asEffect.js"

export interface SimpleRequest {
  readonly llm: LLMService
  readonly request: ChatRequest
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>>
}

/** Resolves the model of requests that name none. */
export type DefaultModel = (caller: Caller) => Effect.Effect<LLMService, HttpErrors.HttpError>

interface BalanceCache {
  /** The list of models that the balances are of. */
  readonly list: ReadonlyArray<Listed>
  /** The balances by the names of their models. */
  readonly balances: ReadonlyMap<string, LLMService>
}

/**
 * The `configured` model, or else the default of the provider file, or else a weighted balance of all models that the caller may
 * use. A balance keeps its state until the list of models changes.
 */
export const makeDefaultModel = (
  context: GatewayContext,
  configured: string | undefined
): Effect.Effect<DefaultModel> =>
  Effect.map(Ref.make<BalanceCache>({ list: [], balances: new Map() }), (cache): DefaultModel => {
    const { models } = context

    const makeBalance = (list: ReadonlyArray<Listed>): Effect.Effect<LLMService, HttpErrors.HttpError> => {
      if (list.length === 0) return Effect.fail(HttpErrors.invalid("You must provide a model.", "model"))
      return Effect.forEach(list, (model) =>
        Effect.map(models.get(model.name), (llm) => ({ llm, id: model.name, weight: model.weight ?? 1 }))
      ).pipe(
        Effect.flatMap((deployments) => Balance.make(deployments)),
        Effect.catchAll((error) =>
          Effect.zipRight(Effect.logError("the models cannot be balanced", error), Effect.fail(HttpErrors.internal))
        )
      )
    }

    const balanceFor = (caller: Caller): Effect.Effect<LLMService, HttpErrors.HttpError> => {
      const all = models.list
      const list = withoutGroups(all).filter(({ aliases, model, name }) => caller.allows([name, model, ...aliases]))
      const names = JSON.stringify(list.map(({ name }) => name))
      return Effect.flatMap(Ref.get(cache), (before) => {
        const cached = before.list === all ? before.balances.get(names) : undefined
        if (cached !== undefined) return Effect.succeed(cached)
        return Effect.flatMap(makeBalance(list), (made) =>
          Ref.modify(cache, (now): readonly [LLMService, BalanceCache] => {
            const balances = now.list === all ? now.balances : new Map<string, LLMService>()
            // A concurrent request may have added the balance.
            const other = balances.get(names)
            return other === undefined
              ? [made, { list: all, balances: new Map(balances).set(names, made) }]
              : [other, now]
          })
        )
      })
    }

    return (caller) =>
      configured !== undefined
        ? context.resolveModel(caller, configured)
        : Effect.flatMap(Effect.option(models.default), (fileDefault) =>
            Option.isSome(fileDefault)
              ? context.resolveModel(caller, undefined)
              : Effect.flatMap(balanceFor(caller), (llm) => wrapModel(context, caller, llm, balanceName))
          )
  })

/** The name under which calls to the balance of all models are observed. */
const balanceName = "every model"

const missing = HttpErrors.invalid("Missing required field 'messages'", "messages")

/** The route decides whether the answer is streamed, and there is always one choice. */
const withoutFixedFields = ({ n: _, stream: __, ...body }: Record<string, unknown>): Record<string, unknown> => body

export const read = (
  context: GatewayContext,
  { account, caller, request: received, setRequested }: HotCall,
  defaultModel: DefaultModel,
  streamed: boolean
) =>
  Effect.gen(function* () {
    const { json } = yield* Body.read(received, context.bodyLimits, account)
    setRequested({ ...json, stream: streamed })
    const body = withoutFixedFields(json)
    if (body["messages"] === undefined || body["messages"] === null) return yield* Effect.fail(missing)
    const decoded = yield* Effect.mapError(
      fromEither(Protocol.chatCompletions.wire.decodeRequest(body)),
      HttpErrors.fromWireFailure
    )
    const { model, ...chatRequest } = decoded.request
    const llm = yield* model === undefined ? defaultModel(caller) : context.resolveModel(caller, model)
    const { dropped, request, translatedTools } = yield* fromEither(
      UnsupportedFields.drop(
        chatRequest,
        Protocol.chatCompletions,
        llm.info,
        yield* fromEither(UnsupportedFields.askedBy(received.headers))
      )
    )
    return {
      llm: CustomTools.restoring(llm, translatedTools),
      request,
      headers: UnsupportedFields.droppedHeader(dropped)
    } satisfies SimpleRequest
  })
