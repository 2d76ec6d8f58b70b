/** The health of a key as the processes share it: as text in Redis, and merged where two processes changed it at the same time. */
import { Option, Schema } from "effect"
import type { Health } from "../../keyPool/key.js"
import { healthy } from "../../keyPool/key.js"

/** A weight that was set by hand. It applies to processes with the same configured weight. */
const Weight = Schema.Struct({ value: Schema.Number, configured: Schema.Number })

export type Weight = typeof Weight.Type

const Record = Schema.parseJson(
  Schema.Struct({
    /** Increases with each cooldown and each change by hand. */
    epoch: Schema.Number,
    disabled: Schema.Boolean,
    /** In milliseconds of the clock of Redis; 0 without a cooldown. */
    restUntil: Schema.Number,
    reason: Schema.Literal("rate-limited", "resting", "out-of-quota", "refused", "failing", "by-hand"),
    rateLimits: Schema.Number,
    halfOpen: Schema.optionalWith(Schema.Literal("rate-limited", "out-of-quota", "refused", "failing"), {
      exact: true
    }),
    /** See `Admission.limit`. */
    admission: Schema.optionalWith(Schema.Number, { exact: true }),
    weight: Schema.optionalWith(Weight, { exact: true })
  })
)

export type Record = typeof Record.Type

export const decode = (text: string | null): Record | undefined =>
  text === null ? undefined : Option.getOrUndefined(Schema.decodeOption(Record)(text))

/** The end of a cooldown that lasts for ever. JSON has no infinity. */
const forever = 1e15

/** The text of a health. `offset` is the time of Redis minus that of the pool. */
export const encode = (
  { admission, consecutiveRateLimits, disabled, halfOpen, reason, restUntil }: Health,
  epoch: number,
  weight: Weight | undefined,
  offset: number
): string =>
  JSON.stringify({
    epoch,
    disabled,
    restUntil: Math.max(0, Math.min(restUntil + offset, forever)),
    reason,
    rateLimits: consecutiveRateLimits,
    halfOpen,
    admission: admission?.limit,
    weight
  } satisfies { readonly [Field in keyof Record]: Record[Field] | undefined })

/** The health in a record, with what only this process knows. `restedAt` is the latest call at the start of a new cooldown. */
export const healthOf = (
  record: Record,
  own: Health,
  isNewEpoch: boolean,
  restedAt: number,
  offset: number
): Health => ({
  disabled: record.disabled,
  restUntil: record.restUntil === 0 ? -Infinity : record.restUntil === forever ? Infinity : record.restUntil - offset,
  reason: record.reason,
  restedAtSequence: isNewEpoch && record.admission !== undefined ? restedAt : own.restedAtSequence,
  consecutiveRateLimits: record.rateLimits,
  halfOpen: record.halfOpen,
  admission:
    record.admission === undefined
      ? undefined
      : {
          ...(isNewEpoch || own.admission === undefined ? noTests : own.admission),
          limit: record.admission
        },
  trouble: isNewEpoch && record.restUntil === 0 ? undefined : own.trouble
})

const noTests = { inFlight: 0, startedAt: -Infinity }

/** Whether a health begins a new cooldown, or was changed by hand. */
export const startsEpoch = (health: Health, before: Health): boolean =>
  health.restUntil !== before.restUntil || health.disabled !== before.disabled

/** Whether two healths are the same for other processes. */
export const isSame = (one: Health, other: Health): boolean =>
  one === other ||
  (!startsEpoch(one, other) &&
    one.reason === other.reason &&
    one.consecutiveRateLimits === other.consecutiveRateLimits &&
    one.halfOpen === other.halfOpen &&
    one.admission?.limit === other.admission?.limit)

export const isHealthy = (health: Health): boolean => isSame(health, healthy)

/** The health after a change of this process and one of another one to the same health `base`. */
export const merge = (own: Health, base: Health, theirs: Health, isNewEpoch: boolean): Health => {
  if (isSame(own, base)) return theirs
  if (!startsEpoch(own, base)) return isNewEpoch ? theirs : withProgress(own, base, theirs)
  if (!isNewEpoch) return own
  const longer = own.restUntil > theirs.restUntil ? own : theirs
  return { ...longer, disabled: own.disabled === base.disabled ? theirs.disabled : own.disabled }
}

/** The successes of both processes count towards the admission. */
const withProgress = (own: Health, base: Health, theirs: Health): Health => ({
  ...own,
  admission:
    own.admission === undefined || base.admission === undefined || theirs.admission === undefined
      ? undefined
      : { ...own.admission, limit: theirs.admission.limit + own.admission.limit - base.admission.limit }
})
