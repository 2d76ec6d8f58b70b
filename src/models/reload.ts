/** Models that change with their file, under calls that do not notice. */
import type { FileSystem, HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Effect, Either, MutableRef, Option, PubSub, Stream } from "effect"
import type { Service as Balanced } from "../routing/balance/model.js"
import type { Service as LLMService } from "../call/model.js"
import type { Change, ReloadError, Reloaded, Reloader, ReloadOptions, Service } from "./model.js"
import type { ProviderFile } from "./fileModel.js"
import * as ProviderFiles from "./ProviderFile.js"
import * as Catalogue from "./catalogue.js"
import * as Environment from "../provider/environment.js"
import * as FileReload from "./fileReload.js"
import { fromStream, toStream } from "../call/openStream.js"
import * as Standing from "./liveModel.js"
import * as LiveGroup from "./liveGroup.js"

interface State {
  readonly models: ReadonlyMap<string, Standing.Standing>
  readonly groups: ReadonlyMap<string, LiveGroup.LiveGroup>
  readonly catalogue: Catalogue.Catalogue
}

const unread: State = {
  models: new Map(),
  groups: new Map(),
  catalogue: Catalogue.make(
    { models: [], groups: [], aliases: {}, default: undefined, warnings: [] },
    [],
    [],
    undefined
  )
}

/** A file that is emptied by mistake must not take every model out of service. */
const withoutModels = ({ warnings }: ProviderFile, path: string): ProviderFiles.ProviderFileError =>
  new ProviderFiles.ProviderFileError({
    file: path,
    faults: [
      {
        path: "",
        message: "it has no models, so the previous ones stay in service. List at least one model, or stop the process."
      }
    ],
    warnings
  })

/** The most changes that wait for a slow reader. */
const kept = 64

/**
 * Plans what the file says over what stands, all of it or nothing. Nothing is touched until the plan is committed. `follow` is
 * where the calls of groups go: to a model as it stands when they are made.
 */
const planned = (
  before: State,
  file: ProviderFile,
  options: ReloadOptions,
  follow: (model: Standing.Standing) => LLMService
): Effect.Effect<{ readonly after: State; readonly commit: Effect.Effect<void> }, ReloadError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const environment = yield* Environment.defaults
    const plans = yield* Effect.forEach(file.models, (entry) =>
      Standing.plan(entry, options, environment, before.models.get(Catalogue.idOf(entry)))
    )
    const models = new Map(plans.map(({ standing }) => [Catalogue.idOf(standing.entry), standing]))
    const member = (name: string): LLMService | undefined => {
      const model = models.get(name)
      return model === undefined ? undefined : follow(model)
    }
    const groupPlans = yield* Effect.forEach(file.groups, (entry) =>
      LiveGroup.plan(entry, models, member, before.groups.get(entry.name))
    )
    const groups = groupPlans.map(({ standing }) => standing)
    return {
      after: {
        models,
        groups: new Map(groups.map((group) => [group.entry.name, group])),
        catalogue: Catalogue.make(file, [...models.values()], groups, Option.getOrUndefined(environment.model))
      },
      commit: Effect.forEach([...plans, ...groupPlans], ({ commit }) => commit, { discard: true })
    }
  })

/** What stands under each name, as something that is the same for as long as it goes on. */
const standingIn = ({ groups, models }: State): ReadonlyMap<string, Standing.Standing | Balanced> =>
  new Map<string, Standing.Standing | Balanced>([
    ...models,
    ...Array.from(groups, ([name, { balance }]) => [name, balance] as const)
  ])

const difference = (before: State, after: State, warnings: ReadonlyArray<string>): Reloaded => {
  const [old, young] = [standingIn(before), standingIn(after)]
  const names = [...young.keys()]
  const isKept = (name: string) => young.get(name) === old.get(name)
  return {
    _tag: "Reloaded",
    added: names.filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !young.has(name)),
    changed: names.filter((name) => old.has(name) && !isKept(name)),
    kept: names.filter(isKept),
    warnings
  }
}

/** Every call goes to what is found when it begins. Where nothing is any more, `last` still tells of itself. */
const following = (find: () => Catalogue.Found, last: LLMService): LLMService => {
  const latest = (): LLMService => Either.getOrElse(find(), () => last)
  return {
    ...calls(find, latest),
    get info() {
      return latest().info
    },
    get pool() {
      return latest().pool
    }
  }
}

/** All of that but `info`. */
const calls = (find: () => Catalogue.Found, latest: () => LLMService): Omit<LLMService, "info"> => {
  const current = Effect.suspend(find)
  return {
    chat: (request) => Effect.flatMap(current, (llm) => llm.chat(request)),
    chatStream: (request) => toStream(Effect.flatMap(current, (llm) => fromStream(llm.chatStream(request)))),
    embed: (request) => Effect.flatMap(current, (llm) => llm.embed(request)),
    listModels: Effect.flatMap(current, (llm) => llm.listModels),
    status: Effect.suspend(() => latest().status),
    resetRateLimit: Effect.suspend(() => latest().resetRateLimit)
  }
}

const followingGroup = (find: () => Catalogue.Found<Balanced>, last: Balanced): Balanced => {
  const latest = (): Balanced => Either.getOrElse(find(), () => last)
  return {
    ...calls(find, latest),
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
    const read = Effect.provide(ProviderFiles.read(path), context)
    const first = yield* Effect.either(read)
    const provider = yield* Effect.configProviderWith(Effect.succeed)
    const parse = options.parse ?? ProviderFiles.parse
    const state = MutableRef.make(unread)
    /** A group knows its members as they were when it was made, and asks them as they are. */
    const member = (model: Standing.Standing): LLMService => {
      const name = Catalogue.idOf(model.entry)
      const latest = () => MutableRef.get(state).models.get(name)?.llm ?? model.llm
      return { ...calls(() => Either.right(latest()), latest), info: model.llm.info }
    }
    const parsed = (read: FileReload.Reading<ReloadError>) => Effect.flatMap(read, (text) => parse(text, path))
    MutableRef.set(state, (yield* planned(unread, yield* parsed(first), options, member)).after)
    const changes = yield* PubSub.sliding<Change>(kept)

    const reload = yield* FileReload.make<Reloaded, ReloadError>(first, {
      ...options,
      path,
      read,
      takeOver: (read) =>
        Effect.gen(function* () {
          const file = yield* parsed(read)
          if (file.models.length === 0) return yield* withoutModels(file, path)
          const before = MutableRef.get(state)
          const { after, commit } = yield* planned(before, file, options, member)
          yield* commit
          MutableRef.set(state, after)
          return difference(before, after, file.warnings)
        }).pipe(
          Effect.provide(context),
          Effect.withConfigProvider(provider),
          Effect.tapBoth({
            onSuccess: (change) => changes.publish(change),
            onFailure: (error) => changes.publish({ _tag: "Refused", error })
          })
        )
    })

    const catalogue = (): Catalogue.Catalogue => MutableRef.get(state).catalogue
    const follow = (find: () => Catalogue.Found) => Effect.map(Effect.suspend(find), (found) => following(find, found))
    return {
      models: {
        get: (name, model) => follow(() => catalogue().find(Catalogue.nameOf(name, model))),
        group: (name) => {
          const find = () => catalogue().findGroup(name)
          return Effect.map(Effect.suspend(find), (found) => followingGroup(find, found))
        },
        get list() {
          return catalogue().list
        },
        default: follow(() => catalogue().chosen())
      },
      reloader: {
        reload,
        changes: Stream.fromPubSub(changes)
      }
    }
  })
