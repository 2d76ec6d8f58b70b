/** `effect-llm embed`: converts texts to vectors. */
import { Effect, Option } from "effect"
import type { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import { callFailure, usageFailure } from "../failure.js"
import * as PromptInput from "../config/promptInput.js"
import { printTable } from "../output.js"
import { Terminal } from "../terminal/terminal.js"
import { loadModel } from "../config/loadModels.js"
import { formatDollars, formatDuration } from "../terminal/renderAnswer.js"
import { errorStyle } from "../terminal/style.js"
import type { Arguments } from "../definitions/embed.js"

/** The numbers of a vector that are printed on a terminal. */
const maxShownNumbers = 5

export const run = (args: Arguments) =>
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
