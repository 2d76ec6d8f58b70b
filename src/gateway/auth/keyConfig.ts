/** Reads configured keys: from a file, or from an environment variable. */
import { FileSystem } from "@effect/platform"
import type { ParseResult } from "effect"
import { Effect, Redacted, Schema } from "effect"
import * as VirtualKeys from "../VirtualKey.js"
import type { KeyOptions } from "./model.js"
import { InvalidAccessError } from "./model.js"
import { issuesOf } from "../../internal/faults.js"

const File = Schema.parseJson(
  Schema.Array(
    Schema.Union(
      Schema.Struct({ ...VirtualKeys.Settings.fields, key: Schema.Redacted(Schema.NonEmptyString) }),
      Schema.Struct({ ...VirtualKeys.Settings.fields, sha256: VirtualKeys.VirtualKey.fields.hash })
    )
  )
)

const decode = Schema.decode(File, { onExcessProperty: "error", errors: "all" })

/** The paths of all faults, without the parser's messages, which quote the file and its secrets. */
const faultsOf = ({ issue }: ParseResult.ParseError): ReadonlyArray<string> => [
  ...new Set(
    issuesOf(issue).map(({ path }) =>
      path.length === 0
        ? "is not a list of keys in JSON"
        : `${path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("")}: is invalid`
    )
  )
]

/** The keys of a JSON list. */
const decodeKeys = (text: string): Effect.Effect<ReadonlyArray<KeyOptions>, ReadonlyArray<string>> =>
  Effect.mapBoth(decode(text), {
    onFailure: faultsOf,
    onSuccess: (keys) =>
      keys.map((entry): KeyOptions => {
        if ("key" in entry) return entry
        const { sha256, ...settings } = entry
        return { ...settings, key: { sha256 } }
      })
  })

/** Parses `secret` or `label=secret`, separated by commas. */
export const parseKeyList = (text: Redacted.Redacted<string>): ReadonlyArray<KeyOptions> =>
  Redacted.value(text)
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [, label, secret] = /^([^=]+)=(.+)$/.exec(entry) ?? []
      return label === undefined || secret === undefined
        ? { key: Redacted.make(entry) }
        : { key: Redacted.make(secret), label }
    })

export const readText = (path: string): Effect.Effect<string, InvalidAccessError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(
      files.readFileString(path),
      ({ message }) => new InvalidAccessError({ faults: [`${path} cannot be read: ${message}`] })
    )
  )

export const parseKeys = (text: string, path: string): Effect.Effect<ReadonlyArray<KeyOptions>, InvalidAccessError> =>
  Effect.mapError(
    decodeKeys(text),
    (faults) => new InvalidAccessError({ faults: faults.map((fault) => `${path}: ${fault}`) })
  )

/**
 * Reads a file of keys once (`layerReloading` follows it): a JSON list of keys, each with its `key` or the `sha256` of it, and
 * its settings.
 *
 * ```json
 * [
 *   { "sha256": "0f…", "label": "team-a", "models": ["openai/*"], "budget": { "dollars": 20, "period": "day" } },
 *   { "key": "sk-…", "label": "team-b", "rateLimit": { "requestsPerMinute": 60 }, "expiresAt": "2030-01-01T00:00:00Z" }
 * ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const readKeys = (
  path: string
): Effect.Effect<ReadonlyArray<KeyOptions>, InvalidAccessError, FileSystem.FileSystem> =>
  Effect.flatMap(readText(path), (text) => parseKeys(text, path))
