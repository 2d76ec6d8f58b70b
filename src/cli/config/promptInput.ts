/** The parts of a question: its text, the piped input, and files. */
import { FileSystem, Path } from "@effect/platform"
import { Chunk, Effect, Stream } from "effect"
import type { UserPart } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"
import { Terminal } from "../terminal/terminal.js"

type PartReader = (bytes: Uint8Array, name: string) => UserPart

const image =
  (mediaType: string): PartReader =>
  (bytes) =>
    Chat.image(bytes, { mediaType })

const audio =
  (mediaType: string): PartReader =>
  (bytes) =>
    Chat.audio(bytes, { mediaType })

/** Readers of media files by extension. */
const mediaReaders: ReadonlyMap<string, PartReader> = new Map([
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
      catch: () => usageFailure(`${path} is not a text, an image, a PDF or an audio file that can be sent.`)
    }),
    (text) => Chat.text(`<file name="${path}">\n${text}${text.endsWith("\n") ? "" : "\n"}</file>`)
  )

const fileAt = (path: string): Effect.Effect<UserPart, CliFailure, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const { basename, extname } = yield* Path.Path
    const bytes = yield* Effect.mapError(fileSystem.readFile(path), (error) =>
      usageFailure(
        error._tag === "SystemError" && error.reason === "NotFound"
          ? `The file ${path} does not exist.`
          : `The file ${path} cannot be read: ${error.message}`
      )
    )
    const read = mediaReaders.get(extname(path).toLowerCase())
    return read === undefined ? yield* textFile(bytes, path) : read(bytes, basename(path))
  })

/** Reads the whole piped input; empty without a pipe. */
export const pipedInput: Effect.Effect<string, CliFailure, Terminal> = Effect.flatMap(Terminal, (terminal) =>
  terminal.input.pipe(
    Stream.decodeText(),
    Stream.runCollect,
    Effect.map(Chunk.join("")),
    Effect.mapError((error) => usageFailure(`The standard input cannot be read: ${error.message}`))
  )
)

/** Makes a message of the files, the words and the piped input after them. */
export const userMessage = (
  words: string,
  input: string,
  paths: ReadonlyArray<string>
): Effect.Effect<Chat.UserMessage, CliFailure, FileSystem.FileSystem | Path.Path> =>
  Effect.map(Effect.forEach(paths, fileAt), (files) => {
    const text = [words, input.trimEnd()].filter((part) => part.trim() !== "").join("\n\n")
    return files.length === 0 ? Chat.user(text) : Chat.user([...files, ...(text === "" ? [] : [Chat.text(text)])])
  })
