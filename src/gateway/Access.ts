/**
 * Who may ask the gateway, for which models, how much and how fast: virtual keys, and a token for those who administer it.
 *
 * A virtual key is a secret of the gateway's own. Clients send it where they would send a provider's (`Authorization: Bearer`, or
 * `x-api-key` as Anthropic's clients do), and never see those of the providers.
 *
 * @example
 * ```ts
 * import { Access } from "effect-llm/gateway"
 *
 * const Keys = Access.layer({
 *   adminToken: "a long random text",
 *   keys: [
 *     { key: "sk-team-a", label: "team-a", models: ["openai/*", "fast"], budget: { dollars: 20, period: "day" } },
 *     { key: "sk-team-b", label: "team-b", rateLimit: { requestsPerMinute: 60, maxConcurrent: 4 } }
 *   ]
 * })
 * ```
 *
 * @since 0.1.0
 */
import { FileSystem } from "@effect/platform"
import type { ConfigError } from "effect"
import { Config, Context, DateTime, Effect, Layer, Option, Ref, Schema } from "effect"
import type { Status as BudgetStatus } from "../accounting/budget/model.js"
import { sameValue } from "../models/equal.js"
import * as FileReload from "../models/fileReload.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { AccessStoreError } from "./AccessStore.js"
import * as Stores from "./AccessStore.js"
import type { VirtualKey } from "./VirtualKey.js"
import * as VirtualKeys from "./VirtualKey.js"
import * as Digest from "./auth/digest.js"
import * as WrittenKeys from "./auth/keyConfig.js"
import * as Allowance from "./auth/keyLimits.js"
import type { Caller, KeyBudget, KeyOptions, Options, ReloadOptions, Reloaded, Service } from "./auth/model.js"
import { Access, AccessDeniedError, InvalidAccessError, Reloading } from "./auth/model.js"
import * as Secrets from "./auth/secrets.js"

export type {
  Caller,
  KeyBudget,
  KeyOptions,
  Options,
  ReloadOptions,
  Reloaded,
  Reloader,
  Service
} from "./auth/model.js"
export { Access, AccessDeniedError, InvalidAccessError, Reloading } from "./auth/model.js"

// -------------------------------------------------------------------------------------
// constructors
// -------------------------------------------------------------------------------------

const keyOf = ({ key, ...settings }: KeyOptions, createdAt: DateTime.Utc): VirtualKey => {
  const hash = Secrets.digestOf(key)
  return { ...settings, id: Digest.idOf(hash), hash, createdAt }
}

const validate = Schema.is(VirtualKeys.VirtualKey)

const faultsOf = (given: ReadonlyArray<KeyOptions>, keys: ReadonlyArray<VirtualKey>): ReadonlyArray<string> => {
  const hashes = keys.map(({ hash }) => hash)
  const secrets = given.flatMap(({ key }, index) => Secrets.faultsOf(`keys[${index}]`, key))
  const others = keys.flatMap((key, index) => [
    ...(validate(key) ? [] : [`keys[${index}]: is not as a key must be`]),
    ...(hashes.indexOf(key.hash) < index
      ? [`keys[${index}]: the same secret as keys[${hashes.indexOf(key.hash)}]`]
      : [])
  ])
  return [...secrets, ...others]
}

/** Whoever asks a gateway without keys, and the administration. */
const everything = (id: string): Caller => ({ id, label: id, allows: () => true, around: Effect.succeed })

const administration = everything("admin")

/** Logs a price that is missing for a budget in dollars, once for each model. */
const priceReporter = (): ((error: LLMError) => Effect.Effect<void>) => {
  const reported = new Set<string>()
  return (error) =>
    Effect.suspend(() => {
      if (error._tag !== "BudgetExceededError" || error.reason !== "unknown-price") return Effect.void
      const name = `${error.provider}/${error.model}`
      if (reported.has(name)) return Effect.void
      reported.add(name)
      return Effect.logWarning(
        `The price of ${name} is not known, so keys with a budget in dollars cannot use it. Set its "price" in provider.json.`
      )
    })
}

