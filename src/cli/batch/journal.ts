/** The journal of a batch, without what has failed. */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"

const Failed = Schema.Struct({ exit: Schema.Struct({ _tag: Schema.Literal("Failure") }) })

const isFailed = Schema.is(Failed)

const parseLine = Option.liftThrowable((line: string): unknown => JSON.parse(line))

/** Takes the failures out of a journal, so that they are asked again. What no journal says stays, for others to judge. */
export const withoutFailures = (path: string): Effect.Effect<void, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    if (!(yield* fileSystem.exists(path))) return
    const text = yield* fileSystem.readFileString(path)
    const remaining = text
      .split("\n")
      .filter((line) => !Option.exists(parseLine(line), isFailed))
      .join("\n")
    if (remaining === text) return
    // A process that is killed here leaves the one or the other, and never half of it.
    yield* fileSystem.writeFileString(`${path}.part`, remaining)
    yield* fileSystem.rename(`${path}.part`, path)
  }).pipe(Effect.mapError(({ message }) => usageFailure(`The journal ${path} cannot be rewritten: ${message}`)))
