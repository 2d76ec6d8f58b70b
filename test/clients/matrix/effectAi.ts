/** Twelve programs written against the services of `@effect/ai`, which know nothing of their provider. */
import { Chat, EmbeddingModel, LanguageModel, Prompt, Tokenizer, Tool, Toolkit } from "@effect/ai"
import type { AiError, Response } from "@effect/ai"
import { Chunk, Effect, Schema, Stream } from "effect"

const Weather = Tool.make("weather", {
  description: "The temperature of a city.",
  parameters: { city: Schema.String },
  success: Schema.Struct({ celsius: Schema.Number })
})
const toolkit = Toolkit.make(Weather)

export const Handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed({ celsius: city.length }) })

/** What a program is told of a part: without the ids and the metadata that each implementation gives it. */
const shown = (part: Response.AnyPart): unknown => {
  switch (part.type) {
    case "text":
      return { type: part.type, text: part.text }
    case "text-delta":
    case "tool-params-delta":
      return { type: part.type, delta: part.delta }
    case "tool-params-start":
      return { type: part.type, id: part.id, name: part.name }
    case "tool-call":
      return { type: part.type, id: part.id, name: part.name, params: part.params }
    case "tool-result":
      return { type: part.type, id: part.id, name: part.name, result: part.result, isFailure: part.isFailure }
    case "response-metadata":
      return { type: part.type, modelId: part.modelId }
    case "finish":
      return { type: part.type, reason: part.reason, usage: { ...part.usage } }
    default:
      return { type: part.type }
  }
}

/** Pieces of a text or of arguments joined: how many there are is not of the protocol. */
const merged = (parts: Iterable<Response.AnyPart>): ReadonlyArray<unknown> => {
  const result: Array<unknown> = []
  let delta = ""
  for (const part of parts) {
    if (part.type === "text-delta" || part.type === "tool-params-delta") {
      delta += part.delta
      continue
    }
    if (delta !== "") result.push({ delta })
    delta = ""
    result.push(shown(part))
  }
  return result
}

const stream = <E, R>(parts: Stream.Stream<Response.AnyPart, E, R>) =>
  Effect.map(Stream.runCollect(parts), (all) => merged(Chunk.toReadonlyArray(all)))

const Person = Schema.Struct({ name: Schema.String, age: Schema.Number }).annotations({ identifier: "Person" })

/** A red pixel. */
const image = new Uint8Array([0x89, 0x50, 0x4e, 0x47])

type Services =
  | LanguageModel.LanguageModel
  | EmbeddingModel.EmbeddingModel
  | Tokenizer.Tokenizer
  | Tool.HandlersFor<Toolkit.Tools<typeof toolkit>>

const text = (prompt: Prompt.RawInput) =>
  Effect.map(LanguageModel.generateText({ prompt }), ({ content }) => content.map(shown))

export const programs: Readonly<Record<string, Effect.Effect<unknown, AiError.AiError, Services>>> = {
  "a generated text": text("Say hello."),
  "a streamed text": stream(LanguageModel.streamText({ prompt: "Say hello." })),
  "a system prompt": text([
    { role: "system", content: "Speak like a pirate." },
    { role: "user", content: "Say hello." }
  ]),
  "a generated object": Effect.map(
    LanguageModel.generateObject({ prompt: "A person.", schema: Person }),
    ({ value }) => value
  ),
  "a tool call with its handler": Effect.map(
    LanguageModel.generateText({ prompt: "How warm is Rome?", toolkit }),
    ({ content }) => content.map(shown)
  ),
  "a streamed tool call": stream(LanguageModel.streamText({ prompt: "How warm is Rome?", toolkit })),
  "parallel tool calls": Effect.map(
    LanguageModel.generateText({ prompt: "How warm are Rome and Oslo?", toolkit, concurrency: "unbounded" }),
    ({ content }) => content.map(shown)
  ),
  "a chat of two rounds with a tool": Effect.gen(function* () {
    const chat = yield* Chat.fromPrompt([{ role: "system", content: "Be brief." }])
    const first = yield* chat.generateText({ prompt: "How warm is Rome?", toolkit })
    const second = yield* chat.generateText({ prompt: Prompt.empty, toolkit })
    const third = yield* chat.generateText({ prompt: "Say hello." })
    return [first, second, third].map(({ content }) => content.map(shown))
  }),
  "an image": text([
    {
      role: "user",
      content: [
        { type: "text", text: "What is it?" },
        { type: "file", mediaType: "image/png", data: image }
      ]
    }
  ]),
  embeddings: Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embedMany(["a cat", "a dog"])),
  "the tokens of a prompt and its last messages": Effect.flatMap(Tokenizer.Tokenizer, (tokenizer) =>
    Effect.all({
      tokens: Effect.map(tokenizer.tokenize("How many tokens are these?"), ({ length }) => length),
      truncated: Effect.map(
        tokenizer.truncate(
          [
            { role: "user", content: "The first one is too much." },
            { role: "user", content: "Hi" }
          ],
          12
        ),
        ({ content }) => content.length
      )
    })
  ),
  "an error of the provider": Effect.map(Effect.flip(LanguageModel.generateText({ prompt: "Fail." })), (error) => ({
    tag: error._tag,
    status: error._tag === "HttpResponseError" ? error.response.status : undefined
  })).pipe(Effect.catchAll(() => Effect.succeed("no error")))
}
