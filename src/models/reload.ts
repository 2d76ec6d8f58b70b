/** Models that are reloaded with their file, without effect on calls in flight. */
import type { FileSystem, HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Effect, Either, MutableRef, Option, PubSub, Stream } from "effect"
import type { Service as BalanceService } from "../routing/balance/model.js"
import type { Service as LLMService } from "../call/model.js"
import type { Change, ReloadError, Reloaded, Reloader, ReloadOptions, Service } from "./model.js"
import type { ProviderFile } from "./fileModel.js"
import { ProviderFileError } from "./fileModel.js"
import * as FileParser from "./fileParser.js"
import * as Catalogue from "./catalogue.js"
import * as Environment from "../provider/environment.js"
import * as FileReload from "./fileReload.js"
import { openChat, toListeningChatStream } from "../call/openStream.js"
import { fromEffect, sendChat, toChat } from "../call/sending.js"
import * as LiveModel from "./liveModel.js"
import * as LiveGroup from "./liveGroup.js"
import { fromEither } from "../internal/asEffect.js"

interface State extends LiveModel.LiveModels {
  readonly groups: ReadonlyMap<string, LiveGroup.LiveGroup>
  readonly catalogue: Catalogue.Catalogue
}

const emptyState: State = {
  ...LiveModel.none,
  groups: new Map(),
  catalogue: Catalogue.make(
    { models: [], groups: [], aliases: {}, default: undefined, warnings: [] },
    [],
    [],
    undefined
  )
}

/** The error of a file without models: a file emptied by mistake must not take every model out of service. */
const noModelsError = ({ warnings }: ProviderFile, path: string): ProviderFileError =>
  new ProviderFileError({
    file: path,
    faults: [
      {
        path: "",
        message: "it has no models, so the previous ones stay in service. List at least one model, or stop the process."
      }
    ],
    warnings
  })

/** The most changes that are buffered for a slow reader. */
const maxPendingChanges = 64

/**
 * Plans the state after a reload, all of it or nothing. Nothing changes until the plan is committed. `memberService` returns the
 * service through which a group calls the current version of a model.
 */
const planReload = (
  before: State,
  file: ProviderFile,
  options: ReloadOptions,
  memberService: (model: LiveModel.LiveModel) => LLMService
): Effect.Effect<{ readonly after: State; readonly commit: Effect.Effect<void> }, ReloadError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const environment = yield* Environment.defaults
    const plan = yield* LiveModel.plan(file.models, options, environment, before)
    const { keys, models } = plan.after
    const member = (name: string): LLMService | undefined => {
      const model = models.get(name)
      return model === undefined ? undefined : memberService(model)
    }
    const groupPlans = yield* Effect.forEach(file.groups, (entry) =>
      LiveGroup.plan(entry, models, member, before.groups.get(entry.name))
    )
    const groups = groupPlans.map(({ group }) => group)
    return {
      after: {
        models,
        keys,
        groups: new Map(groups.map((group) => [group.entry.name, group])),
        catalogue: Catalogue.make(file, [...models.values()], groups, Option.getOrUndefined(environment.model))
      },
      commit: Effect.forEach([plan, ...groupPlans], ({ commit }) => commit, { discard: true })
    }
  })

/** The object behind each name, which is the same object while its state is kept. */
const servicesByName = ({ groups, models }: State): ReadonlyMap<string, LiveModel.LiveModel | BalanceService> =>
  new Map<string, LiveModel.LiveModel | BalanceService>([
    ...models,
    ...Array.from(groups, ([name, { balance }]) => [name, balance] as const)
  ])

const difference = (before: State, after: State, warnings: ReadonlyArray<string>): Reloaded => {
  const [previous, current] = [servicesByName(before), servicesByName(after)]
  const names = [...current.keys()]
  const isKept = (name: string) => current.get(name) === previous.get(name)
  return {
    _tag: "Reloaded",
    added: names.filter((name) => !previous.has(name)),
    removed: [...previous.keys()].filter((name) => !current.has(name)),
    changed: names.filter((name) => previous.has(name) && !isKept(name)),
    kept: names.filter(isKept),
    warnings
  }
}

/** A service that looks its model up at every call. `initial` provides `info` and `status` when the name has been removed. */
const forwardingService = (find: () => Catalogue.Lookup, initial: LLMService): LLMService => {
  const latest = (): LLMService => Either.getOrElse(find(), () => initial)
  return {
    ...forwardedCalls(find, latest),
    get info() {
      return latest().info
    },
    get keys() {
      return latest().keys
    }
  }
}

