/**
 * A key of the gateway's own, and what may be done with it: what `Access` keeps, and what `POST /admin/keys` takes.
 *
 * @example
 * ```ts
 * import { VirtualKey } from "effect-llm/gateway"
 *
 * const settings: VirtualKey.Settings = { label: "team-a", models: ["openai/*"], budget: { dollars: 20, period: "day" } }
 *
 * const mayAsk = VirtualKey.allows(settings, ["openai/gpt-4o"])
 * ```
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

const Count = Schema.Int.pipe(Schema.positive())

const Amount = Schema.Number.pipe(Schema.finite(), Schema.positive())

/**
 * When a budget begins anew: never, or with a unit of the calendar, in UTC.
 *
 * @since 0.1.0
 * @category model
 */
export const Period = Schema.Literal("forever", "minute", "hour", "day", "week", "month", "year")

/**
 * What the calls with a key may cost.
 *
 * @since 0.1.0
 * @category model
 */
export const Budget = Schema.Union(
  Schema.Struct({ dollars: Amount, period: optional(Period) }),
  Schema.Struct({ tokens: Count, period: optional(Period) })
)

/**
 * How fast a key may be used. A call that comes too early is refused at once, with the time to wait.
 *
 * @since 0.1.0
 * @category model
 */
export const RateLimit = Schema.Struct({
  requestsPerMinute: optional(Count),
  requestsPerDay: optional(Count),
  /** Input and output together. */
  tokensPerMinute: optional(Count),
  /** The most calls under way at once. */
  maxConcurrent: optional(Count)
})

const settings = {
  /** For whom calls are counted (`UsageLedger.label`). @default the id of the key */
  label: optional(Schema.NonEmptyString),
  /**
   * The models that may be asked, by any of their names; `*` stands for any text. @default all
   */
  models: optional(Schema.Array(Schema.NonEmptyString)),
  /** @default not limited */
  budget: optional(Budget),
  /** @default not limited */
  rateLimit: optional(RateLimit),
  /** From when on the key is refused. @default never */
  expiresAt: optional(Schema.DateTimeUtc)
}

/**
 * What may be done with a key.
 *
 * @since 0.1.0
 * @category model
 */
export const Settings = Schema.Struct(settings)

/**
 * @since 0.1.0
 * @category model
 */
export type Settings = typeof Settings.Type

/**
 * A key as it is kept: not the secret, but its SHA-256.
 *
 * @since 0.1.0
 * @category model
 */
export const VirtualKey = Schema.Struct({
  ...settings,
  /** What logs and the administration call the key. */
  id: Schema.NonEmptyString,
  /** The SHA-256 of the secret, in hexadecimal digits. */
  hash: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)),
  createdAt: Schema.DateTimeUtc,
  /**
   * Whether the key comes from the configuration of a gateway, such as its file of keys, and was not made by the administration.
   * It is good only at gateways that have it configured now, whatever is in the store. @default false
   */
  configured: optional(Schema.Boolean)
}).annotations({ identifier: "VirtualKey" })

/**
 * @since 0.1.0
 * @category model
 */
export type VirtualKey = typeof VirtualKey.Type

/** Whether a text fits a pattern: its pieces follow each other, the first at the beginning and the last at the end. */
const fits = (pattern: string, text: string): boolean => {
  const [first = "", ...pieces] = pattern.split("*")
  const last = pieces.pop()
  if (last === undefined) return text === pattern
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const piece of pieces) {
    const found = text.indexOf(piece, at)
    if (found === -1) return false
    at = found + piece.length
  }
  return text.length - last.length >= at && text.endsWith(last)
}

/**
 * Whether a model may be asked that has these names.
 *
 * @since 0.1.0
 * @category guards
 */
export const allows = ({ models }: Settings, names: ReadonlyArray<string>): boolean =>
  models === undefined || models.some((pattern) => names.some((name) => fits(pattern, name)))
