/**
 * Annotations with the generators of values whose schemas do not describe them well enough. One module, since Effect 4 has generators of
 * its own.
 */
import type { FastCheck } from "effect"
import { Duration } from "effect"

/**
 * Generates a record with at most three fields, since requests and responses contain many records. `Schema.Record` drops a field
 * with the name `__proto__`, so none is generated.
 */
const smallRecord = <A>(fc: typeof FastCheck, value: FastCheck.Arbitrary<A>): FastCheck.Arbitrary<Record<string, A>> =>
  fc.dictionary(
    fc.string().filter((name) => name !== "__proto__"),
    value,
    { maxKeys: 3, noNullPrototype: true }
  )

const smallObject = (fc: typeof FastCheck): FastCheck.Arbitrary<Record<string, unknown>> =>
  smallRecord(fc, fc.jsonValue({ maxDepth: 1 }))

const generating = <A>(generate: (fc: typeof FastCheck) => FastCheck.Arbitrary<A>) => ({ arbitrary: () => generate })

/** JSON without deep nesting. */
export const jsonObject = generating(smallObject)

export const objectsByName = generating((fc) => smallRecord(fc, smallObject(fc)))

export const textsByName = generating((fc) => smallRecord(fc, fc.string()))

/** Numbers from -100 to 100 by name. */
export const biasesByName = generating((fc) => smallRecord(fc, fc.double({ min: -100, max: 100, noNaN: true })))

export const mediaUrl = generating((fc) =>
  fc.oneof(
    fc.webUrl(),
    fc
      .tuple(fc.constantFrom("image/png", "audio/wav", "application/pdf"), fc.base64String())
      .map(([mediaType, bytes]) => `data:${mediaType};base64,${bytes}`)
  )
)

export const tokens = generating((fc) => fc.array(fc.nat(), { minLength: 1 }))

/** Whole milliseconds: a number of milliseconds cannot express every `Duration` exactly. */
export const durationInMillis = generating((fc) => fc.maxSafeNat().map(Duration.millis))

/** Changes what is generated. */
export const changed = <A>(change: (generated: A) => A) => ({
  arbitrary: (generated: (fc: typeof FastCheck) => FastCheck.Arbitrary<A>) => (fc: typeof FastCheck) =>
    generated(fc).map(change)
})
