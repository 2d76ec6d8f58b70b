/** A client of one protocol, from its wire, its presets and its defaults. */
import type { HttpClient } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import { shownUrl } from "../call/endpointSecrets.js"
import * as Client from "../call/client.js"
import type { Auth, Endpoint, Service } from "../wire/providerClient.js"
import { ProviderClient } from "../wire/providerClient.js"
import type { ClientWire } from "../wire/Wire.js"

/** A provider: its endpoint, and how it deviates from the protocol. */
export interface Preset<Dialect> extends Partial<Endpoint> {
  readonly dialect?: Partial<Dialect>
}

/** The endpoint and dialect of a provider that has no preset. */
export interface Defaults<Dialect> {
  readonly baseUrl: string
  readonly dialect?: Partial<Dialect>
  readonly auth?: Auth
  /** @default the host of the base URL */
  readonly provider?: string
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, "")

const hostOf = (baseUrl: string): string => /^[a-z]+:\/\/([^/?#]+)/i.exec(shownUrl(baseUrl))?.[1] ?? shownUrl(baseUrl)

/** Completes options with the preset of the same base URL, and with the defaults where there is none. */
export const resolve = <Dialect>(
  options: Preset<Dialect>,
  presets: Readonly<Record<string, Preset<Dialect>>>,
  defaults: Defaults<Dialect>
): { readonly endpoint: Endpoint; readonly dialect: Partial<Dialect> } => {
  const baseUrl = options.baseUrl ?? defaults.baseUrl
  const preset = Object.values(presets).find(
    (candidate) => candidate.baseUrl !== undefined && withoutSlash(candidate.baseUrl) === withoutSlash(baseUrl)
  )
  const { dialect = defaults.dialect ?? {}, ...endpoint } = { ...preset, ...options }
  return {
    dialect,
    endpoint: {
      ...(defaults.auth === undefined ? {} : { auth: defaults.auth }),
      ...endpoint,
      baseUrl,
      provider: endpoint.provider ?? defaults.provider ?? hostOf(baseUrl)
    }
  }
}

/** The layer of a client under its own tag and as the `ProviderClient`. */
export const layerOf = <Self>(
  tag: Context.Tag<Self, Service>,
  make: Effect.Effect<Service, never, HttpClient.HttpClient>
): Layer.Layer<Self | ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(Effect.map(make, (client) => Context.make(tag, client).pipe(Context.add(ProviderClient, client))))

/** `make` and `layer` of a client. */
export const defineClient = <Self, Dialect>(definition: {
  readonly tag: Context.Tag<Self, Service>
  readonly wire: (dialect: Partial<Dialect>) => ClientWire
  readonly presets: Readonly<Record<string, Preset<Dialect>>>
  readonly defaults: Defaults<Dialect>
  /** Changes options before a preset is looked up. */
  readonly complete?: (options: Preset<Dialect>) => Preset<Dialect>
}) => {
  const make = (options: Preset<Dialect> = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
    const completed = definition.complete?.(options) ?? options
    const { dialect, endpoint } = resolve(completed, definition.presets, definition.defaults)
    return Client.make(definition.wire(dialect), endpoint)
  }
  return { make, layer: (options?: Preset<Dialect>) => layerOf(definition.tag, make(options)) }
}
