/** Keys as they are written down for a gateway: in a file, or in a variable of the environment. */
import { FileSystem } from "@effect/platform"
import { Effect, ParseResult, Redacted, Schema } from "effect"
import * as VirtualKeys from "../VirtualKey.js"
import type { KeyOptions } from "./model.js"
import { InvalidAccessError } from "./model.js"

const File = Schema.parseJson(
  Schema.Array(
    Schema.Union(
      Schema.Struct({ ...VirtualKeys.Settings.fields, key: Schema.Redacted(Schema.NonEmptyString) }),
      Schema.Struct({ ...VirtualKeys.Settings.fields, sha256: VirtualKeys.VirtualKey.fields.hash })
    )
  )
)

const decode = Schema.decode(File, { onExcessProperty: "error", errors: "all" })

/** Where and why, without the words of the parser, which quote the file and a secret with it. */
const faultsIn = ({ issue }: ParseResult.ParseError): ReadonlyArray<string> => [
  ...new Set(
    ParseResult.ArrayFormatter.formatIssueSync(issue).map(({ path }) =>
      path.length === 0
        ? "is not a list of keys in JSON"
        : `${path.map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`)).join("")}: is not as it must be`
    )
  )
]

/** The keys of a list in JSON, or the places where it is at fault. */
const ofFile = (text: string): Effect.Effect<ReadonlyArray<KeyOptions>, ReadonlyArray<string>> =>
  Effect.mapBoth(decode(text), {
    onFailure: faultsIn,
    onSuccess: (keys) =>
      keys.map((entry): KeyOptions => {
        if ("key" in entry) return entry
        const { sha256, ...settings } = entry
        return { ...settings, key: { sha256 } }
      })
  })

/** `secret` or `label=secret`, with commas between them. */
export const ofVariable = (text: Redacted.Redacted<string>): ReadonlyArray<KeyOptions> =>
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

export const textOf = (path: string): Effect.Effect<string, InvalidAccessError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (files) =>
    Effect.mapError(
      files.readFileString(path),
      ({ message }) => new InvalidAccessError({ faults: [`${path} cannot be read: ${message}`] })
    )
  )

export const keysIn = (text: string, path: string): Effect.Effect<ReadonlyArray<KeyOptions>, InvalidAccessError> =>
  Effect.mapError(
    ofFile(text),
    (faults) => new InvalidAccessError({ faults: faults.map((fault) => `${path}: ${fault}`) })
  )

/**
 * The keys of a file as it is now (`layerReloading` follows it): a list in JSON, each with its `key` or the `sha256` of it, and what may be done with it.
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
  Effect.flatMap(textOf(path), (text) => keysIn(text, path))
