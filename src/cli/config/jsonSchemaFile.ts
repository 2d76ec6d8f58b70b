/** A JSON Schema from a file, as a schema that answers are decoded with. */
import { FileSystem } from "@effect/platform"
import { Effect, Schema } from "effect"
import { isRecord } from "../../wire/json.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"

const readSchema = (path: string): Effect.Effect<string, CliFailure, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.mapError(fileSystem.readFileString(path), (error) =>
      usageFailure(`The schema ${path} cannot be read: ${error.message}`)
    )
  )

/** Loaded only when a schema is used: most commands start without it. */
const zod = Effect.promise(() => import("zod"))

export interface SchemaFile {
  readonly schema: Schema.Schema<unknown>
  /** Its `title`, or the name of the file. */
  readonly name: string
}

export const load = (path: string): Effect.Effect<SchemaFile, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const text = yield* readSchema(path)
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () => usageFailure(`The schema ${path} is not valid JSON.`)
    })
    if (!isRecord(json)) return yield* usageFailure(`The schema ${path} is no JSON Schema: expected an object.`)
    const { fromJSONSchema } = yield* zod
    const validator = yield* Effect.try({
      try: () => fromJSONSchema(json),
      catch: (cause) =>
        usageFailure(`The schema ${path} cannot be used: ${cause instanceof Error ? cause.message : "?"}`)
    })
    const schema = Schema.Unknown.pipe(
      Schema.filter((value) => {
        const result = validator.safeParse(value)
        return result.success
          ? []
          : result.error.issues.map(({ message, path }) => ({
              message,
              path: path.map((step) => (typeof step === "symbol" ? String(step) : step))
            }))
      }),
      Schema.annotations({ jsonSchema: json })
    )
    const title = json["title"]
    return { schema, name: typeof title === "string" ? title : (/([^/\\]+?)(?:\.\w+)*$/.exec(path)?.[1] ?? "answer") }
  })
