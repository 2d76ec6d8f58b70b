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

/** `<NAME>_API_KEY`, which may hold several keys with commas between them, then `<NAME>_API_KEY_1`, `_2` and so on. */
export const apiKeys = (
  provider: string
): Effect.Effect<ReadonlyArray<Redacted.Redacted<string>>, ConfigError.ConfigError> => {
  const name = `${prefixOf(provider)}_API_KEY`
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
    Effect.flatMap(from(1, Option.isSome(first) ? separated(first.value) : []), (keys) =>
      keys.length > 0
        ? Effect.succeed(keys)
        : Effect.fail(ConfigError.MissingData([name], `Expected an API key of ${provider} in ${name}`))
    )
  )
}
