/** The standard streams of a command. Tests replace them with a recording. */
import type { Error as PlatformError } from "@effect/platform"
import type { Effect, Stream } from "effect"
import { Context } from "effect"

export interface Service {
  /** Writes to the standard output, which contains only the result. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Writes progress and errors to the standard error. */
  readonly writeError: (text: string) => Effect.Effect<void>
  readonly outputIsTerminal: boolean
  readonly errorIsTerminal: boolean
  readonly inputIsTerminal: boolean
  /** Whether a terminal gets colours: not with `NO_COLOR` (https://no-color.org) or `TERM=dumb`. */
  readonly wantsColour: boolean
  /** Whether a terminal gets Markdown as layout, and lines that are redrawn: not with `TERM=dumb`. */
  readonly wantsLayout: boolean
  /** The width of the terminal; 80 without one. */
  readonly columns: Effect.Effect<number>
  /** The content of a pipe or a file at the standard input; empty for a terminal. */
  readonly input: Stream.Stream<Uint8Array, PlatformError.PlatformError>
}

export class Terminal extends Context.Tag("effect-llm/cli/Terminal")<Terminal, Service>() {}
