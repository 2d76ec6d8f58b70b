/** The JSON of the results of a batch: one module, since Effect 4 has another one. */
import type { Effect, Exit, ParseResult } from "effect"
import { Schema } from "effect"

/** Encodes and decodes the results of a batch. */
export interface Codec<A, E> {
  readonly encode: (exit: Exit.Exit<A, E>) => Effect.Effect<unknown, ParseResult.ParseError>
  readonly decode: (json: unknown) => Effect.Effect<Exit.Exit<A, E>, ParseResult.ParseError>
}

export const codec = <A, I, E, EI>(success: Schema.Schema<A, I>, failure: Schema.Schema<E, EI>): Codec<A, E> => {
  const schema = Schema.Exit({ success, failure, defect: Schema.Defect })
  // The schema is compiled at its first use and then kept by Effect: compiling that of a response takes a tenth of the time of an import.
  return { encode: (exit) => Schema.encode(schema)(exit), decode: (json) => Schema.decodeUnknown(schema)(json) }
}
