/** Ten prompts for everyday work. Runs against a simulated provider: `npx tsx examples/prompts.ts`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { LLM, LLMFunction, Prompt } from "effect-llm"
import { NodeTransport } from "effect-llm/node"
import { SimulatedProvider } from "effect-llm/testing"

const Text = Schema.NonEmptyString
const Code = Schema.Struct({ code: Text, language: Schema.optional(Schema.String) })

export const summarize = Prompt.make({
  input: Schema.Struct({ text: Text, sentences: Schema.optional(Schema.Int) }),
  system: "Summarise the text in at most {{sentences|3}} sentences. Keep names and numbers.",
  prompt: "{{text}}"
})

export const translate = Prompt.make({
  input: Schema.Struct({ text: Text, to: Text, tone: Schema.optional(Schema.String) }),
  system: "Translate into {{to}}, in a {{tone|neutral}} tone. Answer with the translation alone.",
  prompt: "{{text}}",
  examples: [{ input: { text: "Guten Tag", to: "English" }, output: "Hello" }],
  temperature: 0
})

export const answerFrom = Prompt.make({
  input: Schema.Struct({ question: Text, passages: Schema.NonEmptyArray(Text) }),
  system: "Answer from the passages alone, and name their numbers. If they do not have the answer, say so.",
  prompt: [({ passages }) => passages.map((passage, index) => `[${index + 1}] ${passage}`), "{{question}}"]
})

export const reviewCode = Prompt.make({
  input: Schema.Struct({ ...Code.fields, focus: Schema.optional(Schema.String) }),
  system: "Review the code with a focus on {{focus|correctness}}. List each finding with its line, the worst first.",
  prompt: "```{{language|}}\n{{code}}\n```"
})

export const explainCode = Prompt.make({
  input: Schema.Struct({ ...Code.fields, reader: Schema.optional(Schema.String) }),
  system: "Explain the code to {{reader|a programmer who does not know the language}}, first what it does, then how.",
  prompt: "```{{language|}}\n{{code}}\n```"
})

export const rewrite = Prompt.make({
  input: Schema.Struct({ text: Text, style: Text }),
  system: "Rewrite the text in this style: {{style}}. Keep its meaning and its length.",
  prompt: "{{text}}"
})

export const correctGrammar = Prompt.make({
  input: Schema.String,
  system: "Correct spelling and grammar, and change nothing else. Answer with the text alone.",
  temperature: 0
})

export const extract = LLMFunction.make({
  name: "contact",
  input: Schema.String,
  output: Schema.Struct({ name: Schema.String, email: Schema.NullOr(Schema.String) }),
  prompt: "Extract the contact from the text."
})

export const classify = LLMFunction.make({
  name: "topic",
  input: Schema.Struct({ text: Text, topics: Schema.NonEmptyArray(Text) }),
  output: Schema.String,
  prompt: "Classify the text. The topics are {{topics}}."
})

export const sentiment = LLMFunction.make({
  name: "sentiment",
  input: Schema.String,
  output: Schema.Struct({
    sentiment: Schema.Literal("positive", "negative", "neutral"),
    confidence: Schema.Number.pipe(Schema.between(0, 1)),
    reason: Schema.String
  }),
  prompt: "Judge the sentiment of the text."
})

const program = Effect.gen(function* () {
  const { text } = yield* translate({ text: "Es regnet.", to: "French" }).pipe(Effect.flatMap(LLM.chat))
  yield* Console.log(`translate: ${text}`)
  const { confidence, sentiment: mood } = yield* sentiment("It broke on the first day.")
  yield* Console.log(`sentiment: ${mood} (${confidence})`)
  yield* Console.log(`classify: ${yield* classify({ text: "Goal!", topics: ["sports", "politics"] })}`)
})

/** The answers of the simulated model. */
const answer: SimulatedProvider.Options["answer"] = ({ responseFormat }) => {
  if (typeof responseFormat !== "object") return "Il pleut."
  return responseFormat.name === "topic"
    ? '{"value":"sports"}'
    : '{"sentiment":"negative","confidence":0.9,"reason":"It broke."}'
}

const main = Effect.gen(function* () {
  const { baseUrl } = yield* SimulatedProvider.make({ answer })
  const Model = LLM.layerKeys({ provider: "simulated", model: "simulated", keys: ["key"], baseUrl })
  yield* Effect.provide(program, Layer.provide(Model, NodeTransport.layerUndici))
}).pipe(Effect.scoped)

NodeRuntime.runMain(main)
