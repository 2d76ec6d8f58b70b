/** Models that change with their file, under calls that do not notice. */
import type { FileSystem, HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Duration, Effect, Either, MutableRef, Option, PubSub, Ref, Stream } from "effect"
import { inBackground } from "./background.js"
import type { Service as Balanced } from "../Balance.js"
import type { Service as LLMService } from "../LLM.js"
import type { Change, ReloadError, Reloaded, Reloader, ReloadOptions, Service } from "../Models.js"
import type { ProviderFile } from "../ProviderFile.js"
import * as ProviderFiles from "../ProviderFile.js"
import * as Catalogue from "./catalogue.js"
import * as Environment from "./environment.js"
import { fromStream, toStream } from "./openStream.js"
import * as Standing from "./standing.js"
import * as StandingGroup from "./standingGroup.js"

interface State {
  readonly models: ReadonlyMap<string, Standing.Standing>
  readonly groups: ReadonlyMap<string, StandingGroup.StandingGroup>
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

/** What a reading came to: a text, or the fault that there is none. */
type Reading = Effect.Effect.Success<ReturnType<typeof readingOf>>

const readingOf = (path: string) => Effect.either(ProviderFiles.read(path))

/** A file that cannot be read is as it was, for as long as the reason is the same. */
const same = (self: Reading, that: Reading): boolean =>
  self._tag === "Right"
    ? that._tag === "Right" && self.right === that.right
    : that._tag === "Left" && self.left.message === that.left.message

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
      StandingGroup.plan(entry, models, member, before.groups.get(entry.name))
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
    const reading = Effect.provide(readingOf(path), context)
    const first = yield* reading
    const known = yield* Ref.make(first)
    const provider = yield* Effect.configProviderWith(Effect.succeed)
    const parse = options.parse ?? ProviderFiles.parse
    const parsed = (read: Reading) => Effect.flatMap(read, (text) => parse(text, path))
    const state = MutableRef.make(unread)
    /** A group knows its members as they were when it was made, and asks them as they are. */
    const member = (model: Standing.Standing): LLMService => {
      const name = Catalogue.idOf(model.entry)
      const latest = () => MutableRef.get(state).models.get(name)?.llm ?? model.llm
      return { ...calls(() => Either.right(latest()), latest), info: model.llm.info }
    }
    MutableRef.set(state, (yield* planned(unread, yield* parsed(first), options, member)).after)
    const changes = yield* PubSub.sliding<Change>(kept)
    const gate = yield* Effect.makeSemaphore(1)

    /** It waits for nothing, and nobody stops it half-way. */
    const takeOver = (read: Reading): Effect.Effect<Reloaded, ReloadError> =>
      Effect.gen(function* () {
        yield* Ref.set(known, read)
        const file = yield* parsed(read)
        const before = MutableRef.get(state)
        const { after, commit } = yield* planned(before, file, options, member)
        yield* commit
        MutableRef.set(state, after)
        return difference(before, after, file.warnings)
      }).pipe(
        Effect.provide(context),
        Effect.withConfigProvider(provider),
        Effect.tap((change) =>
          Effect.logInfo(`${path} has been reloaded`).pipe(
            Effect.annotateLogs({ added: change.added, removed: change.removed, changed: change.changed })
          )
        ),
        Effect.tapError((error) => Effect.logWarning(`${path} has been refused: ${error.message}`)),
        Effect.tap((change) => changes.publish(change)),
        Effect.tapError((error) => changes.publish({ _tag: "Refused", error })),
        Effect.uninterruptible
      )

    /** What the file says once it has said the same for a while. */
    const settled = (read: Reading): Effect.Effect<Reading> =>
      Effect.flatMap(Effect.delay(reading, options.settle ?? "200 millis"), (next) =>
        same(read, next) ? Effect.succeed(next) : settled(next)
      )

    const look = Effect.gen(function* () {
      const seen = yield* reading
      if (same(yield* Ref.get(known), seen)) return
      const changed = yield* settled(seen)
      // Read once more: meanwhile `reload` may have taken over what is newer.
      yield* Effect.flatMap(Effect.zip(reading, Ref.get(known)), ([now, before]) =>
        same(now, changed) && !same(now, before) ? takeOver(now) : Effect.void
      ).pipe(gate.withPermits(1))
    })

    if (options.interval !== false) {
      yield* inBackground(
        Effect.forever(
          // A refusal has been told; a defect must not be the end of looking.
          Effect.catchAllCause(Effect.ignore(look), (cause) =>
            Effect.logError(`${path} cannot be looked at`, cause)
          ).pipe(Effect.delay(options.interval ?? Duration.seconds(1)))
        )
      )
    }

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
        reload: gate.withPermits(1)(Effect.flatMap(reading, takeOver)),
        changes: Stream.fromPubSub(changes)
      }
    }
  })
