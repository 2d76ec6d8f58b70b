// The prose of the documents and docstrings: no word of words.yml, and no sentence that is too long.
import { fileURLToPath } from "node:url"
import { TextlintKernel } from "@textlint/kernel"
import markdown from "@textlint/textlint-plugin-markdown"
import words from "textlint-rule-prh"
import { fault, files, pages, read } from "./documents.mjs"
import { sentences } from "./sentences.mjs"

const pluginOf = (module) => module.default ?? module

const options = (path) => ({
  ext: ".md",
  filePath: path,
  plugins: [{ pluginId: "markdown", plugin: pluginOf(markdown) }],
  rules: [
    {
      ruleId: "words",
      rule: pluginOf(words),
      options: {
        rulePaths: [fileURLToPath(new URL("words.yml", import.meta.url))],
        checkLink: true,
        checkBlockQuote: true,
        checkEmphasis: true,
        checkHeader: true
      }
    },
    { ruleId: "sentences", rule: sentences, options: { max: 40 } }
  ]
})

/** The docstrings of a source as Markdown, each line where it was. Tags end a paragraph, and their names are left out. */
export const docstrings = (source) =>
  source
    .split(/(\/\*\*[\s\S]*?\*\/)/)
    .map((part) =>
      part.startsWith("/**")
        ? part
            .replace(/^\/\*\*/, "")
            .replace(/\*\/$/, "")
            .split("\n")
            .map((line) =>
              line
                .replace(/^\s*\* ?/, "")
                .trimEnd()
                .replace(/^ /, "")
                .replace(/^@(?:since|category|module|internal|see|default)\b.*$/, "")
                .replace(/^@(?:param|template|typeParam)\s+\S+(?:\s+-)?\s*/, "")
                .replace(/^@\w+\s*/, "")
                .replace(/\{@link(?:code|plain)?\s+([^}\s|]+)[^}]*\}/g, "`$1`")
            )
            .join("\n")
        : part.replace(/[^\n]+/g, "")
    )
    .join("")

/**
 * The words of providers in the sources of their protocols, which the documents and everything else call by one name: `thinking` is a field
 * of several APIs and the title of pages that are cited as sources.
 */
const isTermOf = (path, message) =>
  /^src\/(?:wire|provider)\//.test(path) && /^(?:thinking|thoughts?) => /i.test(message)

const sources = files.filter((path) => /^src\/.+\.ts$/.test(path) && !path.includes("/generated/"))

const kernel = new TextlintKernel()

/** The faults of a text in Markdown. */
export const faultsOf = async (path, text) => {
  const { messages } = await kernel.lintText(text, options(path))
  return messages
    .filter(({ message }) => !isTermOf(path, message))
    .map(({ line, message }) => fault(path, line, message.replace(/\n+/g, ": ")))
}

export const prose = async () => {
  const faults = []
  for (const path of pages) faults.push(...(await faultsOf(path, read(path))))
  for (const path of sources) faults.push(...(await faultsOf(path, docstrings(read(path)))))
  return {
    faults,
    summary: `the prose of ${pages.length} documents and of the docstrings of ${sources.length} sources is plain`
  }
}
