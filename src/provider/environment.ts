/** Settings from environment variables through Effect's `Config`, under the names that other libraries use too. */
import type { ConfigError } from "effect"
import { Config, Duration, Effect, Either, Option, Record, Redacted } from "effect"
import * as ConfigErrors from "./configErrors.js"

/** A number of seconds, or a duration in the notation of Effect. */
const timeout = (name: string): Config.Config<Duration.Duration> =>
  Config.mapOrFail(Config.string(name), (text) => {
    const seconds = Number(text)
    const timeout = Number.isNaN(seconds) ? Duration.decodeUnknown(text) : Option.some(Duration.seconds(seconds))
    return Either.fromOption(
      Option.filter(timeout, (duration) => Duration.toMillis(duration) > 0),
      () => ConfigErrors.invalid('Expected a number of seconds, or a duration such as "30 seconds"')
    )
  })

/** The attempts of a call, from the number of those after the first one. */
const attempts = Config.mapOrFail(Config.integer("LLM_ROUTER_MAX_RETRIES"), (retries) =>
  retries >= 0 ? Either.right(retries + 1) : Either.left(ConfigErrors.invalid("Expected at least 0 retries"))
)

/** Defaults of every model; options and request fields take precedence. */
export const defaults = Config.all({
  model: Config.option(Config.nonEmptyString("LLM_DEFAULT_MODEL")),
  temperature: Config.option(Config.number("LLM_DEFAULT_TEMPERATURE")),
  maxTokens: Config.option(Config.integer("LLM_MAX_TOKENS")),
  timeout: Config.map(
    Config.all([Config.option(timeout("LLM_TIMEOUT")), Config.option(timeout("LLM_ROUTER_TIMEOUT"))]),
    ([own, other]) => Option.orElse(own, () => other)
  ),
  attempts: Config.option(attempts)
})

/** `openai` ⇒ `OPENAI`, as in `OPENAI_API_KEY`. */
const prefixOf = (provider: string): string => provider.toUpperCase().replace(/[^A-Z0-9]+/g, "_")

export const baseUrlVariable = (provider: string): string => `${prefixOf(provider)}_BASE_URL`

export const baseUrl = (provider: string): Config.Config<Option.Option<string>> =>
  Config.option(Config.nonEmptyString(baseUrlVariable(provider)))

/** The headers by which OpenRouter attributes requests to an app, under the names that LiteLLM reads (openrouter.ai/docs/app-attribution). */
const attribution = Config.all({
  "HTTP-Referer": Config.option(Config.nonEmptyString("OR_SITE_URL")),
  "X-Title": Config.option(Config.nonEmptyString("OR_APP_NAME"))
})

/** The headers of a provider's requests. */
export const headers = (provider: string): Effect.Effect<Readonly<Record<string, string>>, ConfigError.ConfigError> =>
  provider === "openrouter" ? Effect.map(attribution, Record.getSomes) : Effect.succeed({})

const separated = (value: Redacted.Redacted<string>): ReadonlyArray<Redacted.Redacted<string>> =>
  Redacted.value(value)
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "")
    .map((key) => Redacted.make(key))

/** The other variables in which the keys of a provider are looked up, the first one with keys counts. */
const otherNames: Readonly<Record<string, ReadonlyArray<string>>> = {
  GEMINI_API_KEY: ["GOOGLE_API_KEY", "GOOGLE_AI_API_KEY"],
  GOOGLE_API_KEY: ["GEMINI_API_KEY", "GOOGLE_AI_API_KEY"]
}

/** A variable and the keys in it, separated by commas. */
export interface KeyVariable {
  readonly name: string
  readonly keys: ReadonlyArray<Redacted.Redacted<string>>
}

type Variables = Effect.Effect<ReadonlyArray<KeyVariable>, ConfigError.ConfigError>

/** A variable, and those with the suffixes `_1`, `_2` and so on, as far as they have keys. */
const variablesUnder = (name: string): Variables => {
  const numbered = (index: number, found: ReadonlyArray<KeyVariable>): Variables =>
    Effect.flatMap(
      Config.option(Config.redacted(`${name}_${index}`)),
      Option.match({
        onNone: () => Effect.succeed(found),
        onSome: (value) => numbered(index + 1, [...found, { name: `${name}_${index}`, keys: separated(value) }])
      })
    )
  return Effect.flatMap(Config.option(Config.redacted(name)), (first) =>
    Effect.map(numbered(1, Option.isSome(first) ? [{ name, keys: separated(first.value) }] : []), (found) =>
      found.filter(({ keys }) => keys.length > 0)
    )
  )
}

/** The first variable in which the keys of a provider are looked up. */
export const keyVariable = (provider: string): string => `${prefixOf(provider)}_API_KEY`

/** The variables with keys of a provider: `<NAME>_API_KEY`, or else another usual one; none when no variable has a key. */
export const keyVariables = (provider: string): Variables => {
  const name = keyVariable(provider)
  return (otherNames[name] ?? []).reduce(
    (before, other) =>
      Effect.flatMap(before, (found) => (found.length > 0 ? Effect.succeed(found) : variablesUnder(other))),
    variablesUnder(name)
  )
}

/** The keys in `<NAME>_API_KEY`, or else in another usual variable of the provider. */
export const apiKeys = (
  provider: string
): Effect.Effect<ReadonlyArray<Redacted.Redacted<string>>, ConfigError.ConfigError> =>
  Effect.filterOrFail(
    Effect.map(keyVariables(provider), (variables) => variables.flatMap(({ keys }) => keys)),
    (keys) => keys.length > 0,
    () => ConfigErrors.missing(keyVariable(provider), `Expected an API key of ${provider} in ${keyVariable(provider)}`)
  )
