/** The services and settings that all routes share, and how they resolve a model for a caller. */
import type { Owners } from "../chat/owners.js"
import type { HttpMethod, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Duration, Scope } from "effect"
import { Array, Effect, Option } from "effect"
import type { Middleware, Service as LLMService } from "../../call/model.js"
import type { Service as ModelsService } from "../../models/model.js"
import type { ServerWire } from "../../wire/Wire.js"
import type { Caller, Service as AccessService } from "../auth/model.js"
import type { Capture } from "../dashboard/bodyLog.js"
import type { Limits as BodyLimits } from "./body.js"
import type { BodyAccounts } from "./bodyAccount.js"
import * as HttpErrors from "./error.js"
import * as KeyOwner from "../../call/keyOwner.js"
import type { Maker } from "../../call/signatures.js"
import type { StoredResponses } from "../responses/model.js"
import type { ActiveRequests } from "./shutdown.js"

export interface GatewayContext {
  readonly models: ModelsService
  readonly access: AccessService
  readonly requests: ActiveRequests
  /** Middleware around every model. */
  readonly around: Middleware
  /** Observes the calls to every model outside of the limits of the caller's key, as the client sees them. */
  readonly observe: (llm: LLMService, name: string) => Effect.Effect<LLMService>
  /** Records the bodies of a request, where that is configured. */
  readonly capture: ((requestId: string) => Capture) | undefined
  readonly bodies: BodyAccounts
  readonly bodyLimits: BodyLimits
  readonly keepAlive: Duration.Duration
  readonly maxChoices: number
  readonly owners: Owners
  readonly resolveModel: ResolveModel
  /** Absent when the gateway has no store of responses. */
  readonly responses: StoredResponses | undefined
}

/** What the calls to a model go through. */
type ModelContext = Pick<GatewayContext, "models" | "around" | "observe">

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
  { around, observe }: Pick<ModelContext, "around" | "observe">,
  caller: Caller,
  llm: LLMService,
  name: string
): Effect.Effect<LLMService> =>
  around(llm).pipe(
    Effect.flatMap(caller.around),
    Effect.flatMap((limited) => observe(limited, name))
  )

/** A model that a caller can use. */
interface Resolved {
  /** The model and the list in which it was found. */
  readonly found: LLMService
  readonly list: ModelsService["list"]
  /** The model with its middlewares. */
  readonly llm: LLMService
}

/** The models that each caller has used, by the names in its requests; the default is under an empty name. */
const makeResolvedModels = () => {
  const byCaller = new WeakMap<Caller, Map<string, Resolved>>()
  return {
    get: (caller: Caller, name: string): Resolved | undefined => byCaller.get(caller)?.get(name),
    set: (caller: Caller, name: string, resolved: Resolved): void => {
      const models = byCaller.get(caller) ?? new Map<string, Resolved>()
      byCaller.set(caller, models.set(name, resolved))
    }
  }
}

/**
 * Finds the model of a name for a caller; the default where the name is undefined. With an owner it finds the model with the owner's keys,
 * which is one of the members where the name is that of a group, and fails with `noOwner` where there is none.
 */
export type ResolveModel = (
  caller: Caller,
  name: string | undefined,
  owner?: Maker
) => Effect.Effect<LLMService, HttpErrors.HttpError>

/**
 * The middlewares are applied once to each model, caller and name, as long as the list of models stays the same: applying them takes
 * longer than most calls through them.
 */
export const makeResolveModel = (context: ModelContext): ResolveModel => {
  const { models } = context
  const resolved = makeResolvedModels()

  const wrapped = (caller: Caller, key: string, found: LLMService, name: string): Effect.Effect<LLMService> => {
    const { list } = models
    const known = resolved.get(caller, key)
    if (known?.found === found && known.list === list) return Effect.succeed(known.llm)
    return Effect.map(wrapModel(context, caller, found, name), (llm) => {
      // Another request may have applied the middlewares meanwhile, whose state is kept.
      const other = resolved.get(caller, key)
      if (other?.found === found && other.list === list) return other.llm
      resolved.set(caller, key, { found, list, llm })
      return llm
    })
  }

  /** The model with the owner's keys, among those that a name stands for. */
  const withKeysOf = (
    { account, provider }: Maker,
    name: string | undefined,
    found: LLMService
  ): Effect.Effect<Option.Option<LLMService>> => {
    const listed = models.list.find((each) => each.name === name || each.aliases.includes(name ?? ""))
    const members = listed?.members
    const candidates: Effect.Effect<ReadonlyArray<LLMService>> =
      members === undefined
        ? Effect.succeed([found])
        : Effect.map(
            Effect.forEach(members, (member) => Effect.option(models.get(member))),
            Array.getSomes
          )
    return Effect.flatMap(candidates, (all) =>
      Effect.findFirst(
        all.filter(({ info }) => info.provider === provider),
        ({ status }) => Effect.map(status, ({ keys }) => KeyOwner.hasKeysOf(provider, account, keys.keys))
      )
    )
  }

  return (caller, name, owner) =>
    Effect.matchEffect(name === undefined ? models.default : models.get(name), {
      onFailure: () =>
        Effect.fail(
          name === undefined ? HttpErrors.invalid("You must provide a model.", "model") : HttpErrors.unknownModel(name)
        ),
      onSuccess: (found) => {
        const known = resolved.get(caller, name ?? "")
        if (owner === undefined && known?.found === found && known.list === models.list) {
          return Effect.succeed(known.llm)
        }
        if (!caller.allows(accessNames(models, name, found.info))) {
          return Effect.fail(HttpErrors.unknownModel(name ?? found.info.model))
        }
        if (owner === undefined) return wrapped(caller, name ?? "", found, listedName(models, name, found.info))
        return Effect.flatMap(withKeysOf(owner, name, found), (member) => {
          if (Option.isNone(member)) return Effect.fail(HttpErrors.noOwner)
          const { info } = member.value
          const memberName = `${info.provider}/${info.model}`
          return member.value === found
            ? wrapped(caller, name ?? "", found, listedName(models, name, found.info))
            : wrapped(caller, JSON.stringify([name, memberName]), member.value, memberName)
        })
      }
    })
}

export type { Router } from "./router.js"

export interface Route {
  readonly method: HttpMethod.HttpMethod
  readonly path: HttpRouter.PathInput
  readonly handler: Handler
  /** Encodes the errors of the handler. */
  readonly encodeError: ServerWire["encodeError"]
}
