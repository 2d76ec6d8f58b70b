/**
 * Where a command writes and reads: its standard streams, and what is at their other ends. Tests put a recording in its place.
 */
import type { Error as PlatformError } from "@effect/platform"
import type { Effect, Stream } from "effect"
import { Context } from "effect"

export interface Service {
  /** Writes to the standard output: what was asked for, and nothing else. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Writes to the standard error: how it goes, and what went wrong. */
  readonly writeError: (text: string) => Effect.Effect<void>
  /** Whether a person reads the standard output. */
  readonly outputIsTerminal: boolean
  /** Whether a person reads the standard error. */
  readonly errorIsTerminal: boolean
  /** Whether a person types at the standard input. */
  readonly inputIsTerminal: boolean
  /** Whether colours are wanted where there is a terminal: `NO_COLOR` (https://no-color.org) and `TERM=dumb` say no. */
  readonly wantsColour: boolean
  /** How wide the terminal is. @default 80, where there is none */
  readonly columns: Effect.Effect<number>
  /** The standard input, where something was put into it: a pipe or a file, no terminal. */
  readonly input: Stream.Stream<Uint8Array, PlatformError.PlatformError>
}

export class Terminal extends Context.Tag("effect-llm/cli/Terminal")<Terminal, Service>() {}