/** The keys of the configuration, and which of them the store still has to hear of. */
interface Configured {
  /** By their hashes. */
  readonly keys: ReadonlyMap<string, VirtualKey>
  readonly unstored: ReadonlySet<string>
}

/** A key in use, with its limits as they stand. */
interface Known {
  readonly key: VirtualKey
  readonly caller: Caller
  readonly budgets: Effect.Effect<ReadonlyArray<BudgetStatus>>
}

/** Whether two keys are one with the same terms. A store may know since when the key exists, which a gateway does not. */
const sameTerms = (self: VirtualKey, that: VirtualKey): boolean =>
  sameValue({ ...self, createdAt: that.createdAt }, that)

/** What came of reading the file of keys again, by the ids of keys. */
const differenceOf = (before: ReadonlyMap<string, VirtualKey>, after: ReadonlyMap<string, VirtualKey>): Reloaded => {
  const idsOf = (keys: Iterable<VirtualKey>, isSo: (key: VirtualKey) => boolean) =>
    Array.from(keys)
      .filter(isSo)
      .map(({ id }) => id)
  return {
    added: idsOf(after.values(), ({ hash }) => !before.has(hash)),
    removed: idsOf(before.values(), ({ hash }) => !after.has(hash)),
    changed: idsOf(after.values(), (key) => before.has(key.hash) && before.get(key.hash) !== key)
  }
}

interface Configurable {
  readonly access: Service
  /** Puts these keys in the place of those that are configured; nothing is changed where one of them makes no sense. */
  readonly configure: (keys: ReadonlyArray<KeyOptions>) => Effect.Effect<Reloaded, InvalidAccessError>
  /** Puts new keys into the store, or when they are first used where the store is away now. */
  readonly store: Effect.Effect<void>
}

