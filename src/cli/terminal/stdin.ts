/** Who types at the standard input: lines, and Ctrl-C. Tests put a script in its place. */
import type { Effect, Scope } from "effect"
import { Context, Data } from "effect"

export type Line = Data.TaggedEnum<{
  Typed: { readonly text: string }
  /** Ctrl-C at the prompt. */
  Interrupted: {}
  /** Ctrl-D, or the end of what was piped in. */
  Ended: {}
}>

export const Line = Data.taggedEnum<Line>()

export interface Service {
  /** The next line, with editing and history where there is a terminal. */
  readonly line: (prompt: string) => Effect.Effect<Line>
  /** Waits for Ctrl-C, which does not end the program while somebody waits for it. */
  readonly interruption: Effect.Effect<void>
}

/** Takes the keyboard for as long as the scope is open. */
export class Stdin extends Context.Tag("effect-llm/cli/Stdin")<Stdin, Effect.Effect<Service, never, Scope.Scope>>() {}
