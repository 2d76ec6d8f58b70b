/**
 * A client for everything that speaks Anthropic's Messages protocol: Anthropic, its models elsewhere, and those who follow it.
 *
 * - The key goes in `x-api-key` and the version of the protocol in `anthropic-version`, unless a preset says otherwise.
 * - Without `maxTokens` a request asks for the most that the model can write, as its documentation has it; for models that
 *   are not known here, 8192 tokens.
 * - Newer models keep their thoughts to themselves, and a stream may be silent for minutes while they think: ask for the
 *   thoughts with `reasoning: { summary: "auto" }`, or give `Timeouts` more time.
 * - What the prompt cache read and wrote is part of `usage.inputTokens`, though Anthropic counts it apart. Mark what shall be
 *   remembered with `cacheControl` on a part, a tool or a tool's result.
 * - An `overloaded_error`, under its status (529) or in the middle of a stream, is a `ProviderUnavailableError`.
 * - What goes into requests and comes out of answers is told in `Anthropic`.
 *
 * @example
 * ```ts
 * import { AnthropicClient } from "effect-llm"
 *
 * const Claude = AnthropicClient.layer()
 * const Kimi = AnthropicClient.layer(AnthropicClient.presets.moonshot)
 * const Beta = AnthropicClient.layer({ headers: { "anthropic-beta": "context-1m-2025-08-07" } })
 * const Local = AnthropicClient.layer({ provider: "local", baseUrl: "http://localhost:8000/v1" })
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import type { Service } from "../wire/providerClient.js"
import * as ProviderClient from "../call/ProviderClient.js"
import { client } from "../wire/anthropic/client/wire.js"
import type { Dialect } from "../wire/anthropic/dialect.js"
import * as Presets from "./presets/anthropic.js"
import type { Preset } from "./presets/preset.js"
import { resolve } from "./presets/preset.js"

/**
 * A provider: where it is, and how it deviates from Anthropic.
 *
 * - `baseUrl`: `https://api.anthropic.com/v1` unless given. One without a version, as Anthropic's own libraries and
 *   `ANTHROPIC_BASE_URL` have it, is completed with `/v1`.
 * - `provider`: the name of the preset with this base URL, else the URL's host, unless given.
 * - `auth`, `headers`, `query`, `dialect`: those of the preset with this base URL unless given; `auth` is the header
 *   `x-api-key` where there is none.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider that speaks Anthropic Messages.
 *
 * @since 0.1.0
 * @category tags
 */
export class AnthropicClient extends Context.Tag("effect-llm/AnthropicClient")<AnthropicClient, Service>() {}

/**
 * Providers that speak this protocol, as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

/** Anthropic's libraries append `/v1/messages`; a path of its own begins where the base URL ends. */
const versioned = (options: Options): Options => {
  const { baseUrl, dialect } = options
  return baseUrl === undefined || dialect?.path !== undefined || /\/v\d\w*\/*$/i.test(baseUrl)
    ? options
    : { ...options, baseUrl: `${baseUrl.replace(/\/+$/, "")}/v1` }
}

/**
 * A client for the provider of the options; for Anthropic where they name none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const { dialect, endpoint } = resolve<Dialect>(versioned(options), presets, {
    baseUrl: presets.anthropic.baseUrl,
    dialect: Presets.plain
  })
  return ProviderClient.make(client(dialect), { auth: { header: "x-api-key" }, ...endpoint })
}

/**
 * The client, under its own tag and as the `ProviderClient` that an `LLM` layer asks for.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<AnthropicClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (client) =>
      Context.make(AnthropicClient, client).pipe(Context.add(ProviderClient.ProviderClient, client))
    )
  )