/** `mayBeOpen`: whether everybody may ask where nothing is configured. */
const configurable = (
  { adminToken, keys: first = [] }: Options,
  mayBeOpen: boolean
): Effect.Effect<Configurable, InvalidAccessError | AccessStoreError> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const shared = yield* Effect.serviceOption(Stores.AccessStore)
    const store = Option.isSome(shared) ? shared.value : yield* Stores.memory
    const admin = adminToken === undefined ? undefined : Secrets.digestOf(adminToken)
    const configured = yield* Ref.make<Configured>({ keys: new Map(), unstored: new Set() })
    const inUse = yield* Ref.make<ReadonlyMap<string, Known>>(new Map())
    const reportPrice = priceReporter()

    const knownFrom = (key: VirtualKey): Effect.Effect<Known, InvalidAccessError> =>
      Allowance.make(key, reportPrice).pipe(
        Effect.provide(context),
        Effect.mapBoth({
          onFailure: (error) => new InvalidAccessError({ faults: [error.message] }),
          onSuccess: ({ around, budgets }): Known => ({
            key,
            budgets,
            caller: {
              id: key.id,
              label: key.label ?? key.id,
              allows: (names) => VirtualKeys.allows(key, names),
              around
            }
          })
        })
      )

    /** Limits go on as they stand for as long as the key says the same. */
    const knownOf = (key: VirtualKey): Effect.Effect<Known, InvalidAccessError> =>
      Effect.flatMap(Ref.get(inUse), (all) => {
        const known = all.get(key.id)
        if (known !== undefined && sameTerms(known.key, key)) return Effect.succeed(known)
        return Effect.flatMap(knownFrom(key), (made) =>
          // Another request may have been first: there is one limiter for each key.
          Ref.modify(inUse, (all): readonly [Known, ReadonlyMap<string, Known>] => {
            const other = all.get(key.id)
            return other !== undefined && sameTerms(other.key, key)
              ? [other, all]
              : [made, new Map(all).set(key.id, made)]
          })
        )
      })

    const callerOf = (key: VirtualKey) => Effect.map(knownOf(key), ({ caller }) => caller)

    const storeConfigured = (key: VirtualKey): Effect.Effect<void, AccessStoreError> =>
      Effect.zipRight(
        store.put(key),
        Ref.update(configured, ({ keys, unstored }) => ({
          keys,
          unstored: new Set([...unstored].filter((hash) => hash !== key.hash))
        }))
      )

    /** Puts into the store what it has not heard of: it was away when the keys were reloaded. */
    const storeAll = Effect.flatMap(Ref.get(configured), ({ keys, unstored }) =>
      Effect.forEach(
        [...keys.values()].filter(({ hash }) => unstored.has(hash)),
        storeConfigured,
        { discard: true }
      )
    )

    const configure = (given: ReadonlyArray<KeyOptions>): Effect.Effect<Reloaded, InvalidAccessError> =>
      Effect.gen(function* () {
        const now = yield* DateTime.now
        const { keys: before } = yield* Ref.get(configured)
        const keys = given.map((one): VirtualKey => {
          const key = { ...keyOf(one, now), configured: true }
          const old = before.get(key.hash)
          return old !== undefined && sameTerms(old, key) ? old : key
        })
        const faults = faultsOf(given, keys)
        if (faults.length > 0) return yield* new InvalidAccessError({ faults })
        const young = keys.filter((key) => before.get(key.hash) !== key)
        const made = yield* Effect.forEach(young, knownFrom)
        const after = new Map(keys.map((key) => [key.hash, key]))
        const difference = differenceOf(before, after)
        yield* Ref.update(configured, ({ unstored }) => ({
          keys: after,
          unstored: new Set([...unstored, ...young.map(({ hash }) => hash)].filter((hash) => after.has(hash)))
        }))
        yield* Ref.update(inUse, (all) => {
          const others = [...all].filter(([id]) => !difference.removed.includes(id))
          return new Map([...others, ...made.map((known) => [known.key.id, known] as const)])
        })
        return difference
      })

    const notStored = ({ message }: AccessStoreError): Effect.Effect<void> =>
      Effect.logWarning(`New keys are not in the store yet, and are put there when they are first used. ${message}`)

    const adminFaults = adminToken === undefined ? [] : Secrets.faultsOf("adminToken", adminToken)
    yield* Effect.matchEffect(configure(first), {
      onFailure: ({ faults }) => new InvalidAccessError({ faults: [...faults, ...adminFaults] }),
      onSuccess: () => (adminFaults.length > 0 ? new InvalidAccessError({ faults: adminFaults }) : Effect.void)
    })
    yield* storeAll
    // Who has a store means to have keys, though there may be none yet.
    const isOpen = mayBeOpen && admin === undefined && first.length === 0 && Option.isNone(shared)

    const isAdministration = (hash: string): boolean => admin !== undefined && Digest.equal(hash, admin)

    const denied = (reason: AccessDeniedError["reason"]) => Effect.fail(new AccessDeniedError({ reason }))

    /** A configured key is as this gateway has it configured; the store says whether it was revoked. */
    const keyBehind = (hash: string) =>
      Effect.gen(function* () {
        const { keys, unstored } = yield* Ref.get(configured)
        const own = keys.get(hash)
        if (own !== undefined && unstored.has(hash)) yield* storeConfigured(own)
        const found = Option.getOrUndefined(yield* store.find(hash))
        if (found === undefined || !Digest.equal(found.hash, hash)) return yield* denied("unknown")
        return own ?? (found.configured === true ? yield* denied("unknown") : found)
      })

    /** The keys of the store without those that only other gateways have configured, or none any more. */
    const list = Effect.zipWith(store.list, Ref.get(configured), (all, { keys }) =>
      all.flatMap((key): ReadonlyArray<VirtualKey> => {
        const own = keys.get(key.hash)
        if (own !== undefined) return [{ ...own, createdAt: key.createdAt }]
        return key.configured === true ? [] : [key]
      })
    )

    const current = (key: VirtualKey) =>
      key.expiresAt === undefined
        ? Effect.succeed(key)
        : Effect.flatMap(DateTime.isFuture(key.expiresAt), (isGood) =>
            isGood ? Effect.succeed(key) : denied("expired")
          )

    const budgetsOf = (key: VirtualKey): Effect.Effect<ReadonlyArray<KeyBudget>> =>
      Effect.flatMap(current(key), knownOf).pipe(
        Effect.flatMap(({ budgets }) => Effect.map(budgets, (all) => all.map((status) => ({ key, status })))),
        // Whoever comes with such a key is told what is wrong with it.
        Effect.orElseSucceed(() => [])
      )

    const access: Service = {
      isOpen,
      budgets: Effect.orElse(list, () =>
        Effect.map(Ref.get(inUse), (all) => Array.from(all.values(), ({ key }) => key))
      ).pipe(
        Effect.flatMap((keys) =>
          Effect.forEach(
            keys.filter(({ budget }) => budget !== undefined),
            budgetsOf,
            { concurrency: 16 }
          )
        ),
        Effect.map((all) => all.flat())
      ),
      caller: (secret) => {
        if (isOpen) return Effect.succeed(everything(""))
        if (Option.isNone(secret)) return denied("missing")
        const hash = Digest.of(secret.value)
        return isAdministration(hash)
          ? Effect.succeed(administration)
          : keyBehind(hash).pipe(
              Effect.flatMap(current),
              // It was checked when it was made, but the store may have it from another version.
              Effect.flatMap((key) =>
                Effect.mapError(callerOf(key), ({ message }) => new Stores.AccessStoreError({ detail: message }))
              )
            )
      },
      administrator: (secret) => {
        if (Option.isNone(secret)) return denied("missing")
        return isAdministration(Digest.of(secret.value)) ? Effect.void : denied("forbidden")
      },
      list,
      create: (settings) =>
        Effect.gen(function* () {
          const secret = Digest.newKey()
          const key = keyOf({ ...settings, key: secret }, yield* DateTime.now)
          yield* callerOf(key)
          yield* store.put(key)
          return { secret, key }
        }),
      revoke: (id) =>
        Effect.zipRight(
          Ref.update(inUse, (all) => new Map([...all].filter(([known]) => known !== id))),
          Effect.zipRight(storeAll, store.remove(id))
        )
    }
    return { access, configure, store: Effect.catchAll(storeAll, notStored) }
  })

