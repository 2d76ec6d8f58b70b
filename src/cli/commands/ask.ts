/** `effect-llm ask`: one question, one answer. */
import { Command, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import * as Chat from "../../vocabulary/Chat.js"
import * as StructuredOutput from "../../programs/StructuredOutput.js"
import { failed, ofCall, unusable } from "../failure.js"
import * as JsonSchemaFile from "../config/jsonSchemaFile.js"
import * as Material from "../config/promptInput.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printJson } from "../output.js"
import { llm as llmOf } from "../config/loadModels.js"
import { show, speak, tellFootnote } from "../terminal/renderAnswer.js"

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
  thoughts: Shared.thoughts,
  noStream: Shared.noStream
}

const encodeResponse = Schema.encode(Chat.ChatResponse)

const summary = "Asks one question and prints the answer."

export const ask = Command.make("ask", options, (given) =>
  Effect.gen(function* () {
    const input = yield* Material.piped
    const words = given.question.join(" ")
    if (words.trim() === "" && input.trim() === "" && given.files.length === 0) {
      return yield* unusable('There is no question. Try: effect-llm ask "What is the capital of France?"')
    }
    const said = yield* Material.message(words, input, given.files)
    const schemaFile = yield* Effect.transposeMapOption(given.schema, JsonSchemaFile.load)
    const llm = yield* llmOf(given)
    const request: Exclude<Chat.ChatRequest.Input, string> = {
      ...Shared.requestOf(given),
      messages: [...Option.match(given.system, { onNone: () => [], onSome: (text) => [Chat.system(text)] }), said]
    }
    if (Option.isSome(schemaFile)) {
      const { response, usage, value } = yield* Effect.mapError(
        StructuredOutput.generate(llm, request, schemaFile.value),
        ofCall
      )
      const { cost, model, provider } = response
      yield* printJson(given.json ? { value, provider, model, usage, ...(cost === undefined ? {} : { cost }) } : value)
      return yield* tellFootnote(response)
    }
    if (given.json) {
      const response = yield* Effect.mapError(llm.chat(request), ofCall)
      const written = Effect.mapError(encodeResponse(response), ({ message }) =>
        failed(`The answer cannot be written as JSON. ${message}`)
      )
      return yield* Effect.flatMap(written, printJson)
    }
    const response = given.noStream
      ? yield* Effect.tap(Effect.mapError(llm.chat(request), ofCall), (response) => show(response, given))
      : yield* Effect.mapError(speak(llm.chatStream(request), given), ofCall)
    yield* tellFootnote(response)
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["ask"], summary, ask, [
  'effect-llm ask "What is the capital of France?"',
  "git diff | effect-llm ask Write a commit message for this change",
  "effect-llm ask --file report.pdf --file chart.png What changed since last year",
  'effect-llm ask --schema invoice.schema.json --file invoice.txt "Read this invoice" | jq .total'
])
