/** Models that change with their file, under calls that do not notice. */
import type { FileSystem, HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Duration, Effect, Either, MutableRef, Option, PubSub, Ref, Stream } from "effect"
import type { Service as LLMService } from "../LLM.js"
import type { Change, ReloadError, Reloaded, Reloader, ReloadOptions, Service } from "../Models.js"
import type { ProviderFile } from "../ProviderFile.js"
import * as ProviderFiles from "../ProviderFile.js"
import * as Catalogue from "./catalogue.js"
import * as Environment from "./environment.js"
import { fromStream, toStream } from "./openStream.js"
import * as Standing from "./standing.js"

interface State {
  readonly standing: ReadonlyMap<string, Standing.Standing>
  readonly catalogue: Catalogue.Catalogue
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

/** Plans what the file says over what stands, all of it or nothing. Nothing is touched until the plan is committed. */
const planned = (
  before: State | undefined,
  file: ProviderFile,
  options: ReloadOptions
): Effect.Effect<{ readonly after: State; readonly commit: Effect.Effect<void> }, ReloadError, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const environment = yield* Environment.defaults
    const plans = yield* Effect.forEach(file.models, (entry) =>
      Standing.plan(entry, options, environment, before?.standing.get(Catalogue.idOf(entry)))
    )
    const models = plans.map(({ standing }) => standing)
    return {
      after: {
        standing: new Map(models.map((model) => [Catalogue.idOf(model.entry), model])),
        catalogue: Catalogue.make(file, models, Option.getOrUndefined(environment.model))
      },
      commit: Effect.forEach(plans, ({ commit }) => commit, { discard: true })
    }
  })

const difference = (before: State, after: State, warnings: ReadonlyArray<string>): Reloaded => {
  const names = [...after.standing.keys()]
  const isKept = (name: string) => after.standing.get(name) === before.standing.get(name)
  return {
    _tag: "Reloaded",
    added: names.filter((name) => !before.standing.has(name)),
    removed: [...before.standing.keys()].filter((name) => !after.standing.has(name)),
    changed: names.filter((name) => before.standing.has(name) && !isKept(name)),
    kept: names.filter(isKept),
    warnings
  }
}

/** Every call goes to what is found when it begins. Where nothing is any more, `last` still tells of itself. */
const following = (find: () => Catalogue.Found, last: LLMService): LLMService => {
  const current = Effect.suspend(find)
  const latest = (): LLMService => Either.getOrElse(find(), () => last)
  return {
    chat: (request) => Effect.flatMap(current, (llm) => llm.chat(request)),
    chatStream: (request) => toStream(Effect.flatMap(current, (llm) => fromStream(llm.chatStream(request)))),
    embed: (request) => Effect.flatMap(current, (llm) => llm.embed(request)),
    listModels: Effect.flatMap(current, (llm) => llm.listModels),
    get info() {
      return latest().info
    },
    status: Effect.suspend(() => latest().status),
    resetRateLimit: Effect.suspend(() => latest().resetRateLimit),
    get pool() {
      return latest().pool
    }
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
    const parsed = (read: Reading) => Effect.flatMap(read, (text) => ProviderFiles.parse(text, path))
    const state = MutableRef.make((yield* planned(undefined, yield* parsed(first), options)).after)
    const changes = yield* PubSub.sliding<Change>(kept)
    const gate = yield* Effect.makeSemaphore(1)

    /** It waits for nothing, and nobody stops it half-way. */
    const takeOver = (read: Reading): Effect.Effect<Reloaded, ReloadError> =>
      Effect.gen(function* () {
        yield* Ref.set(known, read)
        const file = yield* parsed(read)
        const before = MutableRef.get(state)
        const { after, commit } = yield* planned(before, file, options)
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
      yield* Effect.forkScoped(
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
