/** A question of the simple API: the messages, and whatever else Chat Completions knows. */
import { Effect, Option, Ref } from "effect"
import * as Balance from "../../routing/Balance.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Service as LLMService } from "../../call/model.js"
import type { Listed } from "../../models/model.js"
import type { Caller } from "../auth/model.js"
import * as Body from "../http/body.js"
import * as Problem from "../http/error.js"
import * as Protocol from "../chat/protocols.js"
import type { GatewayContext } from "../http/context.js"
import { modelFor, single, surrounded } from "../http/context.js"
import * as UnsupportedFields from "../chat/unsupportedFields.js"

export interface Question {
  readonly llm: LLMService
  readonly request: ChatRequest
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>
}

/** Finds a model for those who name none. */
export type Unnamed = (caller: Caller) => Effect.Effect<LLMService, Problem.Problem>

interface Known {
  readonly list: ReadonlyArray<Listed>
  /** By the names of the models that are balanced. */
  readonly balanced: ReadonlyMap<string, LLMService>
}

/**
 * The model that is `named` for it, or else the default of the file, or else all that the caller may ask, balanced by their
 * weights. What the balance has learnt lasts until the list of models changes.
 */
export const unnamed = (surroundings: GatewayContext, named: string | undefined): Effect.Effect<Unnamed> =>
  Effect.map(Ref.make<Known>({ list: [], balanced: new Map() }), (known): Unnamed => {
    const { models } = surroundings

    const balance = (list: ReadonlyArray<Listed>): Effect.Effect<LLMService, Problem.Problem> => {
      if (list.length === 0) return Effect.fail(Problem.invalid("You must provide a model.", "model"))
      return Effect.forEach(list, (model) =>
        Effect.map(models.get(model.name), (llm) => ({ llm, id: model.name, weight: model.weight ?? 1 }))
      ).pipe(
        Effect.flatMap((deployments) => Balance.make(deployments)),
        Effect.catchAll((error) =>
          Effect.zipRight(Effect.logError("the models cannot be balanced", error), Effect.fail(Problem.internal))
        )
      )
    }

    const balanced = (caller: Caller): Effect.Effect<LLMService, Problem.Problem> => {
      const all = models.list
      const list = single(all).filter(({ aliases, model, name }) => caller.allows([name, model, ...aliases]))
      const names = JSON.stringify(list.map(({ name }) => name))
      return Effect.flatMap(Ref.get(known), (before) => {
        const found = before.list === all ? before.balanced.get(names) : undefined
        if (found !== undefined) return Effect.succeed(found)
        return Effect.flatMap(balance(list), (made) =>
          Ref.modify(known, (now): readonly [LLMService, Known] => {
            const kept = now.list === all ? now.balanced : new Map<string, LLMService>()
            const other = kept.get(names)
            return other === undefined ? [made, { list: all, balanced: new Map(kept).set(names, made) }] : [other, now]
          })
        )
      })
    }

    return (caller) =>
      named !== undefined
        ? modelFor(surroundings, caller, named)
        : Effect.flatMap(Effect.option(models.default), (chosen) =>
            Option.isSome(chosen)
              ? modelFor(surroundings, caller, undefined)
              : Effect.flatMap(balanced(caller), (llm) => surrounded(surroundings, caller, llm, everyone))
          )
  })

/** What is asked where no model is named is in no list. */
const everyone = "every model"

const missing = Problem.invalid("Missing required field 'messages'", "messages")

/** How many answers there are, and whether they are streamed, is not for the body to say here. */
const asked = ({ n: _, stream: __, ...body }: Record<string, unknown>): Record<string, unknown> => body

export const read = (surroundings: GatewayContext, caller: Caller, unnamed: Unnamed) =>
  Effect.gen(function* () {
    const body = asked(yield* Body.read(surroundings.maxBodySize))
    if (body["messages"] === undefined || body["messages"] === null) return yield* Effect.fail(missing)
    const decoded = yield* Effect.mapError(Protocol.chatCompletions.wire.decodeRequest(body), Problem.ofFailure)
    const { model, ...wanted } = decoded.request
    const llm = yield* model === undefined ? unnamed(caller) : modelFor(surroundings, caller, model)
    const { dropped, request } = yield* UnsupportedFields.translate(wanted, Protocol.chatCompletions, llm.info.wire)
    return { llm, request, headers: UnsupportedFields.header(dropped) } satisfies Question
  })
