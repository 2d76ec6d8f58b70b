/** Helpers of request encoders. */
import { Either } from "effect"
import type { Json } from "./json.js"
import type { WireFailure } from "./Wire.js"

/** An object with the field; empty when the value is undefined. */
export const optional = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

export const unsupported = (feature: string): Either.Either<never, WireFailure> =>
  Either.left({ _tag: "Unsupported", feature })
