/** The tables of the matrix in Markdown, and the sections of documents that contain them. */
import { isDeepStrictEqual } from "node:util"
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { expect } from "@effect/vitest"
import { Config, Effect, Option } from "effect"
import { keyVariable } from "../../src/provider/environment.js"
import type { Protocol } from "../../src/provider/registry.js"
import type { Exchanges } from "./exchange.js"
import { compare } from "./exchange.js"
import type { Provider } from "./providers.js"
import { embedders, missing, nameOf, uncounted } from "./providers.js"
import type { Scenario } from "./scenarios.js"
import { scenarios } from "./scenarios.js"
import { fromOption } from "../../src/internal/asEffect.js"

/** The exchanges with a provider. */
export type Finding = readonly [provider: Provider, exchanges: Exchanges]

// -------------------------------------------------------------------------------------
// markdown
// -------------------------------------------------------------------------------------

type Row = ReadonlyArray<string>

/** A table whose columns are as wide as their widest cell, as Markdown formatters write it. */
export const table = (
  head: Row,
  rows: ReadonlyArray<Row>,
  centered: (column: number) => boolean = () => false
): string => {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0)))
  const line = (row: Row): string =>
    `| ${widths.map((width, column) => pad(row[column] ?? "", width, centered(column))).join(" | ")} |`
  const rule = `| ${widths.map((width, column) => (centered(column) ? `:${"-".repeat(width - 2)}:` : "-".repeat(width))).join(" | ")} |`
  return [line(head), rule, ...rows.map(line)].join("\n")
}

const pad = (text: string, width: number, centered: boolean): string => {
  const before = centered ? Math.floor((width - text.length) / 2) : 0
  return (" ".repeat(before) + text).padEnd(width)
}

// -------------------------------------------------------------------------------------
// the matrix
// -------------------------------------------------------------------------------------

const protocolTitles: Readonly<Record<Protocol, string>> = {
  "chat-completions": "Chat Completions",
  responses: "Responses",
  "anthropic-messages": "Messages",
  gemini: "Gemini",
  ollama: "Ollama",
  dashscope: "DashScope"
}

const code = (text: string): string => `\`${text}\``

/** Wraps a text at 120 characters. */
export const wrapped = (text: string): string =>
  text
    .split(" ")
    .reduce<ReadonlyArray<string>>((lines, word) => {
      const longer = `${lines.at(-1) ?? ""} ${word}`.trim()
      return longer.length > 120 ? [...lines, word] : [...lines.slice(0, -1), longer]
    }, [])
    .join("\n")

const unique = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)]

const superscript = (index: number): string => ["¹", "²", "³", "⁴", "⁵", "⁶"][index] ?? `(${index + 1})`

/** Findings by provider title, which all protocols, regions and versions of a provider share. */
const byTitle = (findings: ReadonlyArray<Finding>): ReadonlyArray<readonly [string, ReadonlyArray<Finding>]> =>
  unique(findings.map(([{ title }]) => title))
    .toSorted((one, other) => one.localeCompare(other, "en"))
    .map((title) => [title, findings.filter(([provider]) => provider.title === title)])

const protocolsOf = (findings: ReadonlyArray<Finding>): string =>
  unique(findings.map(([{ protocol }]) => protocolTitles[protocol])).join(", ")

const isAsWanted = (scenario: Scenario, [provider, exchanges]: Finding): boolean => {
  const exchange = exchanges.ofScenario.get(scenario.name)
  if (exchange === undefined) return false
  const { found, wanted } = compare(provider, scenario, exchange)
  return isDeepStrictEqual(found, wanted)
}

/** ✓: as expected in every protocol; with a note when one lacks the feature; — when all lack it; ✗: not as expected. */
const cell =
  (features: ReadonlyArray<string>, findings: ReadonlyArray<Finding>) =>
  (scenario: Scenario): string => {
    if (!findings.every((finding) => isAsWanted(scenario, finding))) return "✗"
    const lacking = findings.map(([provider]) => missing(provider, scenario.name))
    const notes = unique(lacking.flatMap((feature) => (feature === undefined ? [] : [feature])))
    return [
      lacking.every((feature) => feature !== undefined) ? "—" : "✓",
      ...notes.map((feature) => superscript(features.indexOf(feature)))
    ].join("")
  }

const ways = {
  schema: "by the provider's own means",
  tool: "by a tool that must be called",
  prompt: "by a checked prompt"
} as const

/** How `LLM.generateObject` works without the provider's JSON Schema output. */
const objectNote = (findings: ReadonlyArray<Finding>): string => {
  const found = unique(findings.flatMap(([, { way }]) => (way === undefined ? [] : [ways[way]])))
  return ` \`LLM.generateObject\` still works, ${sentence(found)}.`
}

