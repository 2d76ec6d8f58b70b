/** What all routes share. */
import type { HttpMethod, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Duration, Scope } from "effect"
import { Effect } from "effect"
import type { Middleware, Service as LLMService } from "../../call/model.js"
import type { Service as ModelsService } from "../../models/model.js"
import type { ServerWire } from "../../wire/Wire.js"
import type { Caller, Service as AccessService } from "../auth/model.js"
import * as Problem from "./error.js"
import type { Running } from "./shutdown.js"

export interface GatewayContext {
  readonly models: ModelsService
  readonly access: AccessService
  readonly running: Running
  /** What is put around every model that is asked. */
  readonly around: Middleware
  /** What sees the calls of every model as the client does, outside of the limits of its key. */
  readonly observe: (llm: LLMService, name: string) => Effect.Effect<LLMService>
  readonly maxBodySize: number
  readonly keepAlive: Duration.Duration
  readonly maxChoices: number
}

/** A route before its failures have been put into words. */
export type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  Problem.Problem,
  HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext | Scope.Scope
>

/** The models without the groups of them. */
export const single = (list: ModelsService["list"]): ModelsService["list"] =>
  list.filter(({ members }) => members === undefined)

/**
 * The names by which a model may be allowed. Those of a group are its own: who may ask its first member may not ask the others
 * by it.
 */
export const namesOf = (
  models: ModelsService,
  name: string | undefined,
  { model, provider }: LLMService["info"]
): ReadonlyArray<string> => {
  const own = [...(name === undefined ? [] : [name]), `${provider}/${model}`, model]
  const groups = models.list.filter(({ members }) => members !== undefined)
  // Nobody says whether the default is a group.
  if (name === undefined) return groups.length === 0 ? own : []
  const group = groups.find((listed) => listed.name === name || listed.aliases.includes(name))
  return group === undefined ? own : [name, group.name]
}

/** What a model is called in the list, whatever name it was asked by. */
const listedName = (models: ModelsService, name: string | undefined, info: LLMService["info"]): string => {
  const own = `${info.provider}/${info.model}`
  return name === undefined || name === own
    ? own
    : (models.list.find((listed) => listed.name === name || listed.aliases.includes(name))?.name ?? own)
}

/** A model within the limits of this client, where every call to it is seen; `name` is the one that it is listed under. */
export const surrounded = (
  { around, observe }: GatewayContext,
  caller: Caller,
  llm: LLMService,
  name: string
): Effect.Effect<LLMService> =>
  around(llm).pipe(
    Effect.flatMap(caller.around),
    Effect.flatMap((limited) => observe(limited, name))
  )

/** A model for this client, by any name that it has; the default where none is named. */
export const modelFor = (
  surroundings: GatewayContext,
  caller: Caller,
  name: string | undefined
): Effect.Effect<LLMService, Problem.Problem> => {
  const { models } = surroundings
  const found = Effect.mapError(name === undefined ? models.default : models.get(name), () =>
    name === undefined ? Problem.invalid("You must provide a model.", "model") : Problem.unknownModel(name)
  )
  return Effect.flatMap(found, (llm) =>
    caller.allows(namesOf(models, name, llm.info))
      ? surrounded(surroundings, caller, llm, listedName(models, name, llm.info))
      : Effect.fail(Problem.unknownModel(name ?? llm.info.model))
  )
}

export type Router = HttpRouter.HttpRouter<never, Scope.Scope>

export interface Route {
  readonly method: HttpMethod.HttpMethod
  readonly path: HttpRouter.PathInput
  readonly handler: Handler
  /** How its failures are written. */
  readonly encodeError: ServerWire["encodeError"]
}
