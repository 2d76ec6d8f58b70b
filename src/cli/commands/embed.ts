/** `effect-llm embed`: converts texts to vectors. */
import { Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import { callFailure, usageFailure } from "../failure.js"
import * as PromptInput from "../config/promptInput.js"
import * as Help from "../help.js"
import * as Shared from "../options.js"
import { printTable } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import { loadModel } from "../config/loadModels.js"
import { formatDollars, formatDuration } from "../terminal/renderAnswer.js"
import { errorStyle } from "../terminal/style.js"

const options = {
  texts: Shared.words("text", "The texts, each in quotes. Default: the lines of the piped input."),
  ...Shared.source,
  dimensions: Options.integer("dimensions").pipe(
    Options.withDescription("The length of the vectors, for models that can shorten them."),
    Options.optional
  ),
  purpose: Options.choice("purpose", ["query", "document", "similarity", "classification", "clustering"] as const).pipe(
    Options.withDescription("The purpose of the vectors, for models that distinguish purposes."),
    Options.optional
  ),
  json: Shared.json
}

/** The numbers of a vector that are printed on a terminal. */
const maxShownNumbers = 5

const summary = "Converts texts to vectors. Into a pipe, or with --json, it prints one JSON object with all numbers."

export const embed = Command.make("embed", options, (args) =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const input =
      args.texts.length > 0
        ? args.texts
        : (yield* PromptInput.pipedInput).split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trimEnd()]))
    if (input.length === 0)
      return yield* usageFailure('There is no text. Try: effect-llm embed "A text" "Another text"')
    const llm = yield* loadModel(args)
    const request: EmbeddingRequest.Input = {
      input,
      ...Option.match(args.dimensions, { onNone: () => ({}), onSome: (dimensions) => ({ dimensions }) }),
      ...Option.match(args.purpose, { onNone: () => ({}), onSome: (purpose) => ({ purpose }) })
    }
    const { cost, embeddings, latency, model, provider, usage } = yield* Effect.mapError(
      llm.embed(request),
      callFailure
    )
    if (args.json || !terminal.outputIsTerminal) {
      return yield* terminal.write(
        `${JSON.stringify({ provider, model, embeddings, usage, ...(cost === undefined ? {} : { cost }) })}\n`
      )
    }
    yield* printTable(
      ["text", "numbers", "vector"],
      embeddings.map((vector, index) => [
        { text: (input[index] ?? "").slice(0, 30) },
        { text: String(vector.length), right: true },
        {
          text: `${vector
            .slice(0, maxShownNumbers)
            .map((number) => number.toFixed(4))
            .join(" ")}${vector.length > maxShownNumbers ? " …" : ""}`
        }
      ])
    )
    const facts = [
      `${provider}/${model}`,
      `${usage.inputTokens} tokens`,
      ...(cost === undefined ? [] : [formatDollars(cost.total)]),
      formatDuration(latency)
    ]
    yield* terminal.writeError(`${errorStyle(terminal)(facts.join(" · "), "dim")}\n`)
  })
).pipe(Command.withDescription(summary))

export const page = Help.page(["embed"], summary, embed, [
  'effect-llm embed --model openai/text-embedding-3-small "A text" "Another text"',
  "cut -f2 titles.tsv | effect-llm embed -m openai/text-embedding-3-small > vectors.json"
])