const sentence = (parts: ReadonlyArray<string>): string => {
  const last = parts.at(-1) ?? ""
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(", ")} and ${last}`
}

/** The note on a missing feature: the providers without it, and what happens there. */
const footnote =
  (findings: ReadonlyArray<Finding>) =>
  (feature: string, index: number): string => {
    const without = findings.filter(([provider]) => scenarios.some(({ name }) => missing(provider, name) === feature))
    const who = byTitle(without).map(([title, its]) => `${title} (${protocolsOf(its)})`)
    const isSchema = without.every(([provider]) => missing(provider, "schema") === feature)
    return `${superscript(index)} Not supported: ${feature} with ${sentence(who)}. The call fails with \`UnsupportedError\` before anything is sent.${isSchema ? objectNote(without) : ""}`
  }

const countsMissing = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> =>
  unique(
    findings.flatMap(([provider]) => {
      const counts = uncounted(provider).map(code)
      return counts.length === 0
        ? []
        : [
            `The ${protocolTitles[provider.protocol]} protocol does not count ${sentence(counts)}: these counts are zero.`
          ]
    })
  )

/** The table of providers and scenarios. */
export const matrix = (findings: ReadonlyArray<Finding>): string => {
  const features = unique(
    findings.flatMap(([provider]) => scenarios.flatMap(({ name }) => missing(provider, name) ?? []))
  )
  const rows = byTitle(findings).map(([title, its]) => [title, protocolsOf(its), ...scenarios.map(cell(features, its))])
  const legend = scenarios.map(({ meaning, name }) => `- ${name}: ${meaning}`).join("\n")
  return [
    table(["provider", "protocols", ...scenarios.map(({ name }) => name)], rows, (column) => column > 1),
    ...[...features.map(footnote(findings)), ...countsMissing(findings)].map(wrapped),
    legend
  ].join("\n\n")
}

// -------------------------------------------------------------------------------------
// the table of providers
// -------------------------------------------------------------------------------------

const place = (baseUrl: string): string => (baseUrl === "" ? "yours" : baseUrl)

/** One line for each preset: URL, key variable and other features. */
export const listing = (findings: ReadonlyArray<Finding>): string =>
  table(
    ["provider", "name", "preset", "`wire`", "base URL", "key", "texts a request", "lists models"],
    [
      ...byTitle(findings).flatMap(([title, its]) =>
        its.map(([provider, { client }]) => [
          title,
          code(provider.provider),
          code(nameOf(provider)),
          code(provider.protocol),
          place(provider.baseUrl),
          code(keyVariable(provider.provider)),
          client.embeddings === undefined ? "—" : String(client.embeddings.maxBatch),
          client.listModels === undefined ? "—" : "✓"
        ])
      ),
      ...embedders.map(({ baseUrl, embeddings, preset, provider, title }) => [
        title,
        code(provider),
        code(`EmbeddingsClient.presets.${preset}`),
        "—",
        baseUrl,
        "—",
        String(embeddings.maxBatch),
        "—"
      ])
    ]
  )

// -------------------------------------------------------------------------------------
// places in documents
// -------------------------------------------------------------------------------------

const marks = (name: string) => ({ begin: `<!-- ${name}: begin -->`, end: `<!-- ${name}: end -->` })

/** The text between the marks of a section. */
export const section = (document: string, name: string): Option.Option<string> => {
  const { begin, end } = marks(name)
  const [from, to] = [document.indexOf(begin), document.indexOf(end)]
  return from < 0 || to < from ? Option.none() : Option.some(document.slice(from + begin.length, to).trim())
}

/** Replaces the text between the marks of a section. */
export const withSection = (document: string, name: string, text: string): string => {
  const { begin, end } = marks(name)
  const [before, ...rest] = document.split(begin)
  const [, ...after] = rest.join(begin).split(end)
  return `${before}${begin}\n\n${text}\n\n${end}${after.join(end)}`
}

/** A section of a document must be this text; `UPDATE_MATRIX=1` writes it. */
export const expectSection = (
  path: string,
  name: string,
  text: Effect.Effect<string, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const wanted = yield* text
    const document = yield* files.readFileString(path)
    const written = yield* fromOption(section(document, name))
    if (yield* Config.withDefault(Config.boolean("UPDATE_MATRIX"), false)) {
      yield* files.writeFileString(path, withSection(document, name, wanted))
    } else {
      expect(written, "UPDATE_MATRIX=1 writes it").toBe(wanted)
    }
  }).pipe(Effect.provide(NodeFileSystem.layer))
