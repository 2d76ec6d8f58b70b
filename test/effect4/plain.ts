/** JSON of decoded values, in which the values of both versions of Effect look the same. */
import { BigDecimal, Cause, Chunk, DateTime, Duration, Either, Exit, Option, Redacted } from "effect"

/** A defect: stacks and causes belong to the process that had it. */
const defectOf = (defect: unknown): unknown =>
  defect instanceof Error ? { error: [defect.name, defect.message] } : plain(defect)

const causeOf = (cause: Cause.Cause<unknown>): unknown => ({
  failures: Chunk.toReadonlyArray(Cause.failures(cause)).map(plain),
  defects: Chunk.toReadonlyArray(Cause.defects(cause)).map(defectOf),
  isInterrupted: Cause.isInterrupted(cause)
})

/** The fields of an object in the order of their names, without functions: of an error also its class and message. */
const fieldsOf = (value: object): unknown => ({
  ...(value instanceof Error ? { class: value.constructor.name, message: value.message } : {}),
  ...Object.fromEntries(
    Object.entries(value)
      .filter(([name, field]) => typeof field !== "function" && !(value instanceof Error && name === "stack"))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, field]: readonly [string, unknown]) => [name, plain(field)])
  )
})

export const plain = (value: unknown): unknown => {
  if (value === undefined) return { undefined: true }
  if (typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0))) {
    return { number: Object.is(value, -0) ? "-0" : String(value) }
  }
  if (typeof value === "bigint") return { bigint: String(value) }
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if (Option.isOption(value))
    return { option: Option.match(value, { onNone: () => [], onSome: (some) => [plain(some)] }) }
  if (Exit.isExit(value)) {
    return Exit.match(value, { onFailure: causeOf, onSuccess: (success) => ({ success: plain(success) }) })
  }
  if (Either.isEither(value)) {
    return Either.match(value, {
      onLeft: (left) => ({ left: plain(left) }),
      onRight: (right) => ({ right: plain(right) })
    })
  }
  if (Duration.isDuration(value)) return { duration: plain(Duration.toMillis(value)) }
  if (DateTime.isDateTime(value)) return { time: DateTime.formatIso(value) }
  if (Redacted.isRedacted(value)) return { redacted: plain(Redacted.value(value)) }
  if (BigDecimal.isBigDecimal(value)) return { decimal: BigDecimal.format(value) }
  if (value instanceof Date) return { date: value.toISOString() }
  if (value instanceof URL) return { url: value.href }
  if (value instanceof Set) return { set: [...value].map(plain) }
  if (value instanceof Map) return { map: [...value].map(plain) }
  if (value instanceof Uint8Array) return { bytes: [...value] }
  return fieldsOf(value)
}