/**
 * Access by the keys in the `AccessStore` in context, or else in memory of its own.
 *
 * Budgets keep their books in the `BudgetStore` in context, and in dollars go by the prices in context and those of the models
 * themselves. A call to a model without a known price is refused where the budget of the key is in dollars (`BudgetExceededError`
 * with the reason `unknown-price`); the log names each such model once. The rates of a key hold for each gateway by itself, or
 * for all of them where the `RateLimiter.Maker` in context shares what it makes.
 *
 * A key of the options is good at the gateways that have it configured, and at no others, also where they share a store: a key
 * that is no longer configured is good nowhere. What the store adds is that it is revoked for all of them at once. A key that was
 * revoked comes back with the next start where the store is in memory, and not in a store that remembers it, such as that in
 * Redis.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidAccessError | AccessStoreError> =>
  Effect.map(configurable(options, true), ({ access }) => access)

// -------------------------------------------------------------------------------------
// layers
// -------------------------------------------------------------------------------------

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Access, InvalidAccessError | AccessStoreError> =>
  Layer.effect(Access, make(options))

/** What the environment says, beside the options. */
const configOf = (options: Options): Effect.Effect<Options, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    const adminToken = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_MASTER_KEY")))
    const listed = yield* Config.option(Config.redacted(Config.nonEmptyString("EFFECT_LLM_GATEWAY_KEYS")))
    return {
      ...options,
      ...(Option.isSome(adminToken) ? { adminToken: adminToken.value } : {}),
      keys: [...(options.keys ?? []), ...Option.match(listed, { onNone: () => [], onSome: WrittenKeys.ofVariable })]
    }
  })

