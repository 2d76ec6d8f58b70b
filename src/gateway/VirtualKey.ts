/**
 * Virtual keys and their settings, as `Access` stores them and `POST /admin/keys` accepts them.
 *
 * @example
 * ```ts
 * import { VirtualKey } from "effect-llm/gateway"
 *
 * const settings: VirtualKey.Settings = { label: "team-a", models: ["openai/*"], budget: { dollars: 20, period: "day" } }
 *
 * const isAllowed = VirtualKey.allows(settings, ["openai/gpt-4o"])
 * ```
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

const Count = Schema.Int.pipe(Schema.positive())

const Amount = Schema.Number.pipe(Schema.finite(), Schema.positive())

/**
 * The period after which a budget starts again: never, or a unit of the calendar in UTC.
 *
 * @since 0.1.0
 * @category model
 */
export const Period = Schema.Literal("forever", "minute", "hour", "day", "week", "month", "year")

/**
 * @since 0.2.0
 * @category model
 */
export type Period = typeof Period.Type

/**
 * The budget of the calls with a key.
 *
 * @since 0.1.0
 * @category model
 */
export const Budget = Schema.Union(
  Schema.Struct({ dollars: Amount, period: optional(Period) }),
  Schema.Struct({ tokens: Count, period: optional(Period) })
)

/**
 * @since 0.2.0
 * @category model
 */
export type Budget = typeof Budget.Type

/**
 * The rate limits of a key. A call beyond them fails at once, with the time to wait.
 *
 * @since 0.2.0
 * @category model
 */
export interface RateLimit extends Schema.Schema.Type<typeof rateLimitSchema> {}

const rateLimitSchema = Schema.Struct({
  requestsPerMinute: optional(Count),
  requestsPerDay: optional(Count),
  /** Input and output together. */
  tokensPerMinute: optional(Count),
  /** The most calls in flight; `maxConcurrent` in JSON. */
  maxConcurrency: optional(Count).pipe(Schema.fromKey("maxConcurrent"))
})

/**
 * @since 0.1.0
 * @category model
 */
export const RateLimit: Schema.Schema<RateLimit> = rateLimitSchema

const settings = {
  /** The label under which usage is recorded (`UsageLedger.label`). @default the id of the key */
  label: optional(Schema.NonEmptyString),
  /** The models that the key includes, by any of their names; `*` matches any text. @default all */
  models: optional(Schema.Array(Schema.NonEmptyString)),
  /** @default no budget */
  budget: optional(Budget),
  /** @default no limits */
  rateLimit: optional(RateLimit),
  /**
   * What the key gets of a model's rate limit for which calls of other keys wait, too, relative to their weights. @default 1
   *
   * @since 0.2.0
   */
  weight: optional(Amount),
  /** The time from which on the key is refused. @default never */
  expiresAt: optional(Schema.DateTimeUtc)
}

/**
 * The settings of a key.
 *
 * @since 0.1.0
 * @category model
 */
export const Settings = Schema.Struct(settings)

/**
 * @since 0.1.0
 * @category model
 */
export interface Settings extends Schema.Schema.Type<typeof Settings> {}

/**
 * A key as it is stored: with the SHA-256 of its secret instead of the secret.
 *
 * @since 0.1.0
 * @category model
 */
export const VirtualKey = Schema.Struct({
  ...settings,
  /** The name of the key in logs and in the administrative routes. */
  id: Schema.NonEmptyString,
  /** The SHA-256 of the secret, in hexadecimal digits. */
  hash: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)),
  createdAt: Schema.DateTimeUtc,
  /**
   * The account of the budget in the `BudgetStore`: what was spent in one unit and period cannot be counted in another one, so each has an
   * account of its own. @default the id
   *
   * @since 0.2.0
   */
  budgetAccount: optional(Schema.NonEmptyString),
  /**
   * Whether the key comes from the configuration of a gateway, such as its file of keys, rather than from the administration.
   * Only gateways that have it configured now accept it, whatever the store contains. @default false
   */
  configured: optional(Schema.Boolean)
}).annotations({ identifier: "VirtualKey" })

/**
 * @since 0.1.0
 * @category model
 */
export interface VirtualKey extends Schema.Schema.Type<typeof VirtualKey> {}

/** Whether a text matches a pattern: its literal parts follow each other, the first at the start and the last at the end. */
const fits = (pattern: string, text: string): boolean => {
  const [first = "", ...pieces] = pattern.split("*")
  const last = pieces.pop()
  if (last === undefined) return text === pattern
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const piece of pieces) {
    const index = text.indexOf(piece, at)
    if (index === -1) return false
    at = index + piece.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}

/**
 * Whether the key includes a model with these names.
 *
 * @since 0.1.0
 * @category guards
 */
export const allows = ({ models }: Settings, names: ReadonlyArray<string>): boolean =>
  models === undefined || models.some((pattern) => names.some((name) => fits(pattern, name)))
