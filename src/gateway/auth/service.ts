/** Checks client keys against those that are configured and those that are stored. */
import { DateTime, Effect, Option, Ref, Schema } from "effect"
import type { Status as BudgetStatus } from "../../accounting/budget/model.js"
import { sameValue } from "../../models/equal.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { AccessStoreError } from "../AccessStore.js"
import * as Stores from "../AccessStore.js"
import type { VirtualKey } from "../VirtualKey.js"
import * as VirtualKeys from "../VirtualKey.js"
import * as Digest from "./digest.js"
import * as KeyLimits from "./keyLimits.js"
import type { Caller, KeyBudget, KeyOptions, Options, Reloaded, Service } from "./model.js"
import { AccessDeniedError, InvalidAccessError } from "./model.js"
import * as Secrets from "./secrets.js"

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
export const configurable = (
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
      KeyLimits.make(key, reportPrice).pipe(
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
