/** What clients for a protocol have in common: a provider as data, and a base URL alone where that says enough. */
import { shownUrl } from "../../call/endpointSecrets.js"
import type { Endpoint } from "../../wire/providerClient.js"

/** A provider: where it is, and how it deviates from the protocol. */
export interface Preset<Dialect> extends Partial<Endpoint> {
  readonly dialect?: Partial<Dialect>
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, "")

/** What a provider without a name is called: the host that it is reached at. */
const hostOf = (baseUrl: string): string => /^[a-z]+:\/\/([^/?#]+)/i.exec(shownUrl(baseUrl))?.[1] ?? shownUrl(baseUrl)

/**
 * The whole of an endpoint: what the options leave open is as in the preset with this base URL, and where there is none, as
 * with a provider that nobody knows, which is called by its host unless `unknown` has a name.
 */
export const resolve = <Dialect>(
  options: Preset<Dialect>,
  presets: Readonly<Record<string, Preset<Dialect>>>,
  unknown: { readonly baseUrl: string; readonly dialect: Partial<Dialect>; readonly provider?: string }
): { readonly endpoint: Endpoint; readonly dialect: Partial<Dialect> } => {
  const baseUrl = options.baseUrl ?? unknown.baseUrl
  const known = Object.values(presets).find(
    (preset) => preset.baseUrl !== undefined && withoutSlash(preset.baseUrl) === withoutSlash(baseUrl)
  )
  const { dialect = unknown.dialect, ...endpoint } = { ...known, ...options }
  return {
    dialect,
    endpoint: { ...endpoint, baseUrl, provider: endpoint.provider ?? unknown.provider ?? hostOf(baseUrl) }
  }
}
