/** `effect-llm ask`: one question, one answer. */
import { Command, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import * as Chat from "../../vocabulary/Chat.js"
import * as StructuredOutput from "../../programs/StructuredOutput.js"
import { operationFailure, callFailure, usageFailure } from "../failure.js"
import * as JsonSchemaFile from "../config/jsonSchemaFile.js"
import * as PromptInput from "../config/promptInput.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printJson } from "../output.js"
import { loadModel } from "../config/loadModels.js"
import { renderResponse, renderStream, writeFootnote } from "../terminal/renderAnswer.js"

const schema = Options.text("schema").pipe(
  Options.withPseudoName("file"),
  Options.withDescription("A JSON Schema that the answer must fit. The answer is then JSON, checked against it."),
  Options.optional
)

const options = {
  question: Shared.words("question", "The question. What is piped in goes behind it."),
  ...Shared.source,
  ...Shared.request,
  system: Shared.system,
  files: Shared.files,
  schema,
  json: Shared.json,
  showReasoning: Shared.showReasoning,
  noStream: Shared.noStream
}

const encodeResponse = Schema.encode(Chat.ChatResponse)

const summary = "Asks one question and prints the answer."

export const ask = Command.make("ask", options, (args) =>
  Effect.gen(function* () {
    const input = yield* PromptInput.pipedInput
    const question = args.question.join(" ")
    if (question.trim() === "" && input.trim() === "" && args.files.length === 0) {
      return yield* usageFailure('There is no question. Try: effect-llm ask "What is the capital of France?"')
    }
    const message = yield* PromptInput.userMessage(question, input, args.files)
    const schemaFile = yield* Effect.transposeMapOption(args.schema, JsonSchemaFile.load)
    const llm = yield* loadModel(args)
    const request: Exclude<Chat.ChatRequest.Input, string> = {
      ...Shared.requestOf(args),
      messages: [...Option.match(args.system, { onNone: () => [], onSome: (text) => [Chat.system(text)] }), message]
    }
    if (Option.isSome(schemaFile)) {
      const { response, usage, value } = yield* Effect.mapError(
        StructuredOutput.generate(llm, request, schemaFile.value),
        callFailure
      )
      const { cost, model, provider } = response
      yield* printJson(args.json ? { value, provider, model, usage, ...(cost === undefined ? {} : { cost }) } : value)
      return yield* writeFootnote(response)
    }
    if (args.json) {
      const response = yield* Effect.mapError(llm.chat(request), callFailure)
      const encoded = Effect.mapError(encodeResponse(response), ({ message }) =>
        operationFailure(`The answer cannot be written as JSON. ${message}`)
      )
      return yield* Effect.flatMap(encoded, printJson)
    }
    const response = args.noStream
      ? yield* Effect.tap(Effect.mapError(llm.chat(request), callFailure), (response) => renderResponse(response, args))
      : yield* Effect.mapError(renderStream(llm.chatStream(request), args), callFailure)
    yield* writeFootnote(response)
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["ask"], summary, ask, [
  'effect-llm ask "What is the capital of France?"',
  "git diff | effect-llm ask Write a commit message for this change",
  "effect-llm ask --file report.pdf --file chart.png What changed since last year",
  'effect-llm ask --schema invoice.schema.json --file invoice.txt "Read this invoice" | jq .total'
])
