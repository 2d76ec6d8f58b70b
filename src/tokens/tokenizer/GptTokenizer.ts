/**
 * Counts the tokens of OpenAI's models exactly, with the package `gpt-tokenizer` (an optional peer dependency).
 *
 * An encoding is 1 to 2.5 MB of source: only the configured ones are loaded, when the layer is built. Models with another
 * encoding, and models of other providers, are estimated.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TokenCounter } from "effect-llm"
 * import { GptTokenizer } from "effect-llm/tokenizer"
 *
 * const program = TokenCounter.count("Hello, world!", "gpt-4o").pipe(Effect.provide(GptTokenizer.layer()))
 * // { tokens: 4, estimated: false }
 * ```
 *
 * @since 0.1.0
 */
import { Effect, Layer, Schema } from "effect"
import * as TokenCounter from "../counter.js"

/**
 * The encodings of OpenAI's models: `o200k_base` from GPT-4o on, `cl100k_base` before (GPT-4, GPT-3.5 and the embeddings).
 *
 * @since 0.1.0
 * @category model
 */
export type Encoding = "o200k_base" | "cl100k_base"

/**
 * The encodings to load, and the models behind custom names.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The encodings to load. @default ["o200k_base"] */
  readonly encodings?: ReadonlyArray<Encoding>
  /** The OpenAI models behind custom names, such as deployments on Azure. @default {} */
  readonly models?: Readonly<Record<string, string>>
}

/**
 * An encoding could not be loaded: most likely `gpt-tokenizer` is not installed.
 *
 * @since 0.1.0
 * @category errors
 */
export class EncodingUnavailableError extends Schema.TaggedError<EncodingUnavailableError>()(
  "EncodingUnavailableError",
  { encoding: Schema.String, message: Schema.String, cause: Schema.Defect }
) {}

// -------------------------------------------------------------------------------------
// models
// -------------------------------------------------------------------------------------

interface Family {
  readonly encoding: Encoding
  readonly prefix: string
  /** Whether OpenAI's cookbook ("How to count tokens with tiktoken") documents its chat format. */
  readonly knownChatFormat: boolean
}

/** From the model table of OpenAI's tiktoken. A prefix of another prefix comes after it. */
const families: ReadonlyArray<Family> = [
  ...["gpt-4o", "chatgpt-4o"].map((prefix) => ({ encoding: "o200k_base", prefix, knownChatFormat: true }) as const),
  ...["gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "o1", "o3", "o4"].map(
    (prefix) => ({ encoding: "o200k_base", prefix, knownChatFormat: false }) as const
  ),
  ...["gpt-4", "gpt-3.5", "gpt-35"].map(
    (prefix) => ({ encoding: "cl100k_base", prefix, knownChatFormat: true }) as const
  ),
  ...["text-embedding-3-", "text-embedding-ada-002", "davinci-002", "babbage-002"].map(
    (prefix) => ({ encoding: "cl100k_base", prefix, knownChatFormat: false }) as const
  )
]

/** The name without `ft:` of fine-tuned models and without the `openai/` of gateways. */
const baseName = (model: string): string => model.replace(/^ft:/, "").replace(/^openai\//, "")

const familyOf = (model: string): Family | undefined => {
  const name = baseName(model)
  return families.find(({ prefix }) => name.startsWith(prefix))
}

// -------------------------------------------------------------------------------------
// counting
// -------------------------------------------------------------------------------------

type CountTokens = (text: string) => number

/** The names of special tokens in a user's text count as text. */
const plain = { disallowedSpecial: new Set<string>() }

const load: Record<Encoding, () => Promise<CountTokens>> = {
  o200k_base: async () => {
    const { countTokens } = await import("gpt-tokenizer/encoding/o200k_base")
    return (text) => countTokens(text, plain)
  },
  cl100k_base: async () => {
    const { countTokens } = await import("gpt-tokenizer/encoding/cl100k_base")
    return (text) => countTokens(text, plain)
  }
}

const loadEncoding = (encoding: Encoding): Effect.Effect<readonly [Encoding, CountTokens], EncodingUnavailableError> =>
  Effect.tryPromise({
    try: load[encoding],
    catch: (cause) =>
      new EncodingUnavailableError({
        encoding,
        message: `The encoding ${encoding} could not be loaded. Is the package "gpt-tokenizer" installed?`,
        cause
      })
  }).pipe(Effect.map((count) => [encoding, count] as const))

/**
 * The longest run of one kind (letters, white space, signs) that is tokenized as one, in UTF-16 units. The time for a run grows
 * with the square of its length: half a million letters without a space would block the process for minutes.
 */
const maxRun = 500

const longRun = RegExp(
  ["[\\p{L}\\p{M}]", "\\s", "[^\\s\\p{L}\\p{N}]"].map((kind) => `(?<!${kind})${kind}{${maxRun},}`).join("|"),
  "gu"
)

const isSecondHalf = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff

const countText = (count: CountTokens, text: string): TokenCounter.Count => {
  if (text.length <= maxRun) return { tokens: count(text), estimated: false }
  let tokens = 0
  let from = 0
  for (const run of text.matchAll(longRun)) {
    const end = run.index + run[0].length
    for (let next = run.index + maxRun; next < end; next += maxRun) {
      const cut = isSecondHalf(text.charCodeAt(next)) ? next + 1 : next
      tokens += count(text.slice(from, cut))
      from = cut
    }
  }
  // A cut can split a token.
  return { tokens: tokens + count(text.slice(from)), estimated: from > 0 }
}

/**
 * Makes the counter with its encodings loaded.
 *
 * Texts are exact for every model whose encoding is loaded. Requests that contain nothing but text are exact for the GPT-4o,
 * GPT-4 and GPT-3.5 models, whose chat format OpenAI documents. Requests to later models, and requests with tools, tool calls,
 * images, audio or files, have exact texts, and their count is marked as an estimate.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ encodings = ["o200k_base"], models = {} }: Options = {}): Effect.Effect<
  TokenCounter.Service,
  EncodingUnavailableError
> =>
  Effect.map(Effect.forEach(encodings, loadEncoding), (counts) => {
    const byEncoding = new Map(counts)
    const aliases = new Map(Object.entries(models))
    return TokenCounter.make((model) => {
      const family = familyOf(aliases.get(model) ?? model)
      const count = family === undefined ? undefined : byEncoding.get(family.encoding)
      return family === undefined || count === undefined
        ? undefined
        : { text: (text) => countText(count, text), knownChatFormat: family.knownChatFormat }
    })
  })

/**
 * The counter as a layer. Fails with `EncodingUnavailableError` if an encoding cannot be loaded.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<TokenCounter.TokenCounter, EncodingUnavailableError> =>
  Layer.effect(TokenCounter.TokenCounter, make(options))
