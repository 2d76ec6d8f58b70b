/** The services and settings that all routes share, and how they resolve a model for a caller. */
import type { HttpMethod, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Duration, Scope } from "effect"
import { Effect } from "effect"
import type { Middleware, Service as LLMService } from "../../call/model.js"
import type { Service as ModelsService } from "../../models/model.js"
import type { ServerWire } from "../../wire/Wire.js"
import type { Caller, Service as AccessService } from "../auth/model.js"
import * as HttpErrors from "./error.js"
import type { Operation } from "./model.js"
import type { ActiveRequests } from "./shutdown.js"

export interface GatewayContext {
  readonly models: ModelsService
  readonly access: AccessService
  readonly requests: ActiveRequests
  /** Middleware around every model. */
  readonly around: Middleware
  /** Observes the calls to every model outside of the limits of the caller's key, as the client sees them. */
  readonly observe: (llm: LLMService, name: string) => Effect.Effect<LLMService>
  readonly maxBodySize: number
  readonly keepAlive: Duration.Duration
  readonly maxChoices: number
}

/** A route before its errors are encoded. */
export type Handler = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  HttpErrors.HttpError,
  HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext | Scope.Scope
>

/** The models that are not groups. */
export const withoutGroups = (list: ModelsService["list"]): ModelsService["list"] =>
  list.filter(({ members }) => members === undefined)

/**
 * The names by which a key may include a model. A group has only its own names: a key for its first member does not give access
 * to the other members.
 */
export const accessNames = (
  models: ModelsService,
  name: string | undefined,
  { model, provider }: LLMService["info"]
): ReadonlyArray<string> => {
  const own = [...(name === undefined ? [] : [name]), `${provider}/${model}`, model]
  const groups = models.list.filter(({ members }) => members !== undefined)
  // The default may be a group, and the list does not state which model it is.
  if (name === undefined) return groups.length === 0 ? own : []
  const group = groups.find((listed) => listed.name === name || listed.aliases.includes(name))
  return group === undefined ? own : [name, group.name]
}

/** The full name of a model, whatever name a request used. */
const listedName = (models: ModelsService, name: string | undefined, info: LLMService["info"]): string => {
  const own = `${info.provider}/${info.model}`
  return name === undefined || name === own
    ? own
    : (models.list.find((listed) => listed.name === name || listed.aliases.includes(name))?.name ?? own)
}

/** Adds the gateway's middleware, the limits of the caller and the observer to a model; `name` is its full name. */
export const wrapModel = (
  { around, observe }: GatewayContext,
  caller: Caller,
  llm: LLMService,
  name: string
): Effect.Effect<LLMService> =>
  around(llm).pipe(
    Effect.flatMap(caller.around),
    Effect.flatMap((limited) => observe(limited, name))
  )

/** The model of this name for the caller; the default where the request names none. */
export const resolveModel = (
  context: GatewayContext,
  caller: Caller,
  name: string | undefined
): Effect.Effect<LLMService, HttpErrors.HttpError> => {
  const { models } = context
  const found = Effect.mapError(name === undefined ? models.default : models.get(name), () =>
    name === undefined ? HttpErrors.invalid("You must provide a model.", "model") : HttpErrors.unknownModel(name)
  )
  return Effect.flatMap(found, (llm) =>
    caller.allows(accessNames(models, name, llm.info))
      ? wrapModel(context, caller, llm, listedName(models, name, llm.info))
      : Effect.fail(HttpErrors.unknownModel(name ?? llm.info.model))
  )
}

export type Router = HttpRouter.HttpRouter<never, Scope.Scope>

export interface Route {
  readonly method: HttpMethod.HttpMethod
  readonly path: HttpRouter.PathInput
  readonly handler: Handler
  /** Encodes the errors of the handler. */
  readonly encodeError: ServerWire["encodeError"]
  /** The status of an overload, where the protocol has one. @default 503 */
  readonly overloadedStatus?: number
  /** What the requests call, whose refusals observers see as failed calls. Absent where they call nothing. */
  readonly operation?: Operation
}
