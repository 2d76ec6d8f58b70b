/**
 * Adds up what is consumed and what it costs, by provider, model, key and a label of your own.
 *
 * Every attempt is written once, when it ends: answers, tool rounds, retries, keys that were refused, streams that broke or were
 * given up. Where the provider told no counts (somebody left, a time limit ran out), they are estimated from what was asked and
 * what had been said, and the entry says so.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM, UsageLedger } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Metered = OpenAI.pipe(LLM.withMiddleware(UsageLedger.middleware), Layer.provideMerge(UsageLedger.layer()))
 *
 * const program = Effect.gen(function* () {
 *   yield* UsageLedger.label(LLM.chat("Hello"), "team-a")
 *   const { groups, total } = yield* UsageLedger.snapshot
 *   return [total.cost.total, UsageLedger.totalsBy(groups, "label").get("team-a")]
 * }).pipe(Effect.provide(Metered))
 * ```
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, HashMap, Layer, Option, PubSub, Ref, Stream } from "effect"
import type { Cost } from "../vocabulary/Cost.js"
import * as Costs from "../vocabulary/Cost.js"
import * as Checks from "../internal/optionChecks.js"
import type { Ended, Listener } from "../telemetry/usageListeners.js"
import { withUsageListener, tellOf } from "../telemetry/usageListeners.js"
import { fromStream, toStream } from "../call/openStream.js"
import type { Middleware, Service as LLMService } from "../call/model.js"
import * as Pricing from "./Pricing.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Attempt, Entry } from "./ledger/entries.js"
import { cacheHitOutcome } from "./ledger/entries.js"
import type { Group, Totals } from "./ledger/totals.js"
import { combine, combineAll, ofEntry } from "./ledger/totals.js"

export type { Attempt, Entry } from "./ledger/entries.js"
export * from "./ledger/labels.js"
export * from "./ledger/totals.js"

/**
 * What was consumed so far, by group and in all.
 *
 * @since 0.1.0
 * @category model
 */
export interface Snapshot {
  /** When the ledger began, or was last reset, in milliseconds since the epoch. */
  readonly since: number
  readonly groups: ReadonlyArray<Group>
  readonly total: Totals
}

/**
 * A ledger: attempts are written to it, and it is read.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Writes down an attempt, at the prices of the moment when it ended. */
  readonly record: (attempt: Attempt) => Effect.Effect<void>
  /** What was consumed since the ledger began, or was last reset. */
  readonly snapshot: Effect.Effect<Snapshot>
  /** Begins anew, and says what there was until now: nothing is lost or told twice between two resets. */
  readonly reset: Effect.Effect<Snapshot>
  /**
   * The entries from now on, for those who export them. It never holds a call up: a reader who is more than
   * `Options.capacity` entries behind loses the oldest.
   */
  readonly entries: Stream.Stream<Entry>
}

/**
 * How much a ledger keeps.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The most entries that wait for a slow reader of `entries`. @default 1024 */
  readonly capacity?: number
  /**
   * The most groups. What belongs to a further one is added to the group whose model, key and label are `(other)`, so that
   * labels without end do not fill the memory. @default 10000
   */
  readonly maxGroups?: number
}

/**
 * The ledger that `UsageLedger.middleware` writes to.
 *
 * @since 0.1.0
 * @category tags
 */
export class UsageLedger extends Context.Tag("effect-llm/UsageLedger")<UsageLedger, Service>() {}

// -------------------------------------------------------------------------------------
// the ledger
// -------------------------------------------------------------------------------------

interface State {
  readonly since: number
  readonly written: number
  readonly groups: HashMap.HashMap<string, Group>
}

const other = "(other)"

const nameOf = ({ keyId, label, model, provider }: Omit<Group, "totals">): string =>
  [provider, model, keyId, label].join("\u0000")

const groupOf = (state: State, entry: Entry, maxGroups: number): readonly [string, Omit<Group, "totals">] => {
  const name = nameOf(entry)
  if (HashMap.has(state.groups, name) || HashMap.size(state.groups) < maxGroups) return [name, entry]
  const rest = { provider: entry.provider, model: other, keyId: other, label: other }
  return [nameOf(rest), rest]
}

const written = (state: State, entry: Entry, maxGroups: number): State => {
  const [name, { keyId, label, model, provider }] = groupOf(state, entry, maxGroups)
  const totals = ofEntry(entry)
  return {
    since: state.since,
    written: entry.number,
    groups: HashMap.modifyAt(state.groups, name, (before) =>
      Option.some({
        provider,
        model,
        keyId,
        label,
        totals: Option.isNone(before) ? totals : combine(before.value.totals, totals)
      })
    )
  }
}

const shown = (state: State): Snapshot => {
  const groups = Array.from(HashMap.values(state.groups))
  return { since: state.since, groups, total: combineAll(groups.map(({ totals }) => totals)) }
}

