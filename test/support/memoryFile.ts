/** A file in memory that a test changes while it is watched. */
import { FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import { Effect, Ref } from "effect"

/** A file system with one file, whatever its path. The file is absent while its text is undefined. */
export const memoryFile = (initial: string) =>
  Effect.map(Ref.make<string | undefined>(initial), (content) => ({
    layer: FileSystem.layerNoop({
      readFileString: (path) =>
        Effect.flatMap(Ref.get(content), (text) =>
          text === undefined
            ? Effect.fail(
                new SystemError({
                  reason: "NotFound",
                  module: "FileSystem",
                  method: "readFileString",
                  pathOrDescriptor: path
                })
              )
            : Effect.succeed(text)
        )
    }),
    write: (text: string | undefined) => Ref.set(content, text)
  }))
