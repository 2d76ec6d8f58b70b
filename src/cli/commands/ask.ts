/** `effect-llm ask`: sends one question and prints the answer. */
import { FileSystem } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import * as Chat from "../../vocabulary/Chat.js"
import * as LLM from "../../LLM.js"
import { isRecord } from "../../wire/json.js"
import type { CliFailure } from "../failure.js"
import { callFailure, operationFailure, usageFailure } from "../failure.js"
import * as PromptInput from "../config/promptInput.js"
import * as Shared from "../options.js"
import { noticeOf } from "../config/defaultLimits.js"
import { printJson, writeNote } from "../output.js"
import { attemptsOf, chooseModel, loadSource, makeModels } from "../config/loadModels.js"
import { renderResponse, renderStream, writeFootnote } from "../terminal/renderAnswer.js"
import * as Waiting from "../terminal/waiting.js"
import type { Arguments } from "../definitions/ask.js"

/** Loaded only when a schema is used. */
const zod = Effect.promise(() => import("zod"))

interface SchemaFile {
  readonly schema: Schema.Schema<unknown>
  /** Its `title`, or the name of the file. */
  readonly name: string
}

/** Reads a JSON Schema as the schema that decodes the answer. */
const loadSchema = (path: string): Effect.Effect<SchemaFile, CliFailure, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(fileSystem.readFileString(path), (error) =>
      usageFailure(`The schema ${path} cannot be read: ${error.message}`)
    )
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () => usageFailure(`The schema ${path} is not valid JSON.`)
    })
    if (!isRecord(json)) return yield* usageFailure(`The schema ${path} is not a JSON Schema: expected an object.`)
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

const encodeResponse = Schema.encode(Chat.ChatResponse)

export const run = (args: Arguments) =>
  Effect.gen(function* () {
    const input = yield* PromptInput.pipedInput
    const question = args.question.join(" ")
    if (question.trim() === "" && input.trim() === "" && args.files.length === 0) {
      return yield* usageFailure('There is no question. Try: effect-llm ask "What is the capital of France?"')
    }
    const message = yield* PromptInput.userMessage(question, input, args.files)
    const schemaFile = yield* Effect.transposeMapOption(args.schema, loadSchema)
    const source = yield* loadSource(args)
    const llm = yield* chooseModel(source, yield* makeModels(source), args.model)
    const { info } = llm
    const notice = args.quiet ? undefined : noticeOf(source.file, `${info.provider}/${info.model}`)
    yield* writeNote(notice)
    const waiting = {
      quiet: args.quiet,
      model: `${info.provider}/${info.model}`,
      attempts: attemptsOf(source, info)
    }
    /** An answer that is written when it is complete. */
    const whole = <A, E, R>(call: Effect.Effect<A, E, R>) => Waiting.use(waiting, ({ during }) => during(call))
    const request: Chat.ChatRequest.Messages = {
      ...Shared.requestOf(args),
      messages: [...Option.match(args.system, { onNone: () => [], onSome: (text) => [Chat.system(text)] }), message]
    }
    if (Option.isSome(schemaFile)) {
      const { response, usage, value } = yield* Effect.mapError(
        whole(Effect.provideService(LLM.generateObject(request, schemaFile.value), LLM.LLM, llm)),
        callFailure
      )
      const { cost, model, provider } = response
      yield* printJson(args.json ? { value, provider, model, usage, ...(cost === undefined ? {} : { cost }) } : value)
      return yield* writeFootnote(response)
    }
    if (args.json) {
      const response = yield* Effect.mapError(whole(llm.chat(request)), callFailure)
      const encoded = Effect.mapError(encodeResponse(response), ({ message }) =>
        operationFailure(`The answer cannot be written as JSON. ${message}`)
      )
      return yield* Effect.flatMap(encoded, printJson)
    }
    const response = args.noStream
      ? yield* Effect.tap(Effect.mapError(whole(llm.chat(request)), callFailure), (response) =>
          renderResponse(response, args)
        )
      : yield* Waiting.use(waiting, ({ during, stop }) =>
          during(renderStream(llm.chatStream(request), { ...args, onBegin: stop }))
        ).pipe(Effect.mapError(callFailure))
    yield* writeFootnote(response)
  })
