/** What the environment says, through Effect's `Config`: the names that other libraries use too. */
import { Config, ConfigError, Duration, Effect, Either, Option, Redacted } from "effect"

/** A plain number is seconds; anything else is as Effect writes durations. */
const timeout = Config.mapOrFail(Config.string("LLM_TIMEOUT"), (text) => {
  const seconds = Number(text)
  const wait = Number.isNaN(seconds) ? Duration.decodeUnknown(text) : Option.some(Duration.seconds(seconds))
  return Either.fromOption(
    Option.filter(wait, (duration) => Duration.toMillis(duration) > 0),
    () => ConfigError.InvalidData([], 'Expected a number of seconds, or a duration such as "30 seconds"')
  )
})

/** What every model uses unless something nearer says otherwise. */
export const defaults = Config.all({
  model: Config.option(Config.nonEmptyString("LLM_DEFAULT_MODEL")),
  temperature: Config.option(Config.number("LLM_DEFAULT_TEMPERATURE")),
  maxTokens: Config.option(Config.integer("LLM_MAX_TOKENS")),
  timeout: Config.option(timeout)
})

/** `openai` ⇒ `OPENAI`, as in `OPENAI_API_KEY`. */
const prefixOf = (provider: string): string => provider.toUpperCase().replace(/[^A-Z0-9]+/g, "_")

export const baseUrl = (provider: string): Config.Config<Option.Option<string>> =>
  Config.option(Config.nonEmptyString(`${prefixOf(provider)}_BASE_URL`))

const separated = (value: Redacted.Redacted<string>): ReadonlyArray<Redacted.Redacted<string>> =>
  Redacted.value(value)
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "")
    .map((key) => Redacted.make(key))

/** Where the keys of some providers are looked for where they are not under the provider's name. */
const otherNames: Readonly<Record<string, string>> = {
  GEMINI_API_KEY: "GOOGLE_API_KEY",
  GOOGLE_API_KEY: "GEMINI_API_KEY"
}

/** Of a variable, which may hold several keys with commas between them, and of those that end with `_1`, `_2` and so on. */
const keysUnder = (name: string): Effect.Effect<ReadonlyArray<Redacted.Redacted<string>>, ConfigError.ConfigError> => {
  const from = (
    index: number,
    found: ReadonlyArray<Redacted.Redacted<string>>
  ): Effect.Effect<ReadonlyArray<Redacted.Redacted<string>>, ConfigError.ConfigError> =>
    Effect.flatMap(
      Config.option(Config.redacted(`${name}_${index}`)),
      Option.match({
        onNone: () => Effect.succeed(found),
        onSome: (value) => from(index + 1, [...found, ...separated(value)])
      })
    )
  return Effect.flatMap(Config.option(Config.redacted(name)), (first) =>
    from(1, Option.isSome(first) ? separated(first.value) : [])
  )
}

/** Where the keys of a provider are looked for first. */
export const keyVariable = (provider: string): string => `${prefixOf(provider)}_API_KEY`

/** The keys under `<NAME>_API_KEY`, or under another name that is usual for the provider. */
export const apiKeys = (
  provider: string
): Effect.Effect<ReadonlyArray<Redacted.Redacted<string>>, ConfigError.ConfigError> => {
  const name = keyVariable(provider)
  const other = otherNames[name]
  const found = Effect.flatMap(keysUnder(name), (keys) =>
    keys.length > 0 || other === undefined ? Effect.succeed(keys) : keysUnder(other)
  )
  return Effect.filterOrFail(
    found,
    (keys) => keys.length > 0,
    () => ConfigError.MissingData([name], `Expected an API key of ${provider} in ${name}`)
  )
}