/** The members of a forwarding service except `info`. */
const forwardedCalls = (find: () => Catalogue.Lookup, latest: () => LLMService): Omit<LLMService, "info"> => {
  const current = Effect.suspend(() => fromEither(find()))
  return {
    chat: toChat((input, added) => {
      const found = find()
      return Either.isLeft(found) ? fromEffect(Effect.fail(found.left)) : sendChat(found.right, input, added)
    }),
    chatStream: toListeningChatStream(
      (request, listeners) => (finalizers) =>
        Effect.flatMap(current, (llm) => openChat(llm, request, listeners)(finalizers))
    ),
    embed: (request) => Effect.flatMap(current, (llm) => llm.embed(request)),
    listModels: Effect.flatMap(current, (llm) => llm.listModels),
    status: Effect.suspend(() => latest().status),
    resetRateLimit: Effect.suspend(() => latest().resetRateLimit)
  }
}

const forwardingGroup = (find: () => Catalogue.Lookup<BalanceService>, initial: BalanceService): BalanceService => {
  const latest = (): BalanceService => Either.getOrElse(find(), () => initial)
  return {
    ...forwardedCalls(find, latest),
    get info() {
      return latest().info
    },
    deployments: Effect.suspend(() => latest().deployments),
    enable: (id) => Effect.suspend(() => latest().enable(id)),
    disable: (id) => Effect.suspend(() => latest().disable(id)),
    reweight: (id, weight) => Effect.suspend(() => latest().reweight(id, weight))
  }
}

export const make = (
  path: string,
  options: ReloadOptions
): Effect.Effect<
  { readonly models: Service; readonly reloader: Reloader },
  ReloadError,
  HttpClient.HttpClient | FileSystem.FileSystem | Scope.Scope
> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<HttpClient.HttpClient | FileSystem.FileSystem>()
    const read = Effect.provide(FileParser.read(path), context)
    const first = yield* Effect.either(read)
    const provider = yield* Effect.configProviderWith(Effect.succeed)
    const parse = options.parse ?? FileParser.parse
    const state = MutableRef.make(emptyState)
    /** A group keeps the `info` of its members from its creation, and calls their current versions. */
    const memberService = (model: LiveModel.LiveModel): LLMService => {
      const name = Catalogue.idOf(model.entry)
      const latest = () => MutableRef.get(state).models.get(name)?.llm ?? model.llm
      return { ...forwardedCalls(() => Either.right(latest()), latest), info: model.llm.info }
    }
    const parsed = (read: FileReload.Reading<ReloadError>) =>
      Effect.flatMap(fromEither(read), (text) => parse(text, path))
    MutableRef.set(state, (yield* planReload(emptyState, yield* parsed(first), options, memberService)).after)
    const changes = yield* PubSub.sliding<Change>(maxPendingChanges)

    const reload = yield* FileReload.make<Reloaded, ReloadError>(first, {
      ...options,
      path,
      read,
      takeOver: (read) =>
        Effect.gen(function* () {
          const file = yield* parsed(read)
          if (file.models.length === 0) return yield* noModelsError(file, path)
          const before = MutableRef.get(state)
          const { after, commit } = yield* planReload(before, file, options, memberService)
          yield* commit
          MutableRef.set(state, after)
          return difference(before, after, file.warnings)
        }).pipe(
          Effect.provide(context),
          Effect.withConfigProvider(provider),
          Effect.tapBoth({
            onSuccess: (change) => PubSub.publish(changes, change),
            onFailure: (error) => PubSub.publish(changes, { _tag: "Refused", error })
          })
        )
    })

    const catalogue = (): Catalogue.Catalogue => MutableRef.get(state).catalogue
    /** The services that were handed out, by name: callers add middlewares to each of them once. */
    const forwarding = new Map<string, LLMService>()
    const forward = (name: string, find: () => Catalogue.Lookup) =>
      Effect.suspend(() => {
        const found = find()
        if (Either.isLeft(found)) return Effect.fail(found.left)
        const service = forwarding.get(name) ?? forwardingService(find, found.right)
        forwarding.set(name, service)
        return Effect.succeed(service)
      })
    return {
      models: {
        get: (nameOrProvider, model) => {
          const name = Catalogue.nameOf(nameOrProvider, model)
          return forward(name, () => catalogue().find(name))
        },
        group: (name) => {
          const find = () => catalogue().findGroup(name)
          return Effect.map(
            Effect.suspend(() => fromEither(find())),
            (found) => forwardingGroup(find, found)
          )
        },
        get list() {
          return catalogue().list
        },
        default: forward("", () => catalogue().findDefault())
      },
      reloader: {
        reload,
        changes: Stream.fromPubSub(changes)
      }
    }
  })