/**
 * A ledger in memory. Costs are those of the prices in context.
 *
 * @throws TypeError where an option makes no sense
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ capacity = 1024, maxGroups = 10_000 }: Options = {}): Effect.Effect<Service> => {
  Checks.valid("UsageLedger", ({ number }) => {
    number("capacity", capacity, Number.isInteger(capacity) && capacity >= 0, "a finite whole number of at least 0")
    number("maxGroups", maxGroups, Checks.isWhole(maxGroups, 0), "a whole number of at least 0")
  })
  return Effect.gen(function* () {
    const pricing = yield* Pricing.Pricing
    const readers = yield* PubSub.sliding<Entry>(Math.max(1, capacity))
    const state = yield* Effect.flatMap(Clock.currentTimeMillis, (since) =>
      Ref.make<State>({ since, written: 0, groups: HashMap.empty() })
    )
    return {
      record: (ended) =>
        Effect.uninterruptible(
          Effect.flatMap(Pricing.Pricing, (called) => {
            // What is written down is never taken back: one count that is no number would spoil the sums for ever.
            const attempt = { ...ended, usage: Usage.checked(ended.usage, () => Usage.empty) }
            const cost = costOf(called, pricing, attempt)
            return Effect.flatMap(
              Ref.modify(state, (before): readonly [Entry, State] => {
                const entry = { ...attempt, number: before.written + 1, ...cost }
                return [entry, written(before, entry, maxGroups)]
              }),
              (entry) => PubSub.publish(readers, entry)
            )
          })
        ),
      snapshot: Effect.map(Ref.get(state), shown),
      reset: Effect.flatMap(Clock.currentTimeMillis, (since) =>
        Effect.map(
          Ref.getAndUpdate(state, (before) => ({ since, written: before.written, groups: HashMap.empty() })),
          shown
        )
      ),
      entries: Stream.fromPubSub(readers)
    }
  })
}

/** What costs nothing whoever sells it needs no price. */
const costOf = (called: Pricing.Service, made: Pricing.Service, attempt: Attempt): { readonly cost?: Cost } =>
  attempt.usage.totalTokens === 0
    ? { cost: Costs.free }
    : Option.match(
        Pricing.costWithin(called, made, attempt.usage, Pricing.answererOfAttempt(attempt), attempt.endedAt),
        { onNone: () => ({}), onSome: (cost) => ({ cost }) }
      )

/**
 * A ledger in memory as a layer. Costs are those of the prices in context when it is built.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<UsageLedger> => Layer.effect(UsageLedger, make(options))

/**
 * The middleware: what the calls of an `LLM` consume is written to the ledger in context. Around a `Fallback` or a `Balance`, one
 * ledger sees the attempts on every member; an attempt is written once to a ledger, however many of its middlewares are around it.
 *
 * It hears the attempts of `LLM.layer` and what is built from it. An `LLM` of another make tells it nothing.
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware: Middleware<never, UsageLedger> = (next) =>
  Effect.map(UsageLedger, (ledger): LLMService => {
    const listener: Listener = { owner: ledger, onUsage: ledger.record }
    return {
      ...next,
      chat: (request) => withUsageListener(next.chat(request), listener),
      embed: (request) => withUsageListener(next.embed(request), listener),
      chatStream: (request) => toStream(withUsageListener(fromStream(next.chatStream(request)), listener))
    }
  })

/**
 * Writes down that something was answered from a cache, for those who build one: it costs nothing and counts as a hit in the
 * ledgers around the call.
 *
 * @since 0.1.0
 * @category accessors
 */
export const cacheHit = (
  answer: Pick<Ended, "operation" | "provider" | "model"> & { readonly keyId?: string }
): Effect.Effect<void> =>
  tellOf({
    operation: answer.operation,
    provider: answer.provider,
    model: answer.model,
    answeredBy: answer.model,
    keyId: answer.keyId ?? "",
    outcome: cacheHitOutcome,
    usage: Usage.empty
  })

// -------------------------------------------------------------------------------------
// accessors
// -------------------------------------------------------------------------------------

/**
 * What the ledger in context says.
 *
 * @since 0.1.0
 * @category accessors
 */
export const snapshot: Effect.Effect<Snapshot, never, UsageLedger> = Effect.flatMap(
  UsageLedger,
  (ledger) => ledger.snapshot
)

/**
 * Begins the ledger in context anew, and says what it said until now.
 *
 * @since 0.1.0
 * @category accessors
 */
export const reset: Effect.Effect<Snapshot, never, UsageLedger> = Effect.flatMap(UsageLedger, (ledger) => ledger.reset)

/**
 * The entries of the ledger in context, from now on.
 *
 * @since 0.1.0
 * @category accessors
 */
export const entries: Stream.Stream<Entry, never, UsageLedger> = Stream.unwrap(
  Effect.map(UsageLedger, (ledger) => ledger.entries)
)