/**
 * Access from the environment, read through Effect's `Config`: `EFFECT_LLM_MASTER_KEY` is the token of the administration, and
 * `EFFECT_LLM_GATEWAY_KEYS` are keys with commas between them, each as `secret` or `label=secret`. What the options say comes
 * beside that. Where there is neither, the gateway is open, and answers on the loopback interface only.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Options = {}
): Layer.Layer<Access, InvalidAccessError | AccessStoreError | ConfigError.ConfigError> =>
  Layer.effect(Access, Effect.flatMap(configOf(options), make))

const textOf = (path: string): Effect.Effect<string, InvalidAccessError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(
      files.readFileString(path),
      ({ message }) => new InvalidAccessError({ faults: [`${path} cannot be read: ${message}`] })
    )
  )

const keysIn = (text: string, path: string): Effect.Effect<ReadonlyArray<KeyOptions>, InvalidAccessError> =>
  Effect.mapError(
    WrittenKeys.ofFile(text),
    (faults) => new InvalidAccessError({ faults: faults.map((fault) => `${path}: ${fault}`) })
  )

/**
 * The keys of a file as it is now (`layerReloading` follows it): a list in JSON, each with its `key` or the `sha256` of it, and what may be done with it.
 *
 * ```json
 * [
 *   { "sha256": "0f…", "label": "team-a", "models": ["openai/*"], "budget": { "dollars": 20, "period": "day" } },
 *   { "key": "sk-…", "label": "team-b", "rateLimit": { "requestsPerMinute": 60 }, "expiresAt": "2030-01-01T00:00:00Z" }
 * ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const readKeys = (
  path: string
): Effect.Effect<ReadonlyArray<KeyOptions>, InvalidAccessError, FileSystem.FileSystem> =>
  Effect.flatMap(textOf(path), (text) => keysIn(text, path))

// -------------------------------------------------------------------------------------
// reloading
// -------------------------------------------------------------------------------------

/**
 * As `layerConfig`, with the keys of the file at a path (see `readKeys`) as it is now: when it changes, so do they. It is looked at
 * like the file of `Models.layerReloading`.
 *
 * A key that is removed from the file is refused from then on. The limits and the budget of a key go on for as long as its entry is
 * the same. A faulty file changes nothing, and the log says what is wrong with it. A gateway with such a file is never open: where
 * the file has no keys, nobody has one.
 *
 * @since 0.2.0
 * @category layers
 */
export const layerReloading = (
  path: string,
  options: ReloadOptions = {}
): Layer.Layer<
  Access | Reloading,
  InvalidAccessError | AccessStoreError | ConfigError.ConfigError,
  FileSystem.FileSystem
> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const { interval, settle, ...rest } = options
      const read = Effect.provide(textOf(path), yield* Effect.context<FileSystem.FileSystem>())
      const first = yield* Effect.either(read)
      const { keys: others = [], ...fixed } = yield* configOf(rest)
      const parsed = (text: FileReload.Reading<InvalidAccessError>) =>
        Effect.map(
          Effect.flatMap(text, (text) => keysIn(text, path)),
          (keys) => [...keys, ...others]
        )
      const { access, configure, store } = yield* configurable({ ...fixed, keys: yield* parsed(first) }, false)
      const reload = yield* FileReload.make<Reloaded, InvalidAccessError>(first, {
        path,
        read,
        takeOver: (read) => Effect.zipLeft(Effect.flatMap(parsed(read), configure), store),
        ...(interval === undefined ? {} : { interval }),
        ...(settle === undefined ? {} : { settle })
      })
      return Context.make(Access, access).pipe(Context.add(Reloading, { reload }))
    })
  )

/**
 * Reads the file of the `layerReloading` in context now.
 *
 * @since 0.2.0
 * @category reloading
 */
export const reload: Effect.Effect<Reloaded, InvalidAccessError, Reloading> = Effect.flatMap(
  Reloading,
  ({ reload }) => reload
)
