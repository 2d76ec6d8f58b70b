/** Small words of those who write requests. */
import { Either } from "effect"
import type { Json } from "../json.js"
import type { WireFailure } from "../Wire.js"

/** A field under the protocol's name, where there is a value. */
export const named = (name: string, value: unknown): Json => (value === undefined ? {} : { [name]: value })

export const unsupported = (feature: string): Either.Either<never, WireFailure> =>
  Either.left({ _tag: "Unsupported", feature })
