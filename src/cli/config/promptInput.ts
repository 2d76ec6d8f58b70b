/** What goes with a question: its words, what is piped in, and files. */
import { FileSystem, Path } from "@effect/platform"
import { Chunk, Effect, Stream } from "effect"
import type { UserPart } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { CliFailure } from "../failure.js"
import { unusable } from "../failure.js"
import { Screen } from "../terminal/screen.js"

type Read = (bytes: Uint8Array, name: string) => UserPart

const image =
  (mediaType: string): Read =>
  (bytes) =>
    Chat.image(bytes, { mediaType })

const audio =
  (mediaType: string): Read =>
  (bytes) =>
    Chat.audio(bytes, { mediaType })

/** Files that are no text, by how their names end. */
const kinds: ReadonlyMap<string, Read> = new Map([
  [".png", image("image/png")],
  [".jpg", image("image/jpeg")],
  [".jpeg", image("image/jpeg")],
  [".gif", image("image/gif")],
  [".webp", image("image/webp")],
  [".mp3", audio("audio/mp3")],
  [".wav", audio("audio/wav")],
  [".pdf", (bytes, filename) => Chat.file(bytes, { mediaType: "application/pdf", filename })]
])

const decoder = new TextDecoder("utf-8", { fatal: true })

const textFile = (bytes: Uint8Array, path: string): Effect.Effect<UserPart, CliFailure> =>
  Effect.map(
    Effect.try({
      try: () => decoder.decode(bytes),
      catch: () => unusable(`${path} is neither text nor an image, a PDF or a sound that can be sent.`)
    }),
    (text) => Chat.text(`<file name="${path}">\n${text}${text.endsWith("\n") ? "" : "\n"}</file>`)
  )

const fileAt = (path: string): Effect.Effect<UserPart, CliFailure, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const bytes = yield* Effect.mapError(fileSystem.readFile(path), (error) =>
      unusable(
        error._tag === "SystemError" && error.reason === "NotFound"
          ? `The file ${path} is not there.`
          : `The file ${path} cannot be read: ${error.message}`
      )
    )
    const read = kinds.get(paths.extname(path).toLowerCase())
    return read === undefined ? yield* textFile(bytes, path) : read(bytes, paths.basename(path))
  })

/** All that was piped in; empty where nothing was. */
export const piped: Effect.Effect<string, CliFailure, Screen> = Effect.flatMap(Screen, (screen) =>
  screen.input.pipe(
    Stream.decodeText(),
    Stream.runCollect,
    Effect.map(Chunk.join("")),
    Effect.mapError((error) => unusable(`The standard input cannot be read: ${error.message}`))
  )
)

/** A message of words, what was piped in behind them, and files. */
export const message = (
  words: string,
  input: string,
  paths: ReadonlyArray<string>
): Effect.Effect<Chat.UserMessage, CliFailure, FileSystem.FileSystem | Path.Path> =>
  Effect.map(Effect.forEach(paths, fileAt), (files) => {
    const text = [words, input.trimEnd()].filter((part) => part.trim() !== "").join("\n\n")
    return files.length === 0 ? Chat.user(text) : Chat.user([...files, ...(text === "" ? [] : [Chat.text(text)])])
  })
