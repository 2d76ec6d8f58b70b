/** Lines and Ctrl-C from the standard input. Tests replace it with a script. */
import type { Effect, Scope } from "effect"
import { Context, Data } from "effect"
import type { Complete } from "./completion.js"

export type Line = Data.TaggedEnum<{
  Typed: { readonly text: string }
  /** Ctrl-C at the prompt. */
  Interrupted: {}
  /** Ctrl-D, or the end of the piped input. */
  Ended: {}
}>

export const Line = Data.taggedEnum<Line>()

export interface Service {
  /** Reads the next line, with editing, history and completion by Tab on a terminal. */
  readonly line: (prompt: string, complete?: Complete) => Effect.Effect<Line>
  /** Waits for Ctrl-C, which meanwhile does not end the program. */
  readonly interruption: Effect.Effect<void>
}

/** Reads the keyboard until the scope closes. */
export class Stdin extends Context.Tag("effect-llm/cli/Stdin")<Stdin, Effect.Effect<Service, never, Scope.Scope>>() {}
