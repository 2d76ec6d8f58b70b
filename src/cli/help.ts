/** The output of `--help`: the summary of a command, its usage, its examples and its options. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import type { Usage } from "@effect/cli"
import { Effect } from "effect"
import { Terminal } from "./terminal/terminal.js"
import type { Style } from "./terminal/style.js"
import { outputStyle, stripStyle } from "./terminal/style.js"

export interface Page {
  /** The words after `effect-llm`. */
  readonly path: ReadonlyArray<string>
  readonly summary: string
  readonly examples: ReadonlyArray<string>
  /** The arguments and options. Made on demand, since it takes milliseconds for each command. */
  readonly lists: () => { readonly arguments: ReadonlyArray<Entry>; readonly options: ReadonlyArray<Entry> }
  /** The names of the options, with their dashes. */
  readonly optionNames: () => ReadonlySet<string>
}

interface Entry {
  readonly name: string
  readonly text: string
}

const textOf = (doc: HelpDoc.HelpDoc): string => stripStyle(HelpDoc.toAnsiText(doc)).trim()

/** Texts that the parser adds to every option. */
const boilerplate = new Set([
  "A user-defined piece of text.",
  "A floating point number.",
  "An integer.",
  "A true or false value.",
  "This setting is optional.",
  "This option may be repeated zero or more times.",
  "This argument may be repeated zero or more times."
])

const paragraphsOf = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> =>
  doc._tag === "Sequence" ? [...paragraphsOf(doc.left), ...paragraphsOf(doc.right)] : [textOf(doc)]

const entryOf = (name: HelpDoc.HelpDoc, doc: HelpDoc.HelpDoc): Entry => ({
  name: textOf(name).replace(/^\((.*?)\)(\.\.\.)?$/, "$1"),
  text: paragraphsOf(doc)
    .filter(
      (paragraph) => paragraph !== "" && !boilerplate.has(paragraph) && !paragraph.startsWith("One of the following")
    )
    .join(" ")
})

/** The lists of a command's help by their headers. */
const listsOf = (doc: HelpDoc.HelpDoc): ReadonlyMap<string, ReadonlyArray<Entry>> => {
  const lists = new Map<string, ReadonlyArray<Entry>>()
  let header = ""
  const walk = (doc: HelpDoc.HelpDoc): void => {
    switch (doc._tag) {
      case "Sequence":
        walk(doc.left)
        walk(doc.right)
        return
      case "Header":
        header = textOf(doc)
        return
      case "DescriptionList":
        lists.set(header, [
          ...(lists.get(header) ?? []),
          ...doc.definitions.map(([name, text]) => entryOf(HelpDoc.p(name), text))
        ])
        return
      default:
    }
  }
  walk(doc)
  return lists
}

const namesOf = (usage: Usage.Usage): ReadonlyArray<string> => {
  switch (usage._tag) {
    case "Named":
      return usage.names
    case "Optional":
    case "Repeated":
      return namesOf(usage.usage)
    case "Alternation":
    case "Concat":
      return [...namesOf(usage.left), ...namesOf(usage.right)]
    default:
      return []
  }
}

export const page = <Name extends string, R, E, A>(
  path: ReadonlyArray<string>,
  summary: string,
  command: Command.Command<Name, R, E, A>,
  examples: ReadonlyArray<string>
): Page => ({
  path,
  summary,
  examples,
  lists: () => {
    const lists = listsOf(Command.getHelp(command, CliConfig.make({ showBuiltIns: false })))
    return { arguments: lists.get("ARGUMENTS") ?? [], options: lists.get("OPTIONS") ?? [] }
  },
  optionNames: () => new Set(namesOf(Command.getUsage(command)).filter((name) => name.startsWith("-")))
})

// -------------------------------------------------------------------------------------
// printing
// -------------------------------------------------------------------------------------

/** Splits a text into lines of at most `width` characters. */
const wrap = (text: string, width: number): ReadonlyArray<string> =>
  text.split(" ").reduce<ReadonlyArray<string>>((lines, word) => {
    const last = lines[lines.length - 1]
    if (last === undefined) return [word]
    const longer = `${last} ${word}`
    return longer.length > width ? [...lines, word] : [...lines.slice(0, -1), longer]
  }, [])

/** Keeps lines readable on wide terminals. */
const maxWidth = 110

const entries = (all: ReadonlyArray<Entry>, columns: number, style: Style): string => {
  const left = Math.min(28, Math.max(...all.map(({ name }) => name.length))) + 2
  return all
    .map(({ name, text }) => {
      const lines = wrap(text, Math.max(20, columns - left - 2))
      const styledName = style(name, "cyan")
      const rest = lines.map((line) => `${" ".repeat(left + 2)}${line}\n`)
      return name.length + 2 > left
        ? `  ${styledName}\n${rest.join("")}`
        : `  ${styledName}${" ".repeat(left - name.length)}${lines[0] ?? ""}\n${rest.slice(1).join("")}`
    })
    .join("")
}

const section = (title: string, body: string, style: Style): string =>
  body === "" ? "" : `\n${style(title, "bold")}\n${body}`

const usageOf = (
  path: ReadonlyArray<string>,
  positionals: ReadonlyArray<Entry>,
  options: ReadonlyArray<Entry>
): string =>
  ["effect-llm", ...path, ...(options.length > 0 ? ["[options]"] : []), ...positionals.map(({ name }) => name)].join(
    " "
  )

const examplesOf = (examples: ReadonlyArray<string>): string => examples.map((line) => `  ${line}\n`).join("")

const exitCodeEntries = [
  { name: "0", text: "Success." },
  { name: "1", text: "A call failed, some calls of a batch or a bench failed, or a key was rejected." },
  { name: "2", text: "The command line, the configuration or an input is invalid; no request was sent." },
  { name: "130", text: "Ctrl-C." }
]

/** Prints the page of a command. */
export const show = ({ examples, lists, path, summary }: Page): Effect.Effect<void, never, Terminal> =>
  Effect.gen(function* () {
    const { arguments: positionals, options } = lists()
    const terminal = yield* Terminal
    const style = outputStyle(terminal)
    const columns = Math.min(maxWidth, yield* terminal.columns)
    yield* terminal.write(
      `${wrap(summary, columns).join("\n")}\n` +
        section("Usage", `  ${usageOf(path, positionals, options)}\n`, style) +
        section("Examples", examplesOf(examples), style) +
        section("Arguments", positionals.length === 0 ? "" : entries(positionals, columns, style), style) +
        section("Options", options.length === 0 ? "" : entries(options, columns, style), style)
    )
  })

/** Prints the page of `effect-llm` itself. */
export const showAll = (pages: ReadonlyArray<Page>): Effect.Effect<void, never, Terminal> =>
  Effect.gen(function* () {
    const terminal = yield* Terminal
    const style = outputStyle(terminal)
    const columns = Math.min(maxWidth, yield* terminal.columns)
    const list = pages.map(({ path, summary }) => ({ name: path.join(" "), text: summary }))
    yield* terminal.write(
      `Calls large language models from the terminal, with one or many keys of any provider, configured in one file.\n` +
        section("Usage", "  effect-llm <command> [options]\n", style) +
        section(
          "Examples",
          examplesOf([
            "export OPENAI_API_KEY=sk-…",
            'effect-llm ask "What is the capital of France?"',
            "effect-llm chat --model anthropic/claude-sonnet-4-5",
            "effect-llm batch questions.jsonl answers.jsonl",
            "effect-llm config check provider.json"
          ]),
          style
        ) +
        section("Commands", entries(list, columns, style), style) +
        section(
          "Global options",
          entries(
            [
              { name: "-h, --help", text: "Print the help of a command, with examples." },
              { name: "--version", text: "Print the version." },
              { name: "--completions shell", text: "Print a completion script for bash, zsh, fish or sh." },
              { name: "--log-level level", text: "The level of the log on standard error: debug, info, warning, none." }
            ],
            columns,
            style
          ),
          style
        ) +
        section("Exit codes", entries(exitCodeEntries, columns, style), style)
    )
  })
